"""Target: one thing a task can be sent to, what it costs and how it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import Any

from mahavishnu.errors import InvalidTarget
from mahavishnu.model.execution import Usage
from mahavishnu.model.money import Micros, to_micros
from mahavishnu.model.task import NAME
from mahavishnu.redaction import redacted

ANY = "*"
"""The task type of a generalist: a target that takes every task type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostModel:
    """What an execution costs where the target itself does not say: rates for whatever engines charge by.

    A fixed monthly price is spread over the runs that a month is expected to have. The sum is rounded once.

    >>> CostModel(per_second_usd=Decimal("0.0001")).cost(Usage(seconds=2.5))
    250
    >>> CostModel(per_run_usd=Decimal("0.001"), monthly_usd=Decimal(30), monthly_runs=10_000).cost(Usage())
    4000
    """

    per_run_usd: Decimal = Decimal(0)
    per_second_usd: Decimal = Decimal(0)
    per_agent_second_usd: Decimal = Decimal(0)
    per_query_usd: Decimal = Decimal(0)
    per_input_token_usd: Decimal = Decimal(0)
    per_cached_token_usd: Decimal = Decimal(0)
    per_output_token_usd: Decimal = Decimal(0)
    monthly_usd: Decimal = Decimal(0)
    monthly_runs: int = 1

    def cost(self, usage: Usage) -> Micros:
        used = (
            (self.per_run_usd, 1),
            (self.per_second_usd, usage.seconds),
            (self.per_agent_second_usd, usage.agent_seconds),
            (self.per_query_usd, usage.queries),
            (self.per_input_token_usd, usage.input_tokens),
            (self.per_cached_token_usd, usage.cached_tokens),
            (self.per_output_token_usd, usage.output_tokens),
        )
        total = sum((rate * Decimal(str(units)) for rate, units in used if rate), Decimal(0))
        return to_micros(total + self.monthly_usd / self.monthly_runs)

    def most(self, seconds: float) -> Micros | None:
        """The most that a run of so many seconds can cost; None where a rate is for something that nothing bounds.

        >>> CostModel(per_second_usd=Decimal("0.0001")).most(10)
        1000
        >>> CostModel(per_output_token_usd=Decimal("0.00001")).most(10) is None
        True
        """
        unbounded = (
            self.per_agent_second_usd,
            self.per_query_usd,
            self.per_input_token_usd,
            self.per_cached_token_usd,
            self.per_output_token_usd,
        )
        return None if any(unbounded) else self.cost(Usage(seconds=seconds))

    @property
    def version(self) -> str:
        """A short name for these very rates, kept with every cost that was worked out from them."""
        return _version(self)

    def problem(self) -> str | None:
        """What is wrong with it, if anything is."""
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Decimal) and not (value.is_finite() and value >= 0):
                return f"{each.name} must be 0 or more dollars, not {value}"
        return None if self.monthly_runs >= 1 else f"monthly_runs must be at least 1, not {self.monthly_runs}"


@lru_cache
def _version(rates: CostModel) -> str:
    return sha256(repr(rates).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An adapter plus what runs there. `place` is its rank in the default order, lowest first.

    `max_cost_usd` is the most that one run of it can cost: what a budget sets aside before each.
    `max_concurrent` bounds how many runs of it this process has under way at once; the others wait their turn. Where
    no rate is given, its adapter's usual price for the `deployment` ("local", "cloud") is what a run costs.
    """

    name: str
    adapter: str
    run: str
    task_types: frozenset[str]
    capabilities: frozenset[str] = frozenset()
    cost_model: CostModel = CostModel()
    deployment: str = "local"
    timeout_ms: int | None = None
    max_concurrent: int | None = None
    max_cost_usd: Decimal | None = None
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
        if problem := self.cost_model.problem():
            raise self._invalid("cost_model", problem)
        self._check_bounds()

    def _check_bounds(self) -> None:
        most = self.max_cost_usd
        if most is not None and not (most.is_finite() and most >= 0):
            raise self._invalid("max_cost_usd", f"must be 0 or more dollars, not {most}")
        for name in ("timeout_ms", "max_concurrent"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise self._invalid(name, f"must be above 0, not {value}")

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
    """How a target is. A degraded one still takes work; the others do not. `detail` passes the redactor here."""

    status: HealthStatus
    detail: str = ""

    def __post_init__(self) -> None:
        if self.detail:
            object.__setattr__(self, "detail", redacted(self.detail))

    @property
    def can_run(self) -> bool:
        return self.status in (HealthStatus.HEALTHY, HealthStatus.DEGRADED)


HEALTHY = Health(HealthStatus.HEALTHY)
