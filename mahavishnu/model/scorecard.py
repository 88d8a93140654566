"""Scorecard: the folded evidence for one (target, task type), and the Estimate that is read off it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """Sums only, all whole numbers: folding is addition, so any order and any grouping gives the same card.

    `latency` counts the successful executions by bucket of `stats.sketch`; a fast failure is not speed.
    """

    target: str
    task_type: str
    samples: int = 0
    successes: int = 0
    timed_out: int = 0
    lost: int = 0
    refused: int = 0
    cancelled: int = 0
    cost_micros: int = 0
    cost_samples: int = 0
    quality_ppm: int = 0
    quality_samples: int = 0
    latency: Mapping[int, int] = field(default_factory=dict)
    last_at_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a scorecard says: rates with their intervals, quantiles, means. None where there is nothing to go by."""

    samples: int
    successes: int
    rate: float | None
    wilson_lo: float
    wilson_hi: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    mean_cost_micros: float | None
    quality: float | None
    last_at_us: int


NO_EVIDENCE = Estimate(
    samples=0,
    successes=0,
    rate=None,
    wilson_lo=0.0,
    wilson_hi=1.0,
    p50_ms=None,
    p95_ms=None,
    p99_ms=None,
    mean_cost_micros=None,
    quality=None,
    last_at_us=0,
)
