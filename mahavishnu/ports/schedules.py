"""What a scheduler promises: it begins jobs when they are due, on an engine that does nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mahavishnu.model.job import Job
from mahavishnu.ports.sandbox import Program


@dataclass(frozen=True, slots=True, kw_only=True)
class Upcoming:
    """What a scheduler has in store for one job: its next runs, as its engine has them, the earliest first.

    `name` is the engine's own name for it. One that is not `active` is known to the engine and waits for nothing.
    """

    job: str
    name: str
    active: bool
    at_us: Sequence[int]


class Scheduler(Protocol):
    """Begins the jobs of one store when they are due. It computes nothing, and never decides what is due.

    `AdapterError` is all that leaves it.
    """

    @property
    def url(self) -> str:
        """Where its engine is."""
        ...

    def on_its_own(self, folder: Path, port: int) -> tuple[Scheduler, Program]:
        """The same on an engine of its own, which listens on `port` and has all its data in `folder`."""
        ...

    def serving(self, jobs: Sequence[Job], folder: Path) -> Program:
        """What takes on these jobs and runs them here, one process each, until it is stopped.

        Up when the engine has all of them; it begins none that was due before.
        """
        ...

    async def pause(self) -> None:
        """Have the engine wait with what `serving` has taken on, until it is served again: nobody runs it now."""
        ...

    async def deploy(self, jobs: Sequence[Job], work_pool: str, folder: str) -> Sequence[str]:
        """Have these jobs run by whatever works for this pool, in `folder` over there; returns the engine's names."""
        ...

    async def upcoming(self) -> Sequence[Upcoming]:
        """Every job that the engine knows of this store, by name; raises `AdapterError` where it cannot be asked."""
        ...

    async def trigger(self, job: str) -> str:
        """Begin a run of a job now, and return its id, without waiting for its end. Raises `Misconfigured`."""
        ...

    async def close(self) -> None: ...
