"""The file of a backup: a ZIP with a manifest that names every member with its hash."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, BinaryIO, Self
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from mahavishnu.errors import BackupUnusable
from mahavishnu.ports import BackupManifest, Progress
from mahavishnu.ports.backups import Member

FORMAT = 1
"""Goes up when an older version could no longer make sense of a backup."""

MANIFEST = "manifest.json"
TABLES = "store.db"
LAKE = "lake/"
SPOOL = "spool/"

_CHUNK = 1 << 20
_MEMBER = re.compile(r"store\.db|lake/[\w-]+/[\w-]+/[\w.-]+|spool/[\w.-]+")
_DAMAGED = (BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)

Moved = Callable[[int], None]
"""Told how many bytes have just been read."""


def unmoved(_bytes: int) -> None:
    """For a copy whose progress is shown to nothing."""


class Meter:
    """Adds up what has been done of a stage."""

    def __init__(self, progress: Progress, stage: str, total: int) -> None:
        self._progress, self._stage, self._total = progress, stage, total
        self._done = 0

    def __call__(self, more: int) -> None:
        self._done += more
        self._progress(self._stage, self._done, self._total)


class ArchiveWriter:
    """Members one after the other, then the manifest. Nothing is held in memory but a chunk."""

    def __init__(self, file: BinaryIO) -> None:
        # The fastest level: the others take many times as long for a few hundredths.
        self._zip = ZipFile(file, "w", allowZip64=True, compresslevel=1)
        self.members: dict[str, Member] = {}

    def add(self, name: str, source: IO[bytes], *, deflate: bool, moved: Moved, size: int | None = None) -> None:
        """`size` bytes of the source, or all of it. Parquet is compressed already, so that only the tables gain."""
        self._zip.compression = ZIP_DEFLATED if deflate else ZIP_STORED
        with self._zip.open(name, "w", force_zip64=True) as target:
            self.members[name] = copied(source, target, moved, size)

    def close(self, manifest: BackupManifest) -> None:
        self._zip.writestr(MANIFEST, json.dumps(asdict(manifest), indent=1))
        self._zip.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, _error: object, _traceback: object) -> None:
        # Without its manifest it is no backup; but as long as it is open it would be completed later, by chance.
        if kind is not None:
            with suppress(OSError, ValueError):
                self._zip.close()


class Archive:
    """A backup that can be read. Whatever is wrong with it leaves as `BackupUnusable`."""

    def __init__(self, file: Path, zip_: ZipFile, manifest: BackupManifest) -> None:
        self.file = file
        self.manifest = manifest
        self._zip = zip_

    @property
    def size(self) -> int:
        return sum(member.size for member in self.manifest.members.values())

    def check(self, moved: Moved = unmoved) -> None:
        """Compare every member with its hash, and the members with those that the manifest names."""
        names = {info.filename for info in self._zip.infolist()} - {MANIFEST}
        if names != set(self.manifest.members):
            raise _damaged(self.file, "its files are not those that its manifest names")
        for name, member in self.manifest.members.items():
            with self.open(name) as source:
                try:
                    found = copied(source, None, moved)
                except _DAMAGED as error:
                    raise _damaged(self.file, f"{name}: {error}") from error
            if found != member:
                raise _damaged(self.file, f"{name} is not what was written")

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        try:
            source = self._zip.open(name)
        except (KeyError, *_DAMAGED) as error:
            raise _damaged(self.file, f"{name}: {error}") from error
        with source:
            yield source

    def extract(self, name: str, target: Path, moved: Moved = unmoved) -> None:
        """Write a member into a new file, and compare it with its hash once more on the way."""
        with self.open(name) as source, target.open("wb") as into:
            try:
                found = copied(source, into, moved)
            except (BadZipFile, zlib.error, EOFError) as error:
                raise _damaged(self.file, f"{name}: {error}") from error
        if found != self.manifest.members[name]:
            raise _damaged(self.file, f"{name} is not what was written")

    def under(self, prefix: str) -> list[str]:
        """The names of the members in a folder of the backup."""
        return sorted(name for name in self.manifest.members if name.startswith(prefix))


@contextmanager
def opened(file: Path) -> Iterator[Archive]:
    """A backup whose manifest this version understands."""
    try:
        source = file.open("rb")
    except OSError as error:
        raise BackupUnusable(
            file=str(file), problem=f"it cannot be opened ({error.strerror}); name another file"
        ) from None
    with source:
        try:
            zip_ = ZipFile(source)
            text = zip_.read(MANIFEST)
        except (KeyError, *_DAMAGED):
            raise BackupUnusable(file=str(file), problem=_NOT_OURS) from None
        with zip_:
            yield Archive(file, zip_, _manifest(file, text))


def copied(source: IO[bytes], target: IO[bytes] | None, moved: Moved, size: int | None = None) -> Member:
    """Copy, or only read where there is no target; returns what went through."""
    digest, done = sha256(), 0
    while chunk := source.read(_CHUNK if size is None else min(_CHUNK, size - done)):
        digest.update(chunk)
        if target is not None:
            target.write(chunk)
        done += len(chunk)
        moved(len(chunk))
    return Member(sha256=digest.hexdigest(), size=done)


_NOT_OURS = "it is no backup of mahavishnu, or only a part of one; name a file that `mahavishnu store backup` wrote"


def _manifest(file: Path, text: bytes) -> BackupManifest:
    try:
        found: Any = json.loads(text)
        written, by = int(found["format"]), str(found["version"])
    except (ValueError, LookupError, TypeError):
        raise BackupUnusable(file=str(file), problem=_NOT_OURS) from None
    if written > FORMAT:
        problem = (
            f"mahavishnu {by} wrote it in format {written}, and this version reads formats up to {FORMAT}; "
            f"restore it with mahavishnu {by} or newer"
        )
        raise BackupUnusable(file=str(file), problem=problem)
    try:
        members = {str(name): Member(**member) for name, member in found.pop("members").items()}
        manifest = BackupManifest(**found, members=members)
    except (LookupError, TypeError, AttributeError):
        raise _damaged(file, "its manifest cannot be read") from None
    _refuse_odd_names(file, manifest.members)
    return manifest


def _refuse_odd_names(file: Path, members: Mapping[str, Member]) -> None:
    """A member is put where its name says, which must lie in the folder that it is meant for."""
    odd = next((name for name in members if not _MEMBER.fullmatch(name) or ".." in name), None)
    if odd is not None or TABLES not in members:
        raise _damaged(file, "its manifest names files that no backup has")


def _damaged(file: Path, why: str) -> BackupUnusable:
    return BackupUnusable(file=str(file), problem=f"it is damaged ({why}); use another backup")
