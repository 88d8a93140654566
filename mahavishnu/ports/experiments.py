"""What a store promises about experiments: how they stand, and what came of the tasks that were assigned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from mahavishnu.model.experiment import ExperimentRun
from mahavishnu.model.unreadable import Rows


class Stage(StrEnum):
    """What of a unit is counted once: that it was assigned, and what came of it."""

    ASSIGNED = "assigned"
    HEARD = "heard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What came of a task that was assigned by chance: the end of its first attempt, on the target that was chosen.

    `latency_ms` is None where it did not succeed, or nobody measured it.
    """

    position: int
    decision_id: str
    unit: str | None
    treated: bool
    probability: float
    task_type: str
    target: str
    succeeded: bool
    latency_ms: float | None
    cost_usd: float
    quality: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """A task that was assigned by chance, and whether anything was heard of it: that an attempt ended, or that there
    was nobody to choose. What is neither is on its way, or its record was lost."""

    position: int
    decision_id: str
    unit: str | None
    treated: bool
    probability: float
    heard: bool


class Experiments(Protocol):
    """Experiments: each under a name of its own for ever. Assignments are written with their decision, by `record`."""

    async def create_experiment(self, run: ExperimentRun) -> None:
        """Raises `ExperimentExists`."""
        ...

    async def experiment(self, name: str) -> ExperimentRun | None: ...

    async def experiments(self) -> Rows[ExperimentRun]:
        """Those created last come first."""
        ...

    async def move_experiment(
        self, before: ExperimentRun, after: ExperimentRun, *, heard: Sequence[str] = (), assigned: Sequence[str] = ()
    ) -> bool:
        """Go on from `before`, and note the units that were counted, in one transaction.

        False, and nothing kept, where somebody else went on from there: `after.revision` is one above `before`'s.
        """
        ...

    async def observations(self, experiment: str, since: int, limit: int) -> Sequence[Observation]:
        """At most so many, after the position `since`, in the order of commit, wherever they are kept by now.

        Only ends that count (`Status.counts_in_experiment`) of first attempts that were no fallback, of decisions whose
        assignment has a probability.
        """
        ...

    async def assigned(self, experiment: str, since: int, before_us: int, limit: int) -> Sequence[Assigned]:
        """At most so many, after the position `since`, in the order in which they were assigned; up to the first one
        that was assigned at `before_us` or later."""
        ...

    async def counted_units(self, experiment: str, stage: Stage, units: Sequence[str]) -> frozenset[str]:
        """Those of these units that were noted before."""
        ...
