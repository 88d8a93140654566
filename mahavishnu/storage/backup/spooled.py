"""What waits in the spool of this machine: acknowledged, and not in the store yet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from mahavishnu.ports import StoreLocation
from mahavishnu.storage.spool import spool_of

LEFT_OVER = ".left-over"


def waiting_files(location: StoreLocation) -> Sequence[Path]:
    """The files of every process of this machine that keep something for this store, and what was left over."""
    folder, pattern = _pattern(location)
    waiting = [*folder.glob(pattern), *folder.glob(str(Path(pattern).with_suffix(LEFT_OVER)))]
    return sorted(waiting)


def whole_lines(file: BinaryIO) -> tuple[int, int]:
    """How many bytes of a file are whole lines by now, and how many lines those are.

    Its process may be writing to it: half a line was answered for to no caller.
    """
    size = lines = done = 0
    for line in file:
        done += len(line)
        if line.endswith(b"\n"):
            size, lines = done, lines + 1
    return size, lines


def target_of(name: str, location: StoreLocation) -> Path:
    """Where a file of the spool of one store belongs for another: its first opening takes it over from there."""
    folder, pattern = _pattern(location)
    store = pattern.partition("-")[0]
    return folder / f"{store}-{name.partition('-')[2]}"


def _pattern(location: StoreLocation) -> tuple[Path, str]:
    spool = spool_of(location.url, "*", location.spool)
    if spool is None:
        raise ValueError("a store in memory has no spool")
    return spool.path.parent, spool.path.name
