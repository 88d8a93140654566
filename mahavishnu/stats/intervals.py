"""Confidence intervals for rates."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist


def z_for(confidence: float) -> float:
    """The standard normal quantile of a two-sided interval.

    >>> round(z_for(0.95), 6)
    1.959964
    """
    return NormalDist().inv_cdf((1 + confidence) / 2)


Z95 = z_for(0.95)


def wilson(successes: float, samples: float, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval for a binomial proportion (E. B. Wilson, JASA 22, 1927, eq. 4), in closed form.

    No samples say nothing, so they give (0, 1). The ends are exact at 0 and at all successes, and never leave [0, 1].

    >>> wilson(0, 0)
    (0.0, 1.0)
    >>> lo, hi = wilson(97, 100)
    >>> round(lo, 4), round(hi, 4)
    (0.9155, 0.9897)
    """
    if samples <= 0:
        return 0.0, 1.0
    z2 = z * z
    # Multiplied out by n, so that no power of a small number of (decayed) samples stands in a denominator.
    middle = successes + z2 / 2
    half = z * sqrt(successes * ((samples - successes) / samples) + z2 / 4)
    lo = 0.0 if successes <= 0 else max(0.0, (middle - half) / (samples + z2))
    hi = 1.0 if successes >= samples else min(1.0, (middle + half) / (samples + z2))
    return lo, hi
