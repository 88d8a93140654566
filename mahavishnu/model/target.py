"""Target: one thing a task can be sent to, what it costs and how it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from mahavishnu.errors import InvalidTarget
from mahavishnu.model.money import Micros, to_micros
from mahavishnu.model.task import NAME

ANY = "*"
"""The task type of a generalist: a target that takes every task type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostModel:
    """What an execution costs where the target itself does not say."""

    per_run_usd: Decimal = Decimal(0)

    def cost(self) -> Micros:
        return to_micros(self.per_run_usd)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An adapter plus what runs there. `place` is its rank in the default order, lowest first."""

    name: str
    adapter: str
    run: str
    task_types: frozenset[str]
    capabilities: frozenset[str] = frozenset()
    cost_model: CostModel = CostModel()
    timeout_ms: int | None = None
    enabled: bool = True
    place: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise self._invalid("name", "must be one word of letters, digits and _.:/@-, at most 100 long")
        if not self.run.strip():
            raise self._invalid("run", "is empty; it names what the adapter runs, such as package.module:function")
        for name in ("task_types", "capabilities"):
            object.__setattr__(self, name, frozenset(getattr(self, name)))
        if not self.task_types:
            raise self._invalid("task_types", f'is empty; name at least one, or "{ANY}" for every type')
        for word in self.task_types | self.capabilities:
            if word != ANY and not NAME.fullmatch(word):
                raise self._invalid("task_types or capabilities", f"holds {word!r}, which is not one word")
        if not self.cost_model.per_run_usd.is_finite() or self.cost_model.per_run_usd < 0:
            raise self._invalid("cost_per_run", f"must be 0 or more dollars, not {self.cost_model.per_run_usd}")
        if self.timeout_ms is not None and self.timeout_ms <= 0:
            raise self._invalid("timeout_ms", f"must be above 0, not {self.timeout_ms}")

    def _invalid(self, name: str, problem: str) -> InvalidTarget:
        return InvalidTarget(target=self.name, field=name, problem=problem)

    def takes(self, task_type: str) -> bool:
        return task_type in self.task_types or ANY in self.task_types


class HealthStatus(StrEnum):
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNREACHABLE = "unreachable"
    UNAUTHORISED = "unauthorised"
    MISCONFIGURED = "misconfigured"


@dataclass(frozen=True, slots=True)
class Health:
    """How a target is. A degraded one still takes work; the others do not."""

    status: HealthStatus
    detail: str = ""

    @property
    def can_run(self) -> bool:
        return self.status in (HealthStatus.HEALTHY, HealthStatus.DEGRADED)


HEALTHY = Health(HealthStatus.HEALTHY)
