"""Confidence intervals: for rates, of whole and of decayed counts, and for means."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, floor, inf, isfinite, sqrt
from statistics import NormalDist

from mahavishnu.stats.sketch import moments, quantiles, total

FEWEST_FOR_A_MEAN = 3 * (1 - 1e-12)
"""Below three effective values their spread says next to nothing, and Student's t runs away.

A hair less, as three that weigh the same may come to 2.9999999999999996.
"""


_NOTHING = 1e-9

_MOST = 1e300
"""Values of which half an interval more can still be counted."""


_LEAST_TAIL = 5e-324
"""The smallest number that is none: half of it would be nothing."""


def z_beyond(alpha: float) -> float:
    """The standard normal quantile of which alpha is left outside, both tails together; 0 from 1 on.

    From the small tail, which a float holds to sixteen digits: of 1 - alpha it would hold nothing below 1e-16. What is
    no number above 0 counts for the smallest that is one, which gives 38.5.

    >>> round(z_beyond(0.05), 6), round(z_beyond(1e-20), 2), z_beyond(1.0)
    (1.959964, 9.34, 0.0)
    """
    alpha = min(1.0, alpha) if alpha > _LEAST_TAIL else 2 * _LEAST_TAIL
    return abs(NormalDist().inv_cdf(alpha / 2))


def z_for(confidence: float) -> float:
    """The standard normal quantile of a two-sided interval; of what is no confidence below 1, that of 1 - 2^-53.

    >>> round(z_for(0.95), 6), round(z_for(1.0), 2)
    (1.959964, 8.29)
    """
    return z_beyond(1 - confidence if confidence < 1 else 2**-53)


Z95 = z_for(0.95)


def wilson(successes: float, samples: float, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval for a binomial proportion (E. B. Wilson, JASA 22, 1927, eq. 4), in closed form.

    No samples say nothing, so they give (0, 1), and so does a number that is none. The ends are exact at 0 and at all
    successes, and never leave [0, 1]. `z` is one of `z_for`: neither negative nor above 39.

    >>> wilson(0, 0)
    (0.0, 1.0)
    >>> lo, hi = wilson(97, 100)
    >>> round(lo, 4), round(hi, 4)
    (0.9155, 0.9897)
    """
    if not (samples > 0 and isfinite(samples + successes)):
        return 0.0, 1.0
    z2 = z * z
    # Corrections that arrive out of step can carry a count past either end for a while.
    if not 0 <= successes <= samples:
        successes = 0.0 if successes < 0 else samples
    # Multiplied out by n, so that no power of a small number of (decayed) samples stands in a denominator.
    middle = successes + z2 / 2
    half = z * sqrt(successes * ((samples - successes) / samples) + z2 / 4)
    # The product of the roots over the larger one: their difference would leave only rounding where a rate is tiny (W.
    # Press et al., Numerical Recipes, 3rd ed., 2007, §5.6).
    lo = successes * (successes / samples) / (middle + half) if successes > 0 else 0.0
    hi = 1.0 if successes >= samples else min(1.0, (middle + half) / (samples + z2))
    # Of so many samples that nothing lies between the ends, the last digit may put them the wrong way round.
    return (lo, hi) if lo <= hi else (hi, lo)


def kish(weight: float, squares: float) -> float:
    """How many equally weighted samples say as much: (Σw)² / Σw² (L. Kish, Survey Sampling, 1965, ch. 11).

    `weight` is Σw, `squares` Σw². Nothing, and what is no number, counts for 0.

    >>> kish(100, 100), round(kish(1.5, 1.25), 3), kish(0, 0)
    (100.0, 1.8, 0.0)
    """
    if not (weight > 0 and squares > 0 and isfinite(weight) and isfinite(squares)):
        return 0.0
    # Divided before it is multiplied: the square of a small weight would vanish.
    effective = weight * (weight / squares)
    return effective if effective < inf else 0.0


def wilson_decayed(successes: float, samples: float, squares: float, z: float = Z95) -> tuple[float, float]:
    """Wilson's interval for a rate of decayed counts, on Kish's n: Σw itself would cover 99 % where 95 % is promised.

    `samples` is Σw, `successes` the weight of those that succeeded, `squares` Σw². Of undecayed counts the plain one.

    >>> wilson_decayed(97, 100, 100) == wilson(97, 100)
    True
    """
    effective = kish(samples, squares)
    if not effective:
        return 0.0, 1.0
    # The whole is handed over as itself: a rate times n may miss it by a hair, and the end would no longer be exact.
    return wilson(effective if successes >= samples else effective * (successes / samples), effective, z)


