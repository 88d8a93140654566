"""What the store cannot or will not do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mahavishnu.errors.root import MahavishnuError, stopped
from mahavishnu.redaction import redacted, shown_url


class RepositoryError(MahavishnuError):
    """The store cannot be used, or will not do what was asked of it."""

    code = "repository"


@dataclass(eq=False, kw_only=True)
class StoreUnavailable(RepositoryError):
    code: ClassVar[str] = "store-unavailable"
    url: str
    problem: str

    def __post_init__(self) -> None:
        self.url, self.problem = shown_url(self.url), redacted(self.problem)

    def __str__(self) -> str:
        return stopped(f"The {self._store} cannot be used: {self.problem}")

    @property
    def _store(self) -> str:
        """With its URL, where the place that raised it knows that."""
        return f"store {self.url}".rstrip()


@dataclass(eq=False, kw_only=True)
class StoreSilent(StoreUnavailable):
    """It has not answered in time: what was asked for may still happen.

    `patience_over`: it had all of the store's patience, and not only what was left of a task's deadline.
    """

    code: ClassVar[str] = "store-silent"
    patience_over: bool = True


@dataclass(eq=False, kw_only=True)
class NotWritten(StoreUnavailable):
    """It answers, and cannot write this one thing."""

    code: ClassVar[str] = "not-written"


@dataclass(eq=False, kw_only=True)
class NotDurable(StoreUnavailable):
    """A task has run, and neither the store nor the local disk takes how it ended: that is kept in memory meanwhile."""

    code: ClassVar[str] = "not-durable"
    execution_id: str

    def __str__(self) -> str:
        return (
            f"Execution {self.execution_id} has ended, but this is not on any disk yet: {self.problem}. It is kept in"
            f" memory and written once the {self._store} or the disk takes it; do not end this process before."
        )


@dataclass(eq=False, kw_only=True)
class TakenOver(RepositoryError):
    """This process was given up while it was stopped or cut off: what it had begun by then goes no further."""

    code: ClassVar[str] = "taken-over"
    process_id: str

    def __str__(self) -> str:
        return (
            f"Process {self.process_id} was taken for dead while it was stopped or cut off from the store, and its runs"
            " were given up; run the task again."
        )


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


@dataclass(eq=False, kw_only=True)
class JobTakenOver(RepositoryError):
    """A run of a job that lost its claim: another process runs it now."""

    code: ClassVar[str] = "job-taken-over"
    job: str

    def __str__(self) -> str:
        return (
            f"Another process has taken {self.job} over, because this one could not be heard of in time; "
            "what this one had begun was stopped, and the other one does it."
        )


@dataclass(eq=False, kw_only=True)
class RecordUnreadable(RepositoryError):
    """One row of the store cannot be read by this version; all others can."""

    code: ClassVar[str] = "record-unreadable"
    what: str
    problem: str
    mend: str

    def __str__(self) -> str:
        return f"The {self.what} cannot be read by this version: {self.problem}; {self.mend}."
