"""Taking a backup: one file with everything that a store is at one moment, or no file at all."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

from mahavishnu.errors import BackupFailed, BackupRefused
from mahavishnu.ports import BackupManifest, Clock, Progress, StoreLocation
from mahavishnu.ports.backups import silent
from mahavishnu.storage.backup.archive import FORMAT, LAKE, SPOOL, TABLES, ArchiveWriter, Meter, opened, unmoved
from mahavishnu.storage.backup.locks import locked, sync
from mahavishnu.storage.backup.moment import Moment, address_of, existing, lake_of, moment_of
from mahavishnu.storage.backup.spooled import waiting_files, whole_lines
from mahavishnu.storage.backup.tables import copy_tables, count_rows, is_sound, newest_position, sqlite_problem
from mahavishnu.storage.backup.times import iso
from mahavishnu.storage.sql.connection.address import Address
from mahavishnu.storage.sql.connection.tables import HEAD

PACKING = "Packing"
CHECKING = "Checking the file"


def take_backup(
    location: StoreLocation, file: Path, clock: Clock, *, force: bool = False, progress: Progress = silent
) -> BackupManifest:
    """Write a backup of a store, which other processes may be using; the file gets its name once it has been checked.

    Everything that was acknowledged before this was called is in it. Blocks. Raises `BackupRefused`, `BackupFailed`,
    or `StoreUnavailable`.
    """
    address = address_of(location)
    _refuse_file(address, file, force=force)
    try:
        with _draft(file) as (draft, tables):
            manifest = _write(location, address, draft, tables, clock, progress)
            draft.flush()
            os.fsync(draft.fileno())
            with opened(partial_of(file)) as archive:
                archive.check(Meter(progress, CHECKING, archive.size))
            _name(file, force=force)
    except sqlite3.Error as error:
        raise BackupFailed(file=str(file), problem=sqlite_problem(error)) from error
    except OSError as error:
        problem = f"{error.strerror or error}; make room or correct its rights, or name a file on another disk"
        raise BackupFailed(file=str(file), problem=problem) from error
    return manifest


def partial_of(file: Path) -> Path:
    """What a backup is called while it is being written."""
    return file.with_name(f"{file.name}.partial")


def _write(
    location: StoreLocation, address: Address, draft: BinaryIO, tables: Path, clock: Clock, progress: Progress
) -> BackupManifest:
    with ArchiveWriter(draft) as writer:
        # The spool first: what leaves it afterwards is in the store by the moment that is copied, and may be in both.
        spooled = _add_spool(writer, location)
        with existing(address) as database, moment_of(database, lake_of(location, address)) as moment:
            _refuse_moment(file=tables, address=address, moment=moment)
            copy_tables(moment, address, tables, progress)
            if (problem := is_sound(tables)) is not None:
                raise address.unavailable(f"its database is damaged ({problem}); restore the last backup")
            _add_files(writer, moment, tables, progress)
            manifest = BackupManifest(
                format=FORMAT,
                version=version("mahavishnu"),
                schema=moment.schema,
                source="sqlite" if address.is_sqlite else "postgresql",
                url=address.shown,
                created_at=iso(clock.now_us()),
                position=newest_position(tables),
                tables=count_rows(tables),
                lake_parts=len(moment.parts),
                spooled=spooled,
                members=writer.members,
            )
        writer.close(manifest)
        return manifest


def _add_spool(writer: ArchiveWriter, location: StoreLocation) -> int:
    spooled = 0
    for path in waiting_files(location):
        # One that is gone by now has been written to the store.
        with suppress(FileNotFoundError), path.open("rb") as source:
            size, lines = whole_lines(source)
            if lines:
                source.seek(0)
                writer.add(f"{SPOOL}{path.name}", source, deflate=True, moved=unmoved, size=size)
                spooled += lines
    return spooled


def _add_files(writer: ArchiveWriter, moment: Moment, tables: Path, progress: Progress) -> None:
    files = [(f"{LAKE}{part}/{path.name}", path) for part in moment.parts for path in _files(moment, part)]
    total = tables.stat().st_size + sum(path.stat().st_size for _, path in files)
    meter = Meter(progress, PACKING, total)
    with tables.open("rb") as source:
        writer.add(TABLES, source, deflate=True, moved=meter)
    for name, path in files:
        with path.open("rb") as source:
            writer.add(name, source, deflate=False, moved=meter)


def _files(moment: Moment, part: str) -> list[Path]:
    return sorted((moment.lake.root / part).iterdir())


def _refuse_moment(file: Path, address: Address, moment: Moment) -> None:
    if moment.schema > HEAD:
        raise address.unavailable(
            f"its schema {moment.schema} is newer than this version, which knows {HEAD}; "
            "take the backup with the version that uses it"
        )
    if moment.missing:
        raise BackupFailed(
            file=str(file.with_name(file.name.removesuffix(".partial.db"))),
            problem=f"the lake in {moment.root} lacks {moment.missing[0]}; bring that folder back or set [lake] folder "
            "to it, and see: mahavishnu store verify",
        )


def _refuse_file(address: Address, file: Path, *, force: bool) -> None:
    if not file.parent.is_dir():
        raise BackupRefused(file=str(file), problem=f'the folder "{file.parent}" does not exist; create it')
    if file.is_dir():
        raise BackupRefused(file=str(file), problem="it is a folder; name a file in it")
    if address.is_sqlite and file.exists() and address.path.exists() and file.samefile(address.path):
        raise BackupRefused(file=str(file), problem="that is the store itself; name another file")
    if file.exists() and not force:
        raise BackupRefused(file=str(file), problem="it exists already; name another file, or add --force")


@contextmanager
def _draft(file: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """The file that becomes the backup, and the one that the tables are copied into on the way.

    What a killed backup left under these names is overwritten. Neither is there afterwards.
    """
    partial = partial_of(file)
    tables = partial.with_name(f"{partial.name}.db")
    with ExitStack() as undo:
        draft = locked(partial)
        if draft is None:
            problem = "another process is writing it just now; wait for that, or name another file"
            raise BackupRefused(file=str(file), problem=problem)
        undo.callback(draft.close)
        undo.callback(_remove_own, partial, draft)
        for path in _with_companions(tables):
            undo.callback(path.unlink, missing_ok=True)
            path.unlink(missing_ok=True)
        draft.truncate()
        yield draft, tables


def _remove_own(partial: Path, draft: BinaryIO) -> None:
    """Once the draft has its final name, another process may have begun one under this one."""
    with suppress(FileNotFoundError):
        if os.path.samestat(partial.stat(), os.fstat(draft.fileno())):
            partial.unlink()


def _with_companions(tables: Path) -> list[Path]:
    return [tables.with_name(f"{tables.name}{suffix}") for suffix in ("", "-journal", "-wal", "-shm")]


def _name(file: Path, *, force: bool) -> None:
    """Give the checked draft its name. Without force that must not be there: not even if it has come meanwhile."""
    partial = partial_of(file)
    if force:
        partial.replace(file)
    else:
        try:
            os.link(partial, file)
        except FileExistsError:
            raise BackupRefused(file=str(file), problem="it has come into being meanwhile; name another file") from None
        except OSError:  # a disk that gives a file one name only
            partial.replace(file)
    sync(file.parent)
