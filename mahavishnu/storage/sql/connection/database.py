"""A database and the connections to it: the only room that knows which of the two it is."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import cache, partial
from typing import Any, TypeVar

from sqlalchemy import Connection, Dialect, Engine, Table, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from mahavishnu.storage.sql.connection.address import Address, check_file
from mahavishnu.storage.sql.connection.db_errors import unavailable
from mahavishnu.storage.sql.connection.tables import metadata

T = TypeVar("T")

CONNECT_S = 5
KEEPALIVE = {"keepalives_idle": "5", "keepalives_interval": "2", "keepalives_count": "3", "tcp_user_timeout": "10000"}
"""A host that is gone without a word is known to be after ten seconds, and not after a quarter of an hour."""

READ_COUNTER = "SELECT value, fence FROM counter"
READERS = 4
"""Reads at once, each in a thread and on a connection of its own."""


class Database:
    """Hands out connections. One that is marked as writing begins its transactions with the right to write."""

    def __init__(self, address: Address, patience_s: float = 30.0) -> None:
        """Connects to nothing yet; raises `StoreUnavailable` where it is plain that nothing can come of it.

        `patience_s` is how long a locked file is waited for.
        """
        self.address = address
        self.patience_s = patience_s
        if address.is_sqlite:
            check_file(address)
        self.engine = _engine(address, patience_s)
        self.driver_error = self.engine.dialect.loaded_dbapi.Error
        self._driver_errors = DriverErrors(self.engine.dialect)
        self._plain = address.is_sqlite
        self._mark = "?" if address.is_sqlite else "%s"
        # Statements of every transaction, ready for the driver: building them each time would cost more than the disk.
        self.count_on = f"UPDATE counter SET value = value + {self._mark}"  # noqa: S608
        self.inserts = {table.name: self._insert(table) for table in metadata.sorted_tables}
        self.copies = {} if address.is_sqlite else {table.name: self._copy(table) for table in metadata.sorted_tables}

    def spelt(self, statement: str) -> str:
        """Plain SQL with :names, as this driver wants it."""
        return statement if self._plain else _for_psycopg(statement)

    def driver_errors(self) -> DriverErrors:
        """What the driver raises by itself, as SQLAlchemy would have raised it."""
        return self._driver_errors

    def connect_to_write(self) -> Connection:
        return self.engine.connect().execution_options(writes=True)

    def read(self, query: Callable[[Connection], T]) -> T:
        """The answer of a query. One that finds its connection broken is asked once more, on a new one."""
        try:
            try:
                return self._read(query)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                return self._read(query)
        except SQLAlchemyError as error:
            raise unavailable(self.address, error) from error

    def close(self) -> None:
        self.engine.dispose()

    def describe(self, connection: Connection) -> dict[str, str | int]:
        """What people want to know about a database that misbehaves."""
        if not self.address.is_sqlite:
            version = connection.exec_driver_sql("SHOW server_version").scalar_one()
            size = connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one()
            durable = connection.exec_driver_sql("SHOW synchronous_commit").scalar_one()
            return {"server": f"PostgreSQL {version}", "size_bytes": int(size), "synchronous_commit": str(durable)}
        version = connection.exec_driver_sql("SELECT sqlite_version()").scalar_one()
        level = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()
        return {
            "library": f"SQLite {version}",
            "file": str(self.address.path.resolve()),
            "size_bytes": self.address.path.stat().st_size,
            "journal_mode": str(connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()),
            "synchronous": {0: "off", 1: "normal", 2: "full", 3: "extra"}.get(level, str(level)),
        }

    def _read(self, query: Callable[[Connection], T]) -> T:
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            return query(connection)

    def _copy(self, table: Table) -> str:
        quote = self.engine.dialect.identifier_preparer.quote
        return f"COPY {quote(table.name)} ({', '.join(quote(column.name) for column in table.columns)}) FROM STDIN"

    def _insert(self, table: Table) -> str:
        quote = self.engine.dialect.identifier_preparer.quote
        columns = ", ".join(quote(column.name) for column in table.columns)
        marks = ", ".join(self._mark for _ in table.columns)
        return f"INSERT INTO {quote(table.name)} ({columns}) VALUES ({marks}) ON CONFLICT DO NOTHING"  # noqa: S608


class DriverErrors:
    """A plain object, because one is entered for every statement; it holds nothing, and may be entered by many."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._driver_error = dialect.loaded_dbapi.Error

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, self._driver_error):
            broken = self._dialect.is_disconnect(error, None, None)
            raise DBAPIError.instance(None, None, error, self._driver_error, connection_invalidated=broken) from error


@cache
def _for_psycopg(statement: str) -> str:
    return re.sub(r":(\w+)", r"%(\1)s", statement)


def _engine(address: Address, patience_s: float) -> Engine:
    if not address.is_sqlite:
        return _postgres(address)
    # One connection for the writer, besides those of the readers.
    engine = create_engine(address.url, pool_size=READERS + 1, connect_args={"check_same_thread": False})
    event.listen(engine, "connect", partial(_prepare_sqlite, round(patience_s * 1000)))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _postgres(address: Address) -> Engine:
    ours = {"connect_timeout": str(CONNECT_S), **KEEPALIVE}
    url = address.url.update_query_dict({name: value for name, value in ours.items() if name not in address.url.query})
    try:
        return create_engine(url, pool_size=READERS + 1)
    except ImportError as missing:
        raise address.unavailable(
            f'psycopg cannot be loaded ({missing}); run: pip install "mahavishnu[postgres]"'
        ) from None


def _prepare_sqlite(busy_ms: int, connection: Any, _record: object) -> None:
    # Transactions are begun by hand: the driver would begin them late, as readers, and so run into deadlocks.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {busy_ms}")
    # What record() has answered for must survive the power as well as the process.
    connection.execute("PRAGMA synchronous = FULL")


def _begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get("writes"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def use_write_ahead_log(database: Database) -> None:
    """Readers that never wait for the writer. The file remembers it; only the first opening has anything to do."""
    if not database.address.is_sqlite:
        return
    until = time.monotonic() + database.patience_s
    with database.engine.connect() as connection:
        while True:
            try:
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            except DBAPIError as error:
                # Two processes that open a new file at once get in each other's way here, and SQLite does not wait.
                if "locked" not in str(error.orig) or time.monotonic() > until:
                    raise
                time.sleep(0.01)
            else:
                return
