"""All tables of one moment in one SQLite file, and from such a file into PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from mahavishnu.ports import Progress
from mahavishnu.storage.backup.moment import Moment
from mahavishnu.storage.sql.connection import schema
from mahavishnu.storage.sql.connection.address import Address, parse
from mahavishnu.storage.sql.connection.database import Database
from mahavishnu.storage.sql.connection.db_errors import message_of, problem_of
from mahavishnu.storage.sql.connection.tables import VERSION_TABLE

PAGES = 1_000
"""Pages of the SQLite file that are copied between two reports of progress: four megabytes."""

ROWS = 500
"""Rows that are held at once, each of which may have a large value in it."""

COPYING = "Copying the tables"

Progressed = tuple[Progress, int]


def copy_tables(moment: Moment, address: Address, file: Path, progress: Progress) -> None:
    """Write everything that the tables hold at this moment into a new SQLite file with the same schema."""
    if address.is_sqlite:
        _copy_pages(moment.connection, file, progress)
    else:
        _copy_rows(moment, file, progress)


def count_rows(file: Path) -> dict[str, int]:
    """How many rows each table of a copy has."""
    with opened_file(file) as copy:
        return {name: _count(copy, name) for name in table_names(copy)}


def newest_position(file: Path) -> int:
    with opened_file(file) as copy:
        found: int = copy.execute("SELECT value FROM counter").fetchone()[0]
        return found


def is_sound(file: Path) -> str | None:
    """None, or the first thing that SQLite finds wrong in a copy."""
    with opened_file(file) as copy:
        try:
            found = str(copy.execute("PRAGMA quick_check(1)").fetchone()[0])
        except sqlite3.DatabaseError as error:
            return str(error)
    return None if found == "ok" else found


def schema_of(file: Path) -> str:
    with opened_file(file) as copy:
        return str(copy.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()[0])  # noqa: S608


def fill(database: Database, connection: Connection, file: Path, progress: Progress) -> None:
    """Put every row of a copy into the tables of a PostgreSQL database that has just been set up."""
    with opened_file(file) as copy:
        names = [name for name in table_names(copy) if name != VERSION_TABLE]
        total, done = sum(_count(copy, name) for name in names), 0
        cursor: Any = connection.connection.cursor()
        with database.driver_errors():
            for name in names:
                columns = _columns(copy, name)
                # The counter and the marks have the rows of a new store.
                cursor.execute(f'DELETE FROM "{name}"')  # noqa: S608
                with cursor.copy(f'COPY "{name}" ({columns}) FROM STDIN') as into:
                    for rows in _pages(copy, name, columns):
                        for row in rows:
                            into.write_row(row)
                        done += len(rows)
                        progress(COPYING, done, total)


@contextmanager
def opened_file(file: Path) -> Iterator[sqlite3.Connection]:
    """A copy, which no other process knows of. What is changed in it is there when this is left."""
    with closing(sqlite3.connect(file)) as copy, copy:
        yield copy


def sqlite_problem(error: sqlite3.Error) -> str:
    """What went wrong in a file of SQLite's, with the mend in it."""
    known = OperationalError(None, None, error)
    return problem_of(known, message_of(known))


def table_names(copy: sqlite3.Connection) -> list[str]:
    names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"
    return [row[0] for row in copy.execute(names)]


def _copy_pages(connection: Connection, file: Path, progress: Progress) -> None:
    """By SQLite's own backup, in the transaction that is open: what is written meanwhile does not begin it anew."""
    source: Any = connection.connection.driver_connection
    with closing(sqlite3.connect(file)) as copy:
        copy.execute("PRAGMA synchronous = OFF")

        def report(_status: int, remaining: int, total: int) -> None:
            progress(COPYING, total - remaining, total)

        source.backup(copy, pages=PAGES, progress=report, sleep=0)
        _make_one_file(copy)


def _copy_rows(moment: Moment, file: Path, progress: Progress) -> None:
    database = Database(parse(f"sqlite:///{file}"))
    try:
        with database.connect_to_write() as connection, connection.begin():
            schema.set_up(database, connection, at=moment.schema)
    finally:
        database.close()
    with closing(sqlite3.connect(file, isolation_level=None)) as copy:
        copy.execute("PRAGMA synchronous = OFF")
        copy.execute("PRAGMA journal_mode = OFF")
        copy.execute("BEGIN")
        names = [name for name in table_names(copy) if name != VERSION_TABLE]
        counts = {name: _count_in(moment.connection, name) for name in names}
        done = 0
        for name in names:
            columns = _columns(copy, name)
            marks = ", ".join("?" for _ in columns.split(", "))
            copy.execute(f'DELETE FROM "{name}"')  # noqa: S608
            found = moment.connection.exec_driver_sql(f'SELECT {columns} FROM "{name}"')  # noqa: S608
            for rows in found.partitions(ROWS):
                copy.executemany(f'INSERT INTO "{name}" ({columns}) VALUES ({marks})', [tuple(row) for row in rows])  # noqa: S608
                done += len(rows)
                progress(COPYING, done, sum(counts.values()))
            _check_count(name, counts, copy)
        copy.execute("COMMIT")
        _make_one_file(copy)


def _check_count(name: str, counts: Mapping[str, int], copy: sqlite3.Connection) -> None:
    if _count(copy, name) != counts[name]:
        raise OSError(f"table {name} came out with other rows than it has")


def _make_one_file(copy: sqlite3.Connection) -> None:
    """Without a log beside it, which would have to come along."""
    copy.execute("PRAGMA journal_mode = DELETE")


def _columns(copy: sqlite3.Connection, name: str) -> str:
    return ", ".join(f'"{row[1]}"' for row in copy.execute(f'PRAGMA table_info("{name}")'))


def _count(copy: sqlite3.Connection, name: str) -> int:
    found: int = copy.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608
    return found


def _count_in(connection: Connection, name: str) -> int:
    found: int = connection.exec_driver_sql(f'SELECT count(*) FROM "{name}"').scalar_one()  # noqa: S608
    return found


def _pages(copy: sqlite3.Connection, name: str, columns: str) -> Iterator[list[tuple[Any, ...]]]:
    found = copy.execute(f'SELECT {columns} FROM "{name}"')  # noqa: S608
    while rows := found.fetchmany(ROWS):
        yield rows
