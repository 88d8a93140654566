"""One writing transaction: its positions, and the rows that go to their tables many at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Executable, Table
from sqlalchemy import Row as Found

from mahavishnu.storage.sql.connection.database import READ_COUNTER, Database
from mahavishnu.storage.sql.connection.db_errors import is_duplicate
from mahavishnu.storage.sql.facts.fact_rows import Row

IN_LIST = 500
"""How many values to put into one IN (...): SQLite has a limit, and it was once 999."""


MANY = 100
"""Rows from which on COPY is worth its two round trips more."""


class Transaction:
    """Numbers `facts` facts and writes them.

    It begins by taking the counter's row, so that writing transactions of all processes come one after the other:
    whatever is read here still holds when this commits, and positions are in the order of commit. Who cannot say
    beforehand how many facts there will be may ask for more positions than that.
    """

    def __init__(self, connection: Connection, database: Database, facts: int) -> None:
        self._connection = connection
        self._database = database
        self._rows: dict[str, list[Row]] = {}
        # The few statements of every transaction go straight to the driver: by any other way they would take as long
        # as the disk does.
        self._cursor = connection.connection.cursor()
        with database.driver_errors():
            self._cursor.execute(database.count_on, (facts,))
            self._cursor.execute(READ_COUNTER)
            newest, fence = self._cursor.fetchone() or (0, 0)
        self.fence: int = fence
        self.token = 0
        """What this process's runs must have begun with, to begin anything more: see `presence.Lease`."""
        self._next: int = newest - facts
        self._newest: int = newest

    def position(self) -> int:
        self._next += 1
        if self._next > self._newest:
            self.expect(1)
        return self._next

    def expect(self, facts: int) -> None:
        """Count on at once for so many that nobody said beforehand."""
        self._newest += facts
        with self._database.driver_errors():
            self._cursor.execute(self._database.count_on, (facts,))

    def add(self, table: Table, row: Row) -> None:
        """Append a row with the next flush; one whose key is there already is left out."""
        self._rows.setdefault(table.name, []).append(row)

    def flush(self) -> None:
        with self._database.driver_errors():
            for name, rows in self._rows.items():
                if len(rows) < MANY or not self._copied(name, rows):
                    self._cursor.executemany(self._database.inserts[name], rows)
        self._rows.clear()

    def _copied(self, name: str, rows: Sequence[Row]) -> bool:
        """Write new rows by COPY, where there is one; not, if any of them is there already."""
        copy = self._database.copies.get(name)
        if copy is None:
            return False
        self._cursor.execute("SAVEPOINT copying")
        try:
            with self._cursor.copy(copy) as into:
                for row in rows:
                    into.write_row(row)
        except self._database.driver_error as error:
            self._cursor.execute("ROLLBACK TO SAVEPOINT copying")
            if not is_duplicate(error):
                raise
            return False
        self._cursor.execute("RELEASE SAVEPOINT copying")
        return True

    def find(self, statement: Executable, parameters: dict[str, Any] | None = None) -> Sequence[Found[Any]]:
        """What a query finds, with everything in it that this transaction has added."""
        self.flush()
        return self._connection.execute(statement, parameters or {}).all()

    def change(self, statement: Executable, parameters: dict[str, Any] | None = None) -> int:
        """Run a statement that changes rows; returns how many. Rows that were only added are not seen by it."""
        return self._connection.execute(statement, parameters or {}).rowcount

    def put(self, table: Table, row: Row) -> bool:
        """Append a row at once; False where its key is there already. Rows that were only added are not seen by it."""
        with self._database.driver_errors():
            self._cursor.execute(self._database.inserts[table.name], row)
        return self._cursor.rowcount == 1

    def run(self, statement: str, parameters: Mapping[str, Any]) -> int:
        """`change` for what is done many times a second: in plain SQL, with :names, and by the driver itself."""
        with self._database.driver_errors():
            self._cursor.execute(self._database.spelt(statement), parameters)
        return self._cursor.rowcount

    def look(self, statement: str, parameters: Mapping[str, Any] | None = None) -> Sequence[Row]:
        """`find` for what is asked many times a second. Rows that were only added are not seen by it."""
        with self._database.driver_errors():
            self._cursor.execute(self._database.spelt(statement), parameters or {})
            return self._cursor.fetchall()

    def change_many(self, statement: Executable, parameters: Sequence[dict[str, Any]]) -> None:
        """Run a statement once for each of these; nothing where there are none."""
        if parameters:
            self._connection.execute(statement, parameters)

    @property
    def last_position(self) -> int:
        """The position that was handed out last."""
        return self._next
