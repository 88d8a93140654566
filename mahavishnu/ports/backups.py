"""What a backup says of itself, what a restore did, and what a check of a store found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is in all: bytes or rows, 0 where unknown."""


def silent(_stage: str, _done: int, _total: int) -> None:
    """Progress that is shown to nothing."""


@dataclass(frozen=True, slots=True)
class StoreLocation:
    """Where a store is: its URL, the folder of its lake, the folder of this machine's spool; "" means the default."""

    url: str = field(repr=False)  # its password may be in it
    lake: str = ""
    spool: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file of a backup."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupManifest:
    """What a backup holds. Every file of it is named here with its hash; `position` is the newest of its facts."""

    format: int
    version: str
    schema: str
    source: str
    url: str
    created_at: str
    position: int
    tables: Mapping[str, int]
    lake_parts: int
    spooled: int
    members: Mapping[str, Member]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A store as it was put in place. `aside` is where the one went that was there before; None where there was none.

    `upgraded_from` is the schema of the backup where that was an older one.
    """

    url: str
    manifest: BackupManifest
    lake: Path
    aside: str | None = None
    upgraded_from: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One promise of a store, held against what is stored.

    `looked_at` is how many things were compared; `failures` how many of them are wrong, and `examples` the first few.
    """

    name: str
    looked_at: int
    failures: int
    examples: Sequence[str]
    mend: str

    @property
    def ok(self) -> bool:
        return not self.failures


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What the checks found, all at one moment of the store."""

    url: str
    position: int
    checks: Sequence[Check]

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)