def clopper_pearson(successes: float, samples: float, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval (C. Clopper and E. Pearson, Biometrika 26, 1934): covers at least what it says, for promises.

    >>> clopper_pearson(0, 0)
    (0.0, 1.0)
    >>> lo, hi = clopper_pearson(97, 100)
    >>> round(lo, 4), round(hi, 4)
    (0.9148, 0.9938)
    """
    if not (samples > 0 and isfinite(samples + successes)):
        return 0.0, 1.0
    # Slow to import, and a command that only routes never comes here.
    from scipy.special import betaincinv

    # Whole numbers of more than 64 bits are none to scipy.
    samples = float(samples)
    successes = min(max(float(successes), 0.0), samples)
    failures = samples - successes
    tail = (1 - confidence) / 2
    # A decayed count that is next to nothing is nothing: near zero the inverse loses its footing.
    lo = 0.0 if successes < _NOTHING else float(betaincinv(successes, failures + 1, tail))
    hi = 1.0 if failures < _NOTHING else float(betaincinv(successes + 1, failures, 1 - tail))
    # Beyond any number of samples that there will ever be, scipy's inverse gives up, or is off.
    rate = successes / samples
    return min(lo, rate) if isfinite(lo) else 0.0, max(hi, rate) if isfinite(hi) else 1.0


def t_for(confidence: float, freedom: float) -> float:
    """Student's quantile of a two-sided interval, for two degrees of freedom and more.

    The expansion of R. Fisher and E. Cornish (Abramowitz and Stegun 26.7.5), which takes fractions of a degree. At
    95 % it is 0.8 % short at 2 degrees, 0.1 % at 3, and right to four places from 10. Of no degrees it is infinite.

    >>> round(t_for(0.95, 10), 4), round(t_for(0.95, 1e9), 4)
    (2.2281, 1.96)
    """
    if not freedom > 0:
        return inf
    z = z_for(confidence)
    z2 = z * z
    terms = (
        z,
        z * (z2 + 1) / 4,
        z * (5 * z2**2 + 16 * z2 + 3) / 96,
        z * (3 * z2**3 + 19 * z2**2 + 17 * z2 - 15) / 384,
        z * (79 * z2**4 + 776 * z2**3 + 1482 * z2**2 - 1920 * z2 - 945) / 92160,
    )
    # By Horner's rule: the fourth power of a large number is none.
    value = 0.0
    for term in reversed(terms):
        value = value / freedom + term
    return max(value, z)


def mean_interval(
    counts: Mapping[int, float], *, effective: float | None = None, mean: float | None = None, confidence: float = 0.95
) -> tuple[float, float] | None:
    """Student's interval for the mean of values that are never negative, from their counts by bucket.

    `mean` is the exact one where sums were kept; the buckets know it, and the spread, within 1 %. `effective` is Kish's
    n where the counts are decayed. None below three effective values. A `mean` that is no number, or negative,
    is left to the buckets. Like every interval for a mean it is too short where a tail is so heavy that the sample has
    not seen it yet.

    >>> from mahavishnu.stats.sketch import bucket_of
    >>> lo, hi = mean_interval({bucket_of(100.0): 50, bucket_of(200.0): 50}, mean=150)
    >>> round(lo), round(hi)
    (140, 160)
    """
    weight, middle, variance = moments(counts)
    values = weight if effective is None else effective
    if not (isfinite(values) and values >= FEWEST_FOR_A_MEAN):
        return None
    if mean is not None and 0 <= mean < inf:
        middle = mean
    # Bessel's correction, by the number of values that the weights stand for.
    half = t_for(confidence, values - 1) * sqrt(variance / (values - 1))
    return max(0.0, middle - half), middle + half


def quantile_interval(
    counts: Mapping[int, float], level: float, scale: float = 1.0, confidence: float = 0.95
) -> tuple[float, float] | None:
    """An interval for a quantile, whatever the values are distributed like, from their counts by bucket.

    Between two order statistics, by how many of n values lie below the quantile: a binomial number (H. David and H.
    Nagaraja, Order Statistics, 2003, §7.1), here by its normal approximation, rounded outwards. `scale` makes an
    effective number of what was counted. An end that so few values say nothing of is 0 or infinite. None without any,
    of more than 1e300, and for a level outside of 0 to 1.

    >>> from collections import Counter
    >>> from mahavishnu.stats.sketch import bucket_of
    >>> lo, hi = quantile_interval(Counter(bucket_of(float(ms)) for ms in range(10, 1010, 10)), 0.5)
    >>> round(lo, -1), round(hi, -1)
    (400.0, 610.0)
    >>> quantile_interval({bucket_of(800.0): 1}, 0.95)
    (0.0, inf)
    """
    values = total(count for count in counts.values() if count > 0) * scale
    if not (0 < values < _MOST and 0 <= level <= 1):
        return None
    half = z_for(confidence) * sqrt(values * level * (1 - level))
    ranks = floor(values * level - half), ceil(values * level + half) + 1
    lo, hi = quantiles(counts, [min(max(rank / values, 0.0), 1.0) for rank in ranks])
    return (lo or 0.0) if ranks[0] >= 1 else 0.0, (hi or inf) if ranks[1] <= values else inf
