"""Restoring a backup: a whole store where there was none, or the one that was there before."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from mahavishnu.errors import BackupUnusable, RestoreFailed, RestoreRefused
from mahavishnu.ports import Clock, Progress, Restored, StoreLocation
from mahavishnu.ports.backups import silent
from mahavishnu.storage.backup.archive import LAKE, SPOOL, TABLES, Archive, Meter, opened
from mahavishnu.storage.backup.detaching import detach, new_number
from mahavishnu.storage.backup.into_postgres import PostgresTarget
from mahavishnu.storage.backup.into_sqlite import SqliteTarget
from mahavishnu.storage.backup.locks import locked, sync
from mahavishnu.storage.backup.moment import address_of, lake_of
from mahavishnu.storage.backup.spooled import target_of
from mahavishnu.storage.backup.tables import schema_of, sqlite_problem
from mahavishnu.storage.lake.folder import Folder
from mahavishnu.storage.sql.connection import schema
from mahavishnu.storage.sql.connection.address import Address, parse
from mahavishnu.storage.sql.connection.database import Database
from mahavishnu.storage.sql.connection.db_errors import unavailable
from mahavishnu.storage.sql.connection.tables import HEAD

CHECKING = "Checking the backup"
UNPACKING = "Unpacking"
CLEARING = "Clearing up"

Target = SqliteTarget | PostgresTarget


def restore_backup(
    file: Path, location: StoreLocation, clock: Clock, *, force: bool = False, progress: Progress = silent
) -> Restored:
    """Put a backup where there is no store, or in the place of one that then goes aside; from either kind into either.

    Nothing is written before the whole file has been checked. Blocks. Raises `BackupUnusable`, `RestoreRefused`,
    `RestoreFailed` or `StoreUnavailable`.
    """
    address = address_of(location)
    lake = Folder(lake_of(location, address))
    target = SqliteTarget(address, clock) if address.is_sqlite else PostgresTarget(address, lake.root, clock)
    try:
        with opened(file) as archive:
            _refuse_newer(archive)
            standing = target.refuse(force=force)
            archive.check(Meter(progress, CHECKING, archive.size))
            with _staging(target, standing, address, lake) as number:
                upgraded_from = _stage(archive, target.staging, lake, number, progress)
                with _spool_placed(archive, location, target):
                    aside = target.put(target.staging / TABLES, lake, progress, force=force)
                progress(CLEARING, 0, 0)
        return Restored(
            url=address.shown, manifest=archive.manifest, lake=lake.root, aside=aside, upgraded_from=upgraded_from
        )
    except SQLAlchemyError as error:
        raise unavailable(address, error) from error
    except sqlite3.Error as error:
        raise RestoreFailed(url=address.shown, problem=sqlite_problem(error)) from error
    except OSError as error:
        problem = f"{error.strerror or error}; make room or correct the rights of {error.filename or 'its folder'}"
        raise RestoreFailed(url=address.shown, problem=f"{problem}, and restore again") from error


def _refuse_newer(archive: Archive) -> None:
    manifest = archive.manifest
    if manifest.schema > HEAD:
        problem = (
            f"mahavishnu {manifest.version} wrote it with schema {manifest.schema}, and this version knows {HEAD}; "
            f"restore it with mahavishnu {manifest.version} or newer"
        )
        raise BackupUnusable(file=str(archive.file), problem=problem)


@contextmanager
def _staging(target: Target, standing: int | None, address: Address, lake: Folder) -> Iterator[int]:
    """A folder to unpack into, and the number that the store will have. What an interrupted restore left goes first."""
    folder = target.staging
    folder.mkdir(parents=True, exist_ok=True)
    lock = locked(folder / "lock")
    if lock is None:
        raise RestoreRefused(url=address.shown, problem="another process restores into it just now; wait for that")
    with lock:
        _clear(folder, standing, lake)
        number = new_number()
        note = folder / "number"
        note.write_text(f"{number:x}")
        for path in (note, folder, folder.parent):
            sync(path)
        try:
            yield number
        except BaseException:
            # From then on the store may be in place, and its lake in use: the next restore finds out.
            if not target.placing:
                lake.remove_all(number)
                shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)


def _clear(folder: Path, standing: int | None, lake: Folder) -> None:
    """Remove what an interrupted restore unpacked, unless it is the store that stands there: then only its end was."""
    note = folder / "number"
    left = int(note.read_text() or "0", 16) if note.exists() else None
    if left is not None and left != standing and (folder / TABLES).exists():
        lake.remove_all(left)
    for path in folder.iterdir():
        if path.name != "lock":
            path.unlink()


def _stage(archive: Archive, staging: Path, lake: Folder, number: int, progress: Progress) -> str | None:
    """Unpack everything to where nothing looks for it yet; returns the schema that it had, where that was older."""
    meter = Meter(progress, UNPACKING, archive.size)
    tables = staging / TABLES
    archive.extract(TABLES, tables, meter)
    found = schema_of(tables)
    if found != HEAD:
        _upgrade(tables)
    renamed = detach(tables, number)
    sync(tables)
    _stage_lake(archive, lake, renamed, meter)
    return found if found != HEAD else None


def _upgrade(tables: Path) -> None:
    database = Database(parse(f"sqlite:///{tables}"))
    try:
        schema.migrate(database)
        with database.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = DELETE")
    finally:
        database.close()


def _stage_lake(archive: Archive, lake: Folder, renamed: Mapping[str, str], meter: Meter) -> None:
    parts: dict[str, list[str]] = {}
    for name in archive.under(LAKE):
        part, _, _file = name.removeprefix(LAKE).rpartition("/")
        parts.setdefault(part, []).append(name)
    if set(parts) - set(renamed):
        problem = "it is damaged (its lake is not the one that its tables name); use another backup"
        raise BackupUnusable(file=str(archive.file), problem=problem)
    for old, new in renamed.items():
        with lake.writing(new) as draft:
            for name in parts.get(old, ()):
                archive.extract(name, draft / name.rpartition("/")[2], meter)


@contextmanager
def _spool_placed(archive: Archive, location: StoreLocation, target: Target) -> Iterator[None]:
    """What waited in the spool waits in that of the new store, whose first opening writes it."""
    with ExitStack() as undo:
        for name in archive.under(SPOOL):
            path = target_of(name.removeprefix(SPOOL), location)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = path.with_name(f".{path.name}")
            archive.extract(name, draft)
            draft.chmod(0o600)
            sync(draft)
            draft.replace(path)
            undo.callback(path.unlink, missing_ok=True)
            sync(path.parent)
        try:
            yield
        finally:
            if target.placing:
                undo.pop_all()
