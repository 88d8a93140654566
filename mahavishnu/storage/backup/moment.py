"""One moment of a store: a connection on which all reads see the same, and the lake's files as they were then."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from sqlalchemy import Connection, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from mahavishnu.errors import StoreUnavailable
from mahavishnu.ports import StoreLocation
from mahavishnu.storage.backup.locks import locked
from mahavishnu.storage.lake.folder import Folder
from mahavishnu.storage.sql.connection import schema
from mahavishnu.storage.sql.connection.address import Address, parse
from mahavishnu.storage.sql.connection.database import Database
from mahavishnu.storage.sql.connection.db_errors import unavailable
from mahavishnu.storage.sql.connection.tables import lake_parts

TRIES = 20
"""How often a moment is taken anew, because a part of the lake was tidied away before it could be held."""

BUFFER = 1_000
"""Rows that are fetched from PostgreSQL at once."""

_HELD = ".held-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """`lake` holds the parts that the database names, whatever retention does meanwhile; `missing` are not there."""

    connection: Connection
    schema: str
    parts: Sequence[str]
    missing: Sequence[str]
    lake: Folder
    root: Path


def address_of(location: StoreLocation) -> Address:
    """Raises `StoreUnavailable` for a store that is nowhere once its process has ended."""
    if location.url.startswith("memory:"):
        raise StoreUnavailable(
            url=location.url, problem="it is gone with its process, which leaves nothing to copy or check; name another"
        )
    return parse(location.url)


def lake_of(location: StoreLocation, address: Address) -> Path:
    return Path(location.lake) if location.lake else address.lake


@contextmanager
def existing(address: Address) -> Iterator[Database]:
    """The database of a store that must be there already: nothing is created. Errors leave as `StoreUnavailable`."""
    if address.is_sqlite and not address.path.exists():
        raise address.unavailable(f'there is no file "{address.path}"; correct --store or the settings')
    database = Database(address)
    try:
        yield database
    except SQLAlchemyError as error:
        raise unavailable(address, error) from error
    finally:
        database.close()


@contextmanager
def moment_of(database: Database, root: Path) -> Iterator[Moment]:
    """Neither writers nor readers wait for this; in SQLite the write-ahead log grows until it is over."""
    for _ in range(TRIES):
        with ExitStack() as undo:
            connection = undo.enter_context(_reading(database))
            found = schema.revision(connection)
            if found == schema.NONE:
                raise database.address.unavailable("it is empty; there is no store in it")
            parts = _named(connection)
            held, missing = undo.enter_context(_held(root, parts))
            # A part loses its name before it loses its files, and never gets it back: one that is named now was whole.
            if set(parts) <= set(_named_now(database)):
                yield Moment(connection=connection, schema=found, parts=parts, missing=missing, lake=held, root=root)
                return
    raise database.address.unavailable("its lake is being tidied up all the time; try again in a minute")


@contextmanager
def _reading(database: Database) -> Iterator[Connection]:
    with database.engine.connect() as connection:
        if database.address.is_sqlite:
            connection.exec_driver_sql("BEGIN")
        else:
            connection.execution_options(
                isolation_level="REPEATABLE READ",
                postgresql_readonly=True,
                stream_results=True,
                max_row_buffer=BUFFER,
            )
        yield connection
        connection.rollback()


def _named(connection: Connection) -> list[str]:
    """The parts of the lake; none in a store that is older than lakes are. The first thing read: it sets the moment."""
    if not inspect(connection).has_table(lake_parts.name):
        return []
    return sorted(connection.execute(select(lake_parts.c.name)).scalars())


def _named_now(database: Database) -> list[str]:
    return database.read(_named)


@contextmanager
def _held(root: Path, parts: Sequence[str]) -> Iterator[tuple[Folder, list[str]]]:
    """A second name for every file of these parts, so that they stay when the lake lets go of them."""
    if not parts or not root.is_dir():
        yield Folder(root), list(parts)
        return
    sweep(root)
    name = root / f"{_HELD}{token_hex(8)}"
    lock = name.with_suffix(".lock")
    owner = locked(lock)
    try:
        missing = [part for part in parts if not link(root / part, name / part)]
        yield Folder(name), missing
    finally:
        shutil.rmtree(name, ignore_errors=True)
        lock.unlink(missing_ok=True)
        if owner is not None:
            owner.close()


def link(part: Path, copy: Path) -> bool:
    """Give the files of a part a second name, or copy them where that is not possible; False where it is not there."""
    try:
        files = sorted(part.iterdir())
        copy.mkdir(parents=True, exist_ok=True)
        for file in files:
            try:
                os.link(file, copy / file.name)
            except FileNotFoundError:
                return False
            except OSError:
                shutil.copyfile(file, copy / file.name)
    except FileNotFoundError:
        return False
    return True


def sweep(root: Path) -> None:
    """Remove what processes that were killed held."""
    for lock in root.glob(f"{_HELD}*.lock"):
        owner = locked(lock)
        if owner is not None:
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink(missing_ok=True)
            owner.close()
