"""Guarding: the bets on one guardrail of an experiment, and what they need to know of the outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Protocol

from mahavishnu.model.experiment import Guardrail, Measure
from mahavishnu.ports import Observation
from mahavishnu.stats.betting import AssignmentBet
from mahavishnu.stats.bins import BREACH, FALL, RISE, Bins, edges_of
from mahavishnu.stats.difference import DifferenceBet
from mahavishnu.stats.sketch import bucket_of

Edges = Mapping[str, tuple[float, ...]]
"""Between the bins of a task type."""

ENOUGH = 100
"""A baseline of fewer values says too little about where the bins are to end."""

NOT_BET_ON = 1.0
"""The e-value of a question that nobody asked."""


class Guard(Protocol):
    """Takes in every outcome, and says what it makes of its own measure. What it remembers is JSON."""

    guardrail: Guardrail

    def hear(self, observation: Observation) -> None: ...

    @property
    def worse(self) -> float: ...

    @property
    def better(self) -> float: ...

    def interval(self, alpha: float) -> tuple[float, float] | None: ...

    def kept(self) -> dict[str, Any]: ...

    def resume(self, kept: Mapping[str, Any]) -> None: ...


def guard_of(guardrail: Guardrail, edges: Edges, *, primary: bool) -> Guard:
    """What watches a guardrail; `edges` are those of its baseline, where there is one."""
    return RateGuard(guardrail) if guardrail.measure.of_rates else ValueGuard(guardrail, edges, primary=primary)


def value_of_observation(measure: Measure, observation: Observation) -> float | None:
    """In what the scorecards count: milliseconds, micro-dollars, shares. None where it has none."""
    match measure:
        case Measure.SUCCESS:
            return float(observation.succeeded)
        case Measure.QUALITY:
            return observation.quality
        case Measure.LATENCY:
            return observation.latency_ms if observation.succeeded else None
        case Measure.COST:
            return float(micros_of(observation))


def micros_of(observation: Observation) -> int:
    return round(observation.cost_usd * 1e6)


class RateGuard:
    """Success or quality, by how much it differs between the arms."""

    def __init__(self, guardrail: Guardrail) -> None:
        self.guardrail = guardrail
        self._bet = DifferenceBet(guardrail.margin, of_rates=guardrail.measure is Measure.SUCCESS)

    def hear(self, observation: Observation) -> None:
        value = value_of_observation(self.guardrail.measure, observation)
        if value is not None:
            self._bet.add(observation.treated, value, observation.probability)

    @property
    def worse(self) -> float:
        return self._bet.worse

    @property
    def better(self) -> float:
        return self._bet.better

    def interval(self, alpha: float) -> tuple[float, float] | None:
        return self._bet.interval(alpha)

    def kept(self) -> dict[str, Any]:
        return self._bet.kept()

    def resume(self, kept: Mapping[str, Any]) -> None:
        self._bet = DifferenceBet.resumed(kept)


class ValueGuard:
    """Latency or cost, by the bins that its values fall into, and by how often a promised limit is broken.

    A task type without a baseline gets one from its first controls; until then nothing of it is bet on, in either arm.
    """

    def __init__(self, guardrail: Guardrail, edges: Edges, *, primary: bool) -> None:
        self.guardrail = guardrail
        self._bins = Bins(edges=dict(edges), margin=guardrail.margin)
        self._learning: dict[str, Counter[int]] = {}
        self._rise = AssignmentBet(RISE)
        self._fall = AssignmentBet(FALL) if primary else None
        self._breach = None if guardrail.limit is None else AssignmentBet(BREACH)

    def hear(self, observation: Observation) -> None:
        value = value_of_observation(self.guardrail.measure, observation)
        if value is None:
            return
        if self._breach is not None:
            self._breach.add(
                observation.treated, int(value > self._limit()), observation.probability, observation.task_type
            )
        category = self._bins.place(treated=observation.treated, value=value, stratum=observation.task_type)
        if category is None:
            self._learn(observation, value)
            return
        self._rise.add(observation.treated, category, observation.probability, observation.task_type)
        if self._fall is not None:
            self._fall.add(observation.treated, category, observation.probability, observation.task_type)

    @property
    def worse(self) -> float:
        # The mean of two e-values is one, however much they depend on each other.
        return self._rise.e_value if self._breach is None else (self._rise.e_value + self._breach.e_value) / 2

    @property
    def better(self) -> float:
        return NOT_BET_ON if self._fall is None else self._fall.e_value

    def interval(self, alpha: float) -> tuple[float, float] | None:
        """Bins have an order, and no distances."""
        del alpha
        return None

    def kept(self) -> dict[str, Any]:
        return {
            "edges": {stratum: list(edges) for stratum, edges in self._bins.edges.items()},
            "learning": {stratum: sorted(map(list, counts.items())) for stratum, counts in self._learning.items()},
            "rise": self._rise.kept(),
            "fall": None if self._fall is None else self._fall.kept(),
            "breach": None if self._breach is None else self._breach.kept(),
        }

    def resume(self, kept: Mapping[str, Any]) -> None:
        self._bins = _bins(kept["edges"], self.guardrail.margin)
        self._learning = {stratum: Counter(dict(counts)) for stratum, counts in kept["learning"].items()}
        self._rise = AssignmentBet.resumed(RISE, kept["rise"])
        if self._fall is not None:
            self._fall = AssignmentBet.resumed(FALL, kept["fall"])
        if self._breach is not None:
            self._breach = AssignmentBet.resumed(BREACH, kept["breach"])

    def _limit(self) -> float:
        limit = self.guardrail.limit or 0.0
        return float(round(limit * 1e6)) if self.guardrail.measure is Measure.COST else limit

    def _learn(self, observation: Observation, value: float) -> None:
        if observation.treated:
            return
        counts = self._learning.setdefault(observation.task_type, Counter())
        counts[bucket_of(value)] += 1
        if counts.total() >= ENOUGH and (edges := edges_of(counts)) is not None:
            del self._learning[observation.task_type]
            self._bins = _bins({**self._bins.edges, observation.task_type: edges}, self.guardrail.margin)


def _bins(edges: Mapping[str, Any], margin: float) -> Bins:
    return Bins(edges={stratum: tuple(each) for stratum, each in edges.items()}, margin=margin)
