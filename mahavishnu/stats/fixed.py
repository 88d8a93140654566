"""Tests for those who plan a sample, wait for it, and look once. Looked at more often they mislead."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, inf, isfinite, sqrt

from mahavishnu.stats.comparison import compare_rates, two_sided_t
from mahavishnu.stats.intervals import wilson, z_beyond

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
        known = isfinite(self.count) and isfinite(self.mean) and isfinite(self.variance)
        return known and self.count >= 2 and self.variance >= 0


def two_proportions(
    successes_treated: float, treated: float, successes_control: float, control: float, alpha: float = 0.05
) -> Finding | None:
    """Whether two rates differ: the z test (Fisher's where counts are small), with Newcombe's interval.

    The interval combines two of Wilson's (R. G. Newcombe, Statistics in Medicine 17, 1998, method 10). None without any
    samples on one side, and of what is no number. More successes than samples are taken for all, fewer than 0 for none.

    >>> found = two_proportions(765, 900, 7290, 8100)
    >>> round(found.difference, 4), round(found.lo, 4), round(found.hi, 4), found.p < 1e-4
    (-0.05, -0.0756, -0.0271, True)
    """
    if not all(map(isfinite, (successes_treated, treated, successes_control, control, treated + control))):
        return None
    if min(treated, control) <= 0:
        return None
    successes_treated = min(max(successes_treated, 0), treated)
    successes_control = min(max(successes_control, 0), control)
    z = z_beyond(alpha)
    rate_t, rate_c = successes_treated / treated, successes_control / control
    low_t, high_t = wilson(successes_treated, treated, z)
    low_c, high_c = wilson(successes_control, control, z)
    difference = rate_t - rate_c
    verdict = compare_rates(successes_treated, treated, successes_control, control)
    return Finding(
        difference=difference,
        lo=max(-1.0, difference - hypot(rate_t - low_t, high_c - rate_c)),
        hi=min(1.0, difference + hypot(high_t - rate_t, rate_c - low_c)),
        p=verdict.p,
        test=verdict.test,
    )


def welch(treated: Sample, control: Sample, alpha: float = 0.05) -> Finding | None:
    """Whether two means differ, whatever their variances (B. L. Welch, Biometrika 34, 1947).

    Of latencies and costs hand over the logarithms: they are skewed, and the difference is then one of factors. None
    with fewer than two values on one side, and of what is no number. A spread beyond any number leaves the interval
    open and p at 1.

    >>> found = welch(Sample(count=50, mean=5.2, variance=1.0), Sample(count=450, mean=5.0, variance=1.0))
    >>> round(found.difference, 2), round(found.p, 3), found.lo < 0 < found.hi
    (0.2, 0.185, True)
    """
    if not (treated.says_something and control.says_something):
        return None
    parts = [each.variance / each.count for each in (treated, control)]
    spread = sum(parts)
    difference = treated.mean - control.mean
    if not isfinite(difference):
        return None
    if spread == inf:
        return Finding(difference=difference, lo=-inf, hi=inf, p=1.0, test=WELCH)
    if not spread:
        # Two constants: as different as can be, or not at all.
        return Finding(difference=difference, lo=difference, hi=difference, p=float(not difference), test=WELCH)
    # By shares of the whole: squares of what is next to nothing, or huge, would be nothing or no number.
    shares = [part / spread for part in parts]
    freedom = 1 / sum(share**2 / (each.count - 1) for share, each in zip(shares, (treated, control), strict=True))
    half = _students(alpha, freedom) * sqrt(spread)
    p = two_sided_t(difference / sqrt(spread), freedom)
    return Finding(difference=difference, lo=difference - half, hi=difference + half, p=p, test=WELCH)


def _students(alpha: float, freedom: float) -> float:
    """Student's quantile of which alpha is left outside, both tails together; infinite where none can be told."""
    if not 0 < alpha < 1:
        return 0.0 if alpha >= 1 else inf
    # Slow to import, and only a report asks for it.
    from scipy.special import stdtrit

    # From the small tail: 1 - alpha / 2 would be 1 for what is smaller than a rounding.
    found = -float(stdtrit(freedom, alpha / 2))
    return found if found >= 0 else inf
