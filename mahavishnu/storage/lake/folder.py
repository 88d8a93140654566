"""The folder of the lake: parts come whole or not at all, and go when nobody names them any more."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from hashlib import file_digest
from pathlib import Path
from secrets import token_hex

ABANDONED_S = 24 * 3600
"""How old a part that nobody names must be before it goes: a younger one may be about to be named."""

SEAL = "seal.json"
"""The names of a part's files and their SHA-256. Parts that are older than seals have none."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def date_of(day: int) -> str:
    """
    >>> date_of(0), date_of(20_000)
    ('1970-01-01', '2024-10-04')
    """
    return (_EPOCH + timedelta(days=day)).date().isoformat()


class Folder:
    """One folder a day, in it one folder a part, in that one Parquet file a kind of fact."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def file(self, part: str, kind: str) -> Path:
        return self.root / part / f"{kind}.parquet"

    def files(self, parts: Iterable[str], kind: str) -> list[str]:
        """Those that are there: a part has no file of a kind that it has nothing of."""
        return [str(file) for part in parts if (file := self.file(part, kind)).exists()]

    def missing(self, parts: Iterable[str]) -> str | None:
        """The first part that is not there at all."""
        return next((part for part in parts if not (self.root / part).is_dir()), None)

    def new_name(self, store: int, day: int, upto: int) -> str:
        """The number of the store is in it, because a folder may hold the lakes of several."""
        return f"{date_of(day)}/{store:x}-{upto:012d}-{token_hex(4)}"

    @contextmanager
    def writing(self, part: str) -> Iterator[Path]:
        """A folder to write a part into: it gets its name once everything in it is safely on the disk."""
        final = self.root / part
        draft = final.with_name(f".{final.name}")
        draft.mkdir(parents=True)
        try:
            yield draft
            seal(draft)
            for file in draft.iterdir():
                _sync(file)
            _sync(draft)
            draft.rename(final)
            for folder in (final.parent, self.root, self.root.parent):
                _sync(folder)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise

    def remove(self, parts: Iterable[str]) -> None:
        for part in parts:
            shutil.rmtree(self.root / part, ignore_errors=True)
            _remove_if_empty((self.root / part).parent)

    def sweep(self, store: int, named: Callable[[str], bool]) -> None:
        """Remove what a process that was killed has left behind, of this store only."""
        young = time.time() - ABANDONED_S
        for found in (*self.root.glob(f"*/{store:x}-*"), *self.root.glob(f"*/.{store:x}-*")):
            state = None if named(f"{found.parent.name}/{found.name}") else _state(found)
            if state is not None and state.st_mtime < young:
                shutil.rmtree(found, ignore_errors=True)
                _remove_if_empty(found.parent)

    def remove_all(self, store: int) -> None:
        """Remove everything that is of one store, whether it is named or not."""
        for found in (*self.root.glob(f"*/{store:x}-*"), *self.root.glob(f"*/.{store:x}-*")):
            shutil.rmtree(found, ignore_errors=True)
            _remove_if_empty(found.parent)

    def strays(self, store: int, named: Callable[[str], bool]) -> list[str]:
        """Parts of this store that are not named, and too old to be on their way."""
        young = time.time() - ABANDONED_S
        found = self.root.glob(f"*/{store:x}-*")
        old = (path for path in found if (state := _state(path)) is not None and state.st_mtime < young)
        return sorted(name for path in old if not named(name := f"{path.parent.name}/{path.name}"))

    def size_bytes(self) -> int:
        return sum(state.st_size for file in self.root.glob("*/*/*.parquet") if (state := _state(file)) is not None)


def digest_of(file: Path) -> str:
    with file.open("rb") as source:
        return file_digest(source, "sha256").hexdigest()


def seal(part: Path) -> None:
    """Note what the files of a part are, so that a part that was changed or lost one of them can be told."""
    files = {file.name: digest_of(file) for file in sorted(part.glob("*.parquet"))}
    (part / SEAL).write_text(json.dumps(files, indent=1))


def _state(path: Path) -> os.stat_result | None:
    """None where another process that tidies up has just removed it."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):  # it is not empty, or another process was first
        folder.rmdir()
