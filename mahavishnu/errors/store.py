"""What the store cannot or will not do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mahavishnu.errors.root import MahavishnuError


class RepositoryError(MahavishnuError):
    """The store cannot be used, or will not do what was asked of it."""

    code = "repository"


@dataclass(eq=False, kw_only=True)
class StoreUnavailable(RepositoryError):
    code: ClassVar[str] = "store-unavailable"
    url: str
    problem: str

    def __str__(self) -> str:
        return f"The store {self.url} cannot be used: {self.problem}."


@dataclass(eq=False, kw_only=True)
class StoreOutdated(RepositoryError):
    code: ClassVar[str] = "store-outdated"
    url: str
    found: str
    wanted: str

    def __str__(self) -> str:
        return (
            f"The store {self.url} has schema {self.found} and this version needs {self.wanted}; "
            "run: mahavishnu store upgrade"
        )


@dataclass(eq=False, kw_only=True)
class SnapshotConflict(RepositoryError):
    code: ClassVar[str] = "snapshot-conflict"
    version: int

    def __str__(self) -> str:
        return f"Snapshot {self.version} was published by somebody else first; read the newest one and fold again."
