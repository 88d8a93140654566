"""A SQLite file as the target of a restore."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from mahavishnu.errors import RestoreRefused
from mahavishnu.ports import Clock, Progress
from mahavishnu.storage.backup.contents import Contents, contents_of, link_lake
from mahavishnu.storage.backup.locks import sync
from mahavishnu.storage.backup.times import stamp
from mahavishnu.storage.lake.folder import Folder
from mahavishnu.storage.sql.connection.address import Address, interrupted_restore, parse
from mahavishnu.storage.sql.connection.database import Database

PLACING = "Putting it in place"

_COMPANIONS = ("-wal", "-shm", "-journal")


class SqliteTarget:
    """The new file gets its name in one step, once everything else stands; the old one is renamed just before."""

    def __init__(self, address: Address, clock: Clock) -> None:
        self._address = address
        self._path = address.path
        self._clock = clock
        self.staging = interrupted_restore(address.path)
        self.placing = False

    def refuse(self, *, force: bool) -> int | None:
        """Returns the number of the store that stands there, if one does.

        Raises `RestoreRefused` for one that is in use, or not empty unless that is to go aside.
        """
        if not self._path.parent.is_dir():
            raise self._refused(f'the folder "{self._path.parent}" does not exist; create it')
        if self._path.is_dir():
            raise self._refused(f'"{self._path}" is a folder; name a file in it')
        if not _has_bytes(self._path):
            return None
        found = self._contents()
        if found is not None and found.users:
            raise self._refused(f"it is in use ({', '.join(found.users)}); stop what uses it first")
        if not force and (found is None or not found.empty):
            raise self._refused("it is not empty; name another store, or add --force to move this one aside")
        return None if found is None else found.number

    def put(self, tables: Path, lake: Folder, progress: Progress, *, force: bool) -> str | None:
        """Give the new store its name; returns where the old one is now, if there was one."""
        self.refuse(force=force)
        progress(PLACING, 0, 0)
        self.placing = True
        aside: Path | None = None
        parts: Sequence[str] = ()
        if _has_bytes(self._path):
            aside, parts = self._set_aside(lake)
            progress(PLACING, 0, 0)
        self._remove_companions()
        tables.replace(self._path)
        sync(self._path.parent)
        if aside is not None:
            lake.remove(parts)
        return None if aside is None else str(aside)

    def _contents(self) -> Contents | None:
        """None where the file cannot be read: it may be damaged, which is why a backup is wanted."""
        database = Database(self._address)
        try:
            with suppress(SQLAlchemyError), database.engine.connect() as connection:
                return contents_of(connection, self._clock)
        finally:
            database.close()
        return None

    def _set_aside(self, lake: Folder) -> tuple[Path | None, Sequence[str]]:
        found = self._contents()
        self._empty_log()
        if found is not None and found.empty:
            self._path.unlink()
            return None, ()
        moment = stamp(self._clock.now_us())
        aside = self._path.with_name(f"{self._path.stem}.replaced-{moment}{self._path.suffix}")
        parts = () if found is None else found.parts
        # Before anything moves: until its file is renamed the old store is whole.
        link_lake(lake, parts, parse(f"sqlite:///{aside}").lake)
        self._path.rename(aside)
        for suffix in _COMPANIONS:
            with suppress(FileNotFoundError):
                _beside(self._path, suffix).rename(_beside(aside, suffix))
        return aside, parts

    def _empty_log(self) -> None:
        """Have everything in the file itself; a file that is damaged goes aside with its log."""
        with suppress(sqlite3.Error), closing(sqlite3.connect(self._path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _remove_companions(self) -> None:
        """SQLite would replay the log of another file into the new one."""
        for suffix in _COMPANIONS:
            _beside(self._path, suffix).unlink(missing_ok=True)

    def _refused(self, problem: str) -> RestoreRefused:
        return RestoreRefused(url=self._address.shown, problem=problem)


def _has_bytes(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}{suffix}")
