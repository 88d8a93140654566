"""Scorecard: the folded evidence for one (target, task type), and the Estimate that is read off it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mahavishnu.model.deferred import Deferred

DAY_US = 86_400_000_000


def day_of(at_us: int) -> int:
    """The UTC day of a time, in days since 1970.

    >>> day_of(0), day_of(DAY_US - 1), day_of(DAY_US)
    (0, 0, 1)
    """
    return at_us // DAY_US


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """Sums only: folding is addition, so any order and any grouping gives the same card.

    Every number is whole as long as nothing was weighed; days that were weighed by their age add up to floats.
    `samples` are the executions that say something about the target, as outcomes have corrected them. `failed`,
    `timed_out`, `unsuitable`, `lost`, `refused` and `cancelled` are how executions ended, whatever was learnt later;
    the last three are no samples. `squares` is the sum of the squared weights of the samples. `cost_micros` is what the
    samples cost, `spent_micros` what everything did. `latency_us` and `latency` count successes only: a fast failure is
    not speed. `latency` (of milliseconds) and `cost` (of micro-dollars) count by bucket of `stats.sketch`, `errors` by
    code.
    """

    target: str
    task_type: str
    samples: float = 0
    successes: float = 0
    failed: float = 0
    timed_out: float = 0
    unsuitable: float = 0
    lost: float = 0
    refused: float = 0
    cancelled: float = 0
    squares: float = 0
    cost_micros: float = 0
    cost_samples: float = 0
    spent_micros: float = 0
    latency_us: float = 0
    queries: float = 0
    input_tokens: float = 0
    cached_tokens: float = 0
    output_tokens: float = 0
    quality_ppm: float = 0
    quality_samples: float = 0
    latency: Mapping[int, float] = field(default_factory=dict)
    cost: Mapping[int, float] = field(default_factory=dict)
    errors: Mapping[str, float] = field(default_factory=dict)
    last_at_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Daily:
    """What one UTC day added to one scorecard: whole numbers, so that it can be worked out again, bit for bit."""

    day: int
    card: Scorecard


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate(Deferred):
    """What a scorecard says: rates with their intervals, quantiles, means. None where there is nothing to go by.

    `samples` is their weight; `effective` is how many of equal weight would say as much (Kish), and `rated` how many of
    those were rated. Every interval is one of 95 %. Those that only constraints and plans ask for come last, and are
    worked out when they are first read.
    """

    samples: float
    effective: float
    successes: float
    rate: float | None
    wilson_lo: float
    wilson_hi: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    mean_latency_ms: float | None
    mean_cost_micros: float | None
    quality: float | None
    last_at_us: int
    rated: float = 0
    quality_interval: tuple[float, float] = (0.0, 1.0)
    cost_interval_micros: tuple[float, float] | None = None
    p95_cost_micros: float | None = None
    p50_interval_ms: tuple[float, float] | None = None
    p95_interval_ms: tuple[float, float] | None = None


NO_EVIDENCE = Estimate(
    samples=0,
    effective=0,
    successes=0,
    rate=None,
    wilson_lo=0.0,
    wilson_hi=1.0,
    p50_ms=None,
    p95_ms=None,
    p99_ms=None,
    mean_latency_ms=None,
    mean_cost_micros=None,
    quality=None,
    last_at_us=0,
)
