"""The metrics of the adaptive router's design (D.4, A.1), under their names there.

The records are views of what the store keeps: an `adapter` there is the adapter of a target here, and what a decision
selects is a target. Money is Decimal, and a rate of nothing is None.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from enum import StrEnum
from math import ceil, isfinite
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mahavishnu.compat.tracker import ExecutionTracker
from mahavishnu.model import Decision, Execution, Scorecard, Status
from mahavishnu.model.experiment import ExperimentRun, ExperimentStatus, Measure
from mahavishnu.model.identity import is_ulid
from mahavishnu.model.money import to_usd
from mahavishnu.model.reading import Reading
from mahavishnu.stats.evidence import estimate, merged
from mahavishnu.stats.intervals import wilson, z_for

__all__ = [
    "ABTest",
    "ABTestStatus",
    "AdapterStats",
    "CostTracking",
    "ExecutionRecord",
    "ExecutionTracker",
    "RoutingDecision",
    "TaskTypeStats",
    "calculate_confidence_interval",
    "calculate_percentiles",
]


def calculate_percentiles(
    latencies: Iterable[float], percentiles: Sequence[float] = (50.0, 95.0, 99.0)
) -> dict[str, float | None]:
    """The nearest-rank percentiles: of n values in order, p is the one at place ceil(p/100 · n). None of nothing.

    >>> calculate_percentiles([30, 10, 20], [50, 100])
    {'p50': 20, 'p100': 30}
    >>> calculate_percentiles([])
    {'p50': None, 'p95': None, 'p99': None}
    """
    ordered = sorted(latencies)
    if not all(map(isfinite, ordered)):
        raise ValueError("latencies must be finite numbers")
    if not all(0 <= each <= 100 for each in percentiles):
        raise ValueError("percentiles must lie between 0 and 100")
    found: dict[str, float | None] = {}
    for each in percentiles:
        # A hair below the product, which binary fractions may have carried past a whole number.
        place = max(1, ceil(each / 100 * len(ordered) - 1e-9))
        found[f"p{each:g}"] = ordered[place - 1] if ordered else None
    return found


def calculate_confidence_interval(
    sample_size: int, success_rate: float, confidence: float = 0.95
) -> tuple[float, float]:
    """Wilson's score interval for a success rate; no samples say nothing, so they give (0, 1).

    >>> calculate_confidence_interval(0, 0.0)
    (0.0, 1.0)
    >>> [round(end, 4) for end in calculate_confidence_interval(100, 1.0)]
    [0.963, 1.0]
    """
    if sample_size < 0:
        raise ValueError(f"sample_size must be 0 or more, not {sample_size}")
    if not 0 <= success_rate <= 1:
        raise ValueError(f"success_rate must lie between 0 and 1, not {success_rate}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    # All of them is said as all of them: a rate times n may miss n by a hair.
    successes = sample_size if success_rate == 1 else success_rate * sample_size
    return wilson(successes, sample_size, z_for(confidence))


Ulid = Annotated[str, Field(min_length=26, max_length=26, description="A ULID")]
Count = Annotated[int, Field(ge=0)]
Weight = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Milliseconds = Annotated[float, Field(ge=0)]
Usd = Annotated[Decimal, Field(ge=0)]


class Record(BaseModel):
    """What all of them are: closed, frozen, finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ExecutionRecord(Record):
    """One attempt, under the key exec:{ulid}; kept 90 days."""

    execution_id: Ulid
    adapter: str
    task_type: str
    start_timestamp: Annotated[float, Field(description="Seconds since 1970, UTC")]
    end_timestamp: float | None = None
    status: Status
    latency_ms: Milliseconds | None = None
    error_type: str | None = None
    error_message: str | None = None
    cost_usd: Usd = Decimal(0)
    metadata: Mapping[str, Any] = Field(default_factory=dict)

    @property
    def success(self) -> bool:
        return self.status is Status.SUCCEEDED

    @model_validator(mode="after")
    def _in_order(self) -> ExecutionRecord:
        if not is_ulid(self.execution_id):
            raise ValueError(f"execution_id must be a ULID, not {self.execution_id}")
        if self.end_timestamp is not None and self.end_timestamp < self.start_timestamp:
            raise ValueError("end_timestamp must not lie before start_timestamp")
        return self

    @classmethod
    def of(cls, execution: Execution) -> ExecutionRecord:
        return cls(
            execution_id=execution.id,
            adapter=execution.adapter,
            task_type=execution.task_type,
            start_timestamp=execution.started_at_us / 1e6,
            end_timestamp=None if execution.ended_at_us is None else execution.ended_at_us / 1e6,
            status=execution.status,
            latency_ms=execution.latency_ms,
            error_type=execution.error_code,
            error_message=execution.error,
            cost_usd=to_usd(execution.cost_micros),
            metadata={
                "decision_id": execution.decision_id,
                "target": execution.target,
                "attempt": execution.attempt,
                "fallback": execution.fallback,
            },
        )


