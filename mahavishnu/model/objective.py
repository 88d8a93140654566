"""Objective: what a choice is to be good at, as weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, cast

from mahavishnu.errors import InvalidTask
from mahavishnu.model.values import Wrong, number, pairs, settle, shown, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """How much each of four things counts: only the proportions matter. Each is taken on a scale from 0 to 1."""

    success: float = 0.0
    cost: float = 0.0
    latency: float = 0.0
    quality: float = 0.0

    def __post_init__(self) -> None:
        settle(self, _CHECKS, _invalid)
        if not any(self.weights.values()):
            raise InvalidTask(field="objective", problem="has no weight above 0; give one of success, cost, latency")

    @property
    def weights(self) -> Mapping[str, float]:
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def __str__(self) -> str:
        for word, objective in OBJECTIVES.items():
            if self == objective:
                return word
        return ",".join(f"{name}={weight:g}" for name, weight in self.weights.items() if weight)


def _invalid(field: str, problem: str) -> InvalidTask:
    return InvalidTask(field="objective", problem=f"has a weight {field} that {problem}")


def _weight(given: object) -> float:
    try:
        return _bounded(given)
    except Wrong:
        raise Wrong(f"is not a number of 0 or more, and at most {MOST_WEIGHT}: {shown(given)}") from None


MOST_WEIGHT = 1_000_000_000
"""Only the proportions matter; without a bound their sum would not be finite."""

_bounded = number(0, MOST_WEIGHT)

_CHECKS = tuple((each.name, each.default, _weight) for each in fields(Objective))


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
    if issubclass(type(given), Objective):
        return cast("Objective", given)
    if issubclass(type(given), str):
        return _by_word(text(given))
    weights = _weights(given)
    names = {each.name for each in fields(Objective)}
    if unknown := sorted(weights.keys() - names):
        raise InvalidTask(
            field="objective", problem=f'weighs "{unknown[0]:.80}"; it can weigh {", ".join(sorted(names))}'
        )
    return Objective(**weights)


def objective(given: Any) -> Objective:
    """A check for an objective, given in any of these ways."""
    try:
        return objective_of(given)
    except InvalidTask as error:
        raise Wrong(error.problem) from None


def _by_word(given: str) -> Objective:
    word = given.lower().replace("_", "").replace("-", "").replace(" ", "")
    found = OBJECTIVES.get(ALIASES.get(word, word))
    if found is None:
        known = ", ".join(OBJECTIVES)
        raise InvalidTask(field="objective", problem=f'"{given:.80}" is none of {known}; or give weights')
    return found


def _weights(given: object) -> dict[str, float]:
    try:
        return {text(name): weight for name, weight in pairs(given, 'must be a word or weights such as {"success": 3}')}
    except Wrong as wrong:
        raise InvalidTask(field="objective", problem=str(wrong)) from None
