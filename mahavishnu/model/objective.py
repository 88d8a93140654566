"""Objective: what a choice is to be good at, as weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

from mahavishnu.errors import InvalidTask


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """How much each of four things counts: only the proportions matter. Each is taken on a scale from 0 to 1."""

    success: float = 0.0
    cost: float = 0.0
    latency: float = 0.0
    quality: float = 0.0

    def __post_init__(self) -> None:
        weights = self.weights
        bad = [name for name, weight in weights.items() if not (math.isfinite(weight) and weight >= 0)]
        if bad:
            raise InvalidTask(field="objective", problem=f"has a weight {bad[0]} that is not a number of 0 or more")
        if not any(weights.values()):
            raise InvalidTask(field="objective", problem="has no weight above 0; give one of success, cost, latency")

    @property
    def weights(self) -> Mapping[str, float]:
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def __str__(self) -> str:
        for word, objective in OBJECTIVES.items():
            if self == objective:
                return word
        return ",".join(f"{name}={weight:g}" for name, weight in self.weights.items() if weight)


OBJECTIVES: Mapping[str, Objective] = {
    "success": Objective(success=1),
    "cost": Objective(success=0.3, cost=0.7),
    "latency": Objective(success=0.3, latency=0.7),
    "quality": Objective(success=0.3, quality=0.7),
    "balanced": Objective(success=0.4, cost=0.2, latency=0.2, quality=0.2),
    "weighted": Objective(success=0.6, cost=0.4),
}
"""A target that always fails is neither fast nor cheap, so that success has its weight in all of them."""

ALIASES: Mapping[str, str] = {
    "interactive": "latency",
    "batch": "cost",
    "critical": "success",
    "costefficient": "cost",
}


def objective_of(given: str | Mapping[str, float] | Objective) -> Objective:
    """By its word, by one of the seeds' words for it, or by its weights. Raises InvalidTask.

    >>> objective_of("interactive") == objective_of("Latency") == OBJECTIVES["latency"]
    True
    >>> str(objective_of({"success": 0.6, "cost": 0.4})), str(objective_of({"success": 3, "latency": 1}))
    ('weighted', 'success=3,latency=1')
    """
    if isinstance(given, Objective):
        return given
    if isinstance(given, str):
        word = given.lower().replace("_", "").replace("-", "").replace(" ", "")
        found = OBJECTIVES.get(ALIASES.get(word, word))
        if found is None:
            known = ", ".join(OBJECTIVES)
            raise InvalidTask(field="objective", problem=f'"{given:.80}" is none of {known}; or give weights')
        return found
    names = {each.name for each in fields(Objective)}
    if unknown := sorted(given.keys() - names):
        raise InvalidTask(
            field="objective", problem=f'weighs "{unknown[0]:.80}"; it can weigh {", ".join(sorted(names))}'
        )
    bad = [name for name, weight in given.items() if isinstance(weight, bool) or not isinstance(weight, int | float)]
    if bad:
        raise InvalidTask(field="objective", problem=f"has a weight {bad[0]} that is not a number of 0 or more")
    return Objective(**{name: float(weight) for name, weight in given.items()})