class Stats(Record):
    """What both kinds of statistics have in common. Decayed evidence weighs less than it counts: totals are weights."""

    adapter: str
    total_executions: Weight = 0
    successes: Weight = 0
    success_rate: Share | None = None
    confidence_interval: tuple[Share, Share] = (0.0, 1.0)
    sample_size: Annotated[float, Field(ge=0, description="How many equally weighted executions say as much")] = 0
    avg_latency_ms: Milliseconds | None = None
    p50_latency_ms: Milliseconds | None = None
    p95_latency_ms: Milliseconds | None = None
    p99_latency_ms: Milliseconds | None = None
    error_counts: Mapping[str, Weight] = Field(default_factory=dict)
    cost_total_usd: Usd = Decimal(0)


class AdapterStats(Stats):
    """What is known of an adapter, under the key adapter:{adapter}:stats; kept 365 days."""

    @classmethod
    def of(cls, adapter: str, cards: Iterable[Scorecard]) -> AdapterStats:
        """The cards of all its targets, added up."""
        return cls(adapter=adapter, **_summed(cards))


class TaskTypeStats(Stats):
    """What is known of an adapter for one task type, under the key task_type:{task_type}:{adapter}."""

    task_type: str

    @classmethod
    def of(cls, task_type: str, adapter: str, cards: Iterable[Scorecard]) -> TaskTypeStats:
        """Those of the cards that are of this task type, added up."""
        summed = _summed(card for card in cards if card.task_type == task_type)
        return cls(task_type=task_type, adapter=adapter, **summed)


def _summed(cards: Iterable[Scorecard]) -> dict[str, Any]:
    card = merged(cards)
    seen = estimate(card)
    return {
        "total_executions": max(0.0, card.samples),
        "successes": max(0.0, card.successes),
        "success_rate": None if seen.rate is None else min(max(seen.rate, 0.0), 1.0),
        "confidence_interval": (seen.wilson_lo, seen.wilson_hi),
        "sample_size": seen.effective,
        "avg_latency_ms": seen.mean_latency_ms,
        "p50_latency_ms": seen.p50_ms,
        "p95_latency_ms": seen.p95_ms,
        "p99_latency_ms": seen.p99_ms,
        "error_counts": dict(card.errors),
        "cost_total_usd": to_usd(round(card.spent_micros)),
    }


class CostTracking(Record):
    """What an adapter cost on one UTC day, under the key cost:{date}:{adapter}; exact, and never sampled."""

    date: dt.date
    adapter: str
    executions: Count = 0
    total_cost_usd: Usd = Decimal(0)
    by_task_type: Mapping[str, Usd] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _adds_up(self) -> CostTracking:
        if self.by_task_type and sum(self.by_task_type.values()) != self.total_cost_usd:
            raise ValueError("by_task_type must add up to total_cost_usd")
        return self

    @classmethod
    def of(cls, day: dt.date, adapter: str, cards: Iterable[Scorecard], spent: Mapping[str, Decimal]) -> CostTracking:
        """How many executions that day's cards of its targets count, and what the ledger says of each task type."""
        counted: dict[str, int] = {}
        for card in cards:
            counted[card.task_type] = counted.get(card.task_type, 0) + round(card.cost_samples)
        return cls(
            date=day,
            adapter=adapter,
            executions=sum(counted.values()),
            total_cost_usd=sum(spent.values(), Decimal(0)),
            by_task_type={kind: spent.get(kind, Decimal(0)) for kind in sorted(counted.keys() | spent.keys())},
        )


