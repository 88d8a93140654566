"""The score of a target for a task type: what it is good at, weighed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import atan, inf, log, pi
from typing import Self

from mahavishnu.model import Estimate
from mahavishnu.model.objective import Objective


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """score = the sum of weight · share for success, speed, cheapness and quality; nothing is trusted below
    `min_samples`.

    Speed is 0.5 where the median latency lies in the middle between `fast_ms` and `slow_ms`, by the logarithm, and
    falls at every scale: of two targets the faster one has the higher speed, also below `fast_ms` and above `slow_ms`.
    In between, ten times slower costs about the same everywhere. Cheapness does the same with the mean cost, from
    `cheap_usd` to `dear_usd`; what is free has all of it. Success and quality are shares already.
    """

    success_weight: float = 0.7
    speed_weight: float = 0.3
    cost_weight: float = 0.0
    quality_weight: float = 0.0
    min_samples: int = 100
    fast_ms: float = 100.0
    slow_ms: float = 10_000.0
    cheap_usd: float = 0.0001
    dear_usd: float = 1.0

    def __post_init__(self) -> None:
        weights = (self.success_weight, self.speed_weight, self.cost_weight, self.quality_weight)
        # Products with a million, which a prior may weigh, and with utilities are to be numbers.
        if not (min(weights) >= 0 and 0 < sum(weights) < 1e100):
            raise ValueError("success_weight, speed_weight, cost_weight, quality_weight must be 0 or more, not all 0")
        if not (0 < self.fast_ms < self.slow_ms < inf and self.slow_ms / self.fast_ms < inf):
            raise ValueError("fast_ms must be above 0 and below slow_ms")
        # In micro-dollars, as costs are.
        if not (0 < self.cheap_usd < self.dear_usd < 1e300 and self.dear_usd / self.cheap_usd < inf):
            raise ValueError("cheap_usd must be above 0 and below dear_usd")
        if self.min_samples < 1:
            raise ValueError("min_samples must be at least 1")

    def good_at(self, objective: Objective) -> Self:
        """The same, weighed by an objective; the weights add up to 1, since only their proportions mean anything.

        >>> weighed = Scoring().good_at(Objective(success=3, cost=1))
        >>> weighed.success_weight, weighed.speed_weight, weighed.cost_weight
        (0.75, 0.0, 0.25)
        """
        weights = objective.weights
        total = sum(weights.values())
        return replace(
            self,
            success_weight=weights["success"] / total,
            speed_weight=weights["latency"] / total,
            cost_weight=weights["cost"] / total,
            quality_weight=weights["quality"] / total,
        )

    def trusts(self, estimate: Estimate) -> bool:
        return estimate.effective >= self.min_samples

    def speed(self, estimate: Estimate) -> float:
        """Between 0 and 1, by the median latency of the successes; nothing that never succeeded is fast.

        >>> from mahavishnu.model import NO_EVIDENCE
        >>> round(Scoring().speed(replace(NO_EVIDENCE, p50_ms=1000.0)), 3)
        0.5
        """
        if estimate.p50_ms is None:
            return 0.0
        return nearness(estimate.p50_ms, self.fast_ms, self.slow_ms)

    def cheapness(self, estimate: Estimate) -> float:
        """Up to 1, by the mean cost: 1 for what is free, or was never billed yet."""
        if estimate.mean_cost_micros is None:
            return 1.0
        return nearness(estimate.mean_cost_micros, self.cheap_usd * 1e6, self.dear_usd * 1e6)

    def quality(self, estimate: Estimate) -> float:
        """The mean quality; 1 where it was not rated yet. What is no number is no quality."""
        quality = estimate.quality
        if quality is None:
            return 1.0
        return quality if 0 <= quality <= 1 else float(quality > 1)

    def besides(self, estimate: Estimate) -> float:
        """What it scores for everything but succeeding. Only what is weighed is looked at."""
        # As `speed` and `cheapness` say, without a call more for each.
        median = estimate.p50_ms
        found = 0.0 if median is None else self.speed_weight * nearness(median, self.fast_ms, self.slow_ms)
        if self.cost_weight:
            micros = estimate.mean_cost_micros
            cheapness = 1.0 if micros is None else nearness(micros, self.cheap_usd * 1e6, self.dear_usd * 1e6)
            found += self.cost_weight * cheapness
        if self.quality_weight:
            found += self.quality_weight * self.quality(estimate)
        return found

    def score(self, estimate: Estimate) -> float | None:
        """The score as it is shown: on the observed rate. None where there is none yet; what is no number is 0."""
        rate = estimate.rate
        if rate is None:
            return None
        if not 0 <= rate <= 1:
            rate = float(rate > 1)
        return self.success_weight * rate + self.besides(estimate)


AT_BEST = 0.5 + atan(pi / 2) / pi
"""The nearness of the best itself."""


def nearness(value: float, best: float, worst: float) -> float:
    """Between 1 for nothing and 0 for more than any number, and always less for more; 0 of what is no number.

    The arc tangent of the logarithm, and 0.5 in the middle between the best and the worst. From 0.82 at the best to
    0.18 at the worst it is almost straight: so many times more costs the same. Beyond them it flattens without an end,
    slowly enough to tell 3 ms from 60 ms where 100 ms are the best. The best is above 0 and the worst above it, less
    than 1e308 times.
    """
    if value <= 0:
        return 1.0
    if not value < inf:
        return 0.0
    decades = (log(value) - (log(best) + log(worst)) / 2) / (log(worst / best) / 2)
    return 0.5 - atan(decades * pi / 2) / pi
