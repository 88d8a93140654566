"""Target: one thing a task can be sent to, what it costs and how it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import Any

from mahavishnu.errors import InvalidCostModel, InvalidTarget
from mahavishnu.model.execution import Usage
from mahavishnu.model.money import MOST_USD, Micros, to_micros
from mahavishnu.model.task import NAME, word
from mahavishnu.model.values import (
    ANYWAY,
    MOST,
    Check,
    Wrong,
    amount,
    flag,
    names,
    of_kind,
    settle,
    shown,
    table,
    text,
    whole,
)
from mahavishnu.redaction import redacted

_MOST_COST = Decimal(MOST_USD)

ANY = "*"
"""The task type of a generalist: a target that takes every task type."""

BROKEN = "broken_on_purpose"
"""The capability of a target that its engine has only to show what failures look like. Discovery leaves it out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostModel:
    """What an execution costs where the target itself does not say: rates for whatever engines charge by.

    A fixed monthly price is spread over the runs that a month is expected to have. The sum is rounded once, and is at
    most what a ledger takes as one amount: an engine that reports 2**60 tokens is charged a billion dollars.

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

    def __post_init__(self) -> None:
        settle(self, _RATE_CHECKS, _invalid_rate)

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
        return to_micros(min(total + self.monthly_usd / self.monthly_runs, _MOST_COST))

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


def _invalid_rate(field: str, problem: str) -> InvalidCostModel:
    return InvalidCostModel(field=field, problem=problem)


_RATE_CHECKS: tuple[tuple[str, object, Check], ...] = (
    *((each.name, each.default, amount) for each in fields(CostModel) if each.name.endswith("_usd")),
    ("monthly_runs", 1, whole(1)),
)


@lru_cache
def _version(rates: CostModel) -> str:
    return sha256(repr(rates).encode()).hexdigest()[:12]


def broken_on_purpose(description: object) -> bool:
    """Whether an engine's description of an agent, a model or a flow says that it is broken on purpose.

    >>> broken_on_purpose("Broken on purpose: every run fails.")
    True
    """
    return isinstance(description, str) and description.lower().startswith("broken on purpose")


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
        settle(self, _CHECKS, self._invalid)

    def _invalid(self, name: str, problem: str) -> InvalidTarget:
        carried = self.name if type(self.name) is str else shown(self.name)
        return InvalidTarget(target=f"{carried:.100}", field=name, problem=problem)

    def takes(self, task_type: str) -> bool:
        return task_type in self.task_types or ANY in self.task_types


def _run(given: object) -> str:
    kept = text(given)
    if not kept.strip():
        raise Wrong("is empty; it names what the adapter runs, such as package.module:function")
    return kept


def _words(given: object) -> frozenset[str]:
    kept = names(given)
    for name in kept:
        if name != ANY and not NAME.fullmatch(name):
            raise Wrong(f"holds {shown(name)}, which is not one word of letters, digits and _.:/@-")
    return kept


def _task_types(given: object) -> frozenset[str]:
    kept = _words(given)
    if not kept:
        raise Wrong(f'is empty; name at least one, or "{ANY}" for every type')
    return kept


_CHECKS: tuple[tuple[str, object, Check], ...] = (
    ("name", ANYWAY, word),
    ("adapter", ANYWAY, text),
    ("run", ANYWAY, _run),
    ("task_types", ANYWAY, _task_types),
    ("capabilities", ANYWAY, _words),
    ("cost_model", ANYWAY, of_kind(CostModel, 'a CostModel such as CostModel(per_run_usd=Decimal("0.01"))')),
    ("deployment", "local", text),
    ("timeout_ms", None, whole(1)),
    ("max_concurrent", None, whole(1)),
    ("max_cost_usd", None, amount),
    ("enabled", True, flag),
    ("place", 0, whole(-MOST)),
    ("options", ANYWAY, table),
)


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
