"""What a backup, or restoring one, cannot or will not do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mahavishnu.errors.inputs import InputError
from mahavishnu.errors.root import stopped
from mahavishnu.errors.store import RepositoryError


@dataclass(eq=False, kw_only=True)
class BackupRefused(InputError):
    """The file for a backup is taken, or is something that must not be overwritten."""

    code: ClassVar[str] = "backup-refused"
    file: str
    problem: str

    def __str__(self) -> str:
        return stopped(f"No backup is written to {self.file}: {self.problem}")


@dataclass(eq=False, kw_only=True)
class BackupFailed(RepositoryError):
    code: ClassVar[str] = "backup-failed"
    file: str
    problem: str

    def __str__(self) -> str:
        return stopped(f"The backup {self.file} could not be written: {self.problem}")


@dataclass(eq=False, kw_only=True)
class BackupUnusable(RepositoryError):
    """The file is no backup, is damaged, or was written by a version that this one cannot read."""

    code: ClassVar[str] = "backup-unusable"
    file: str
    problem: str

    def __str__(self) -> str:
        return stopped(f"The backup {self.file} cannot be restored: {self.problem}")


@dataclass(eq=False, kw_only=True)
class RestoreRefused(RepositoryError):
    """The store to restore into is not empty, or is in use."""

    code: ClassVar[str] = "restore-refused"
    url: str
    problem: str

    def __str__(self) -> str:
        return stopped(f"Nothing is restored into {self.url}: {self.problem}")


@dataclass(eq=False, kw_only=True)
class RestoreFailed(RepositoryError):
    code: ClassVar[str] = "restore-failed"
    url: str
    problem: str

    def __str__(self) -> str:
        return stopped(f"The store {self.url} could not be restored: {self.problem}")