class RoutingDecision(Record):
    """One choice, under the key routing:{ulid}; kept 365 days. Adapters are targets here."""

    decision_id: Ulid
    task_type: str
    selected_adapter: str | None
    alternative_adapters: Sequence[str] = ()
    reasoning: str
    adapter_scores: Mapping[str, float | None] = Field(default_factory=dict)
    probability: Share
    constraints: Mapping[str, Any] = Field(default_factory=dict)
    timestamp: Annotated[float, Field(description="Seconds since 1970, UTC")]

    @classmethod
    def of(cls, decision: Decision) -> RoutingDecision:
        task = decision.task
        constraints = {
            "capabilities": sorted(task.capabilities) or None,
            "exclude": sorted(task.exclude) or None,
            "max_cost": None if task.max_cost_usd is None else float(task.max_cost_usd),
            "max_latency_ms": task.max_latency_ms,
            "min_success_rate": task.min_success_rate,
            "min_quality": task.min_quality,
            "deadline_ms": task.deadline_ms,
        }
        return cls(
            decision_id=decision.id,
            task_type=task.type,
            selected_adapter=decision.selected,
            alternative_adapters=decision.alternatives,
            reasoning=decision.reason,
            adapter_scores={each.target: each.score for each in decision.considered if each.eligible},
            probability=decision.probability,
            constraints={name: value for name, value in constraints.items() if value is not None},
            timestamp=decision.at_us / 1e6,
        )


class ABTestStatus(StrEnum):
    ACTIVE = "active"
    COMPLETED = "completed"
    ROLLED_BACK = "rolled_back"
    CANCELLED = "cancelled"


_WON = {ExperimentStatus.PROMOTED: "treatment", ExperimentStatus.ROLLED_BACK: "control"}


class ABTest(Record):
    """A controlled comparison, under the key ab_test:{id}; its id is the name of an experiment."""

    experiment_id: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(min_length=1)]
    start_date: dt.date
    end_date: dt.date | None = None
    status: ABTestStatus = ABTestStatus.ACTIVE
    traffic_split: Mapping[str, Share] = Field(default_factory=dict)
    sample_size: Mapping[str, Count] = Field(default_factory=dict)
    success_metric: str = "success_rate"
    significance_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.05
    results: Mapping[str, Any] | None = None
    winner: str | None = None

    @model_validator(mode="after")
    def _can_be_meant(self) -> ABTest:
        if self.end_date is not None and self.end_date < self.start_date:
            raise ValueError("end_date must not lie before start_date")
        if self.traffic_split and abs(sum(self.traffic_split.values()) - 1) > 1e-9:
            raise ValueError("the shares of traffic_split must add up to 1")
        if self.winner is not None and self.traffic_split and self.winner not in self.traffic_split:
            raise ValueError("winner must be one of those that had traffic")
        return self

    @classmethod
    def of(cls, run: ExperimentRun, reading: Reading | None) -> ABTest:
        """As it stands; a share that ramps is the one of its start, and a broken one counts as cancelled."""
        experiment = run.experiment
        arms = {} if reading is None else {"treatment": reading.treatment, "control": reading.control}
        return cls(
            experiment_id=run.name,
            name=run.name,
            start_date=_date_of(run.created_at_us if run.started_at_us is None else run.started_at_us),
            end_date=None if run.ended_at_us is None else _date_of(run.ended_at_us),
            status=_seeds_status(run.status),
            traffic_split={"treatment": experiment.share, "control": 1 - experiment.share},
            sample_size={name: arm.outcomes for name, arm in arms.items()},
            success_metric="success_rate" if experiment.primary is Measure.SUCCESS else experiment.primary.value,
            significance_threshold=experiment.alpha,
            results=None if reading is None else _results(run, reading),
            winner=_WON.get(run.status),
        )


def _seeds_status(status: ExperimentStatus) -> ABTestStatus:
    match status:
        case ExperimentStatus.ROLLED_BACK:
            return ABTestStatus.ROLLED_BACK
        case ExperimentStatus.BROKEN:
            return ABTestStatus.CANCELLED
        case _:
            return ABTestStatus.COMPLETED if status.over else ABTestStatus.ACTIVE


def _results(run: ExperimentRun, reading: Reading) -> dict[str, Any]:
    return {
        "status": run.status.value,
        "note": run.note,
        "treatment": asdict(reading.treatment),
        "control": asdict(reading.control),
        "e_value_worse": reading.worse,
        "e_value_better": reading.better,
        "e_value_needed": reading.needed,
    }


def _date_of(at_us: int) -> dt.date:
    return dt.datetime.fromtimestamp(at_us / 1e6, dt.UTC).date()
