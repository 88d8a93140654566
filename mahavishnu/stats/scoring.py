"""The statistical score of a target for a task type."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

from mahavishnu.model import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """score = success_weight · success rate + speed_weight · speed, of which nothing is trusted below `min_samples`.

    Speed is 1 at `fast_ms` and below, 0 at `slow_ms` and above, and falls with the logarithm of the median latency in
    between: ten times slower costs the same everywhere on the scale.
    """

    success_weight: float = 0.7
    speed_weight: float = 0.3
    min_samples: int = 100
    fast_ms: float = 100.0
    slow_ms: float = 10_000.0

    def __post_init__(self) -> None:
        if not (self.success_weight >= 0 and self.speed_weight >= 0 and self.success_weight + self.speed_weight > 0):
            raise ValueError("success_weight and speed_weight must be 0 or more, and not both 0")
        if not 0 < self.fast_ms < self.slow_ms:
            raise ValueError("fast_ms must be above 0 and below slow_ms")
        if self.min_samples < 1:
            raise ValueError("min_samples must be at least 1")

    def trusts(self, estimate: Estimate) -> bool:
        return estimate.effective >= self.min_samples

    def speed(self, estimate: Estimate) -> float:
        """0 to 1 by the median latency of the successes; nothing that never succeeded is fast.

        >>> from mahavishnu.model import NO_EVIDENCE
        >>> from dataclasses import replace
        >>> round(Scoring().speed(replace(NO_EVIDENCE, p50_ms=1000.0)), 3)
        0.5
        """
        if estimate.p50_ms is None:
            return 0.0
        if estimate.p50_ms <= self.fast_ms:
            return 1.0
        if estimate.p50_ms >= self.slow_ms:
            return 0.0
        return log(self.slow_ms / estimate.p50_ms) / log(self.slow_ms / self.fast_ms)

    def score(self, estimate: Estimate) -> float | None:
        """The score as it is shown: on the observed rate. None where there is no rate yet."""
        if estimate.rate is None:
            return None
        return self.success_weight * estimate.rate + self.speed_weight * self.speed(estimate)
