"""Tests for those who plan a sample, wait for it, and look once. Looked at more often they mislead."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, sqrt

from mahavishnu.stats.comparison import compare_rates
from mahavishnu.stats.intervals import wilson, z_for

WELCH = "Welch's t test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The difference, treatment less control, its two-sided interval, and how likely one so large is where none is."""

    difference: float
    lo: float
    hi: float
    p: float
    test: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A sample as far as Welch's test asks: how many, their mean, and their variance (with n − 1)."""

    count: float
    mean: float
    variance: float

    @property
    def says_something(self) -> bool:
        return self.count >= 2 and isfinite(self.mean) and isfinite(self.variance) and self.variance >= 0


def two_proportions(
    successes_treated: int, treated: int, successes_control: int, control: int, alpha: float = 0.05
) -> Finding | None:
    """Whether two rates differ: the z test (Fisher's where counts are small), with Newcombe's interval.

    The interval combines two of Wilson's (R. G. Newcombe, Statistics in Medicine 17, 1998, method 10). None without any
    samples on one side.

    >>> found = two_proportions(765, 900, 7290, 8100)
    >>> round(found.difference, 4), round(found.lo, 4), round(found.hi, 4), found.p < 1e-4
    (-0.05, -0.0756, -0.0271, True)
    """
    if min(treated, control) <= 0:
        return None
    z = z_for(1 - alpha)
    rate_t, rate_c = successes_treated / treated, successes_control / control
    low_t, high_t = wilson(successes_treated, treated, z)
    low_c, high_c = wilson(successes_control, control, z)
    difference = rate_t - rate_c
    verdict = compare_rates(successes_treated, treated, successes_control, control)
    return Finding(
        difference=difference,
        lo=difference - sqrt((rate_t - low_t) ** 2 + (high_c - rate_c) ** 2),
        hi=difference + sqrt((high_t - rate_t) ** 2 + (rate_c - low_c) ** 2),
        p=verdict.p,
        test=verdict.test,
    )


def welch(treated: Sample, control: Sample, alpha: float = 0.05) -> Finding | None:
    """Whether two means differ, whatever their variances (B. L. Welch, Biometrika 34, 1947).

    Of latencies and costs hand over the logarithms: they are skewed, and the difference is then one of factors. None
    with fewer than two values on one side.

    >>> found = welch(Sample(count=50, mean=5.2, variance=1.0), Sample(count=450, mean=5.0, variance=1.0))
    >>> round(found.difference, 2), round(found.p, 3), found.lo < 0 < found.hi
    (0.2, 0.185, True)
    """
    if not (treated.says_something and control.says_something):
        return None
    parts = [each.variance / each.count for each in (treated, control)]
    spread = sum(parts)
    difference = treated.mean - control.mean
    if not spread:
        # Two constants: as different as can be, or not at all.
        return Finding(difference=difference, lo=difference, hi=difference, p=float(not difference), test=WELCH)
    freedom = spread**2 / sum(part**2 / (each.count - 1) for part, each in zip(parts, (treated, control), strict=True))
    # Slow to import, and only a report asks for it.
    from scipy.special import stdtr, stdtrit

    half = float(stdtrit(freedom, 1 - alpha / 2)) * sqrt(spread)
    p = min(1.0, 2 * float(stdtr(freedom, -abs(difference) / sqrt(spread))))
    return Finding(difference=difference, lo=difference - half, hi=difference + half, p=p, test=WELCH)
