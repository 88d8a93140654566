"""Experiments of the store in memory."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile
from typing import Any, TypeVar

from mahavishnu.errors import ExperimentExists
from mahavishnu.model import Decision, Execution
from mahavishnu.model.experiment import Assignment, ExperimentRun
from mahavishnu.model.unreadable import Rows
from mahavishnu.ports import Assigned, Evidence, Observation, Stage
from mahavishnu.storage.sql.experiments.rows import assigned_of, is_observation, observation_of, observation_row
from mahavishnu.storage.sql.facts.fact_rows import assignment_row

P = TypeVar("P", bound=tuple[Any, ...])


@dataclass(slots=True)
class ExperimentMemory:
    runs: dict[str, ExperimentRun] = field(default_factory=dict)
    units: defaultdict[tuple[str, Stage], set[str]] = field(default_factory=lambda: defaultdict(set))
    assignments: list[tuple[int, Decision, Assignment]] = field(default_factory=list)
    drawn: dict[tuple[str, str], Assignment] = field(default_factory=dict)
    """By experiment and decision; only those that were left to chance."""
    heard: set[str] = field(default_factory=set)
    """The decisions that there is any end of, or that had nobody to choose."""

    def add(self, position: int, decision: Decision, assignment: Assignment) -> None:
        self.assignments.append((position, decision, assignment))
        if assignment.probability is not None:
            self.drawn[assignment.experiment, decision.id] = assignment

    def take_back(self) -> None:
        """Undo the last `add`."""
        _, decision, assignment = self.assignments.pop()
        self.drawn.pop((assignment.experiment, decision.id), None)


class MemoryExperiments(ABC):
    """The part of the store in memory that keeps experiments."""

    @abstractmethod
    def _kept_experiments(self) -> ExperimentMemory: ...

    @abstractmethod
    def _kept_evidence(self) -> Sequence[tuple[int, Evidence]]: ...

    async def create_experiment(self, run: ExperimentRun) -> None:
        kept = self._kept_experiments()
        if (found := kept.runs.get(run.name)) is not None:
            raise ExperimentExists(experiment=run.name, status=found.status.value)
        kept.runs[run.name] = _copied(run)

    async def experiment(self, name: str) -> ExperimentRun | None:
        found = self._kept_experiments().runs.get(name)
        return None if found is None else _copied(found)

    async def experiments(self) -> Rows[ExperimentRun]:
        found = sorted(self._kept_experiments().runs.values(), key=lambda each: (each.created_at_us, each.name))
        return Rows(_copied(each) for each in reversed(found))

    async def move_experiment(
        self, before: ExperimentRun, after: ExperimentRun, *, heard: Sequence[str] = (), assigned: Sequence[str] = ()
    ) -> bool:
        kept = self._kept_experiments()
        found = kept.runs.get(before.name)
        if found is None or found.revision != before.revision:
            return False
        kept.runs[before.name] = _copied(after)
        kept.units[before.name, Stage.HEARD].update(heard)
        kept.units[before.name, Stage.ASSIGNED].update(assigned)
        return True

    async def observations(self, experiment: str, since: int, limit: int) -> Sequence[Observation]:
        drawn, evidence = self._kept_experiments().drawn, self._kept_evidence()
        found = (
            observation_of(observation_row(position, end, drawn[experiment, end.decision_id]))
            for position, end in _after(evidence, since)
            if isinstance(end, Execution) and is_observation(end) and (experiment, end.decision_id) in drawn
        )
        return list(islice(found, max(limit, 0)))

    async def assigned(self, experiment: str, since: int, before_us: int, limit: int) -> Sequence[Assigned]:
        kept = self._kept_experiments()
        drawn = (
            each
            for each in _after(kept.assignments, since)
            if each[2].experiment == experiment and each[2].probability is not None
        )
        found = (
            assigned_of(assignment_row(position, decision, each), heard=decision.id in kept.heard)
            for position, decision, each in takewhile(lambda each: each[1].at_us < before_us, drawn)
        )
        return list(islice(found, max(limit, 0)))

    async def counted_units(self, experiment: str, stage: Stage, units: Sequence[str]) -> frozenset[str]:
        return frozenset(units) & self._kept_experiments().units.get((experiment, stage), frozenset())


def _after(found: Sequence[P], since: int) -> Iterator[P]:
    """What has its position after this one, out of what is in the order of positions."""
    for place in range(bisect_right(found, since, key=lambda each: each[0]), len(found)):
        yield found[place]


def _copied(run: ExperimentRun) -> ExperimentRun:
    """As it would come back from a database."""
    return run if run.state is None else replace(run, state=json.loads(json.dumps(dict(run.state))))
