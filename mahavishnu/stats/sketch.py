"""Quantiles from mergeable bucket counts.

A value x > 0 falls into bucket ceil(ln x / ln GAMMA) with GAMMA = 1.01/0.99, and every value of a bucket is within 1 %
of the value that stands for it (Masson, Rim, Lee: DDSketch, VLDB 12, 2019). Merging adds counts, so it is exact and
needs no order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from math import ceil, exp, log
from operator import mul

ACCURACY = 0.01
GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
_LOG_GAMMA = log(GAMMA)
_SMALLEST = 1e-6
_FIRST = ceil(log(_SMALLEST) / _LOG_GAMMA)
"""The bucket that all values at or under the smallest share: a latency of nothing has no logarithm."""


def bucket_of(value: float) -> int:
    """The bucket of a value.

    >>> bucket_of(1.0), bucket_of(0.0) == bucket_of(1e-9)
    (0, True)
    """
    if not value > _SMALLEST:
        return _FIRST
    return ceil(log(value) / _LOG_GAMMA)


def value_of(bucket: int) -> float:
    """The value that stands for a bucket: within 1 % of everything in it.

    >>> abs(value_of(bucket_of(180.0)) - 180) <= 1.8
    True
    """
    return 2 * exp(bucket * _LOG_GAMMA) / (GAMMA + 1)


def merge(parts: Iterable[Mapping[int, int]]) -> Counter[int]:
    """The counts of all parts together: whole numbers are only added, so any order gives the same.

    >>> merge([{1: 2, 5: 1}, {1: 3}]) == {1: 5, 5: 1}
    True
    """
    both: Counter[int] = Counter()
    for part in parts:
        both.update(part)
    return both


def quantiles(counts: Mapping[int, float], levels: Sequence[float]) -> list[float | None]:
    """The nearest-rank quantile at each level: the least value up to which lies that share of the whole. None without.

    Of n undecayed values that is the one whose rank is ceil(level · n). Decayed counts need not be whole.

    >>> counts = {bucket_of(x): 1 for x in (1.0, 10.0, 100.0)}
    >>> [round(q) for q in quantiles(counts, (0.5, 1.0))]
    [10, 100]
    >>> quantiles({}, (0.5,))
    [None]
    """
    return [None if bucket is None else value_of(bucket) for bucket in buckets_at(counts, levels)]


def buckets_at(counts: Mapping[int, float], levels: Sequence[float]) -> list[int | None]:
    """The buckets in which the quantiles at these levels lie: whatever falls into a later one is above them.

    >>> buckets_at({3: 95, 7: 5}, (0.95, 0.96))
    [3, 7]
    """
    buckets = _counted(counts)
    if not buckets:
        return [None] * len(levels)
    ranks = list(accumulate(counts[bucket] for bucket in buckets))
    # A hair below the product, so that 0.95 · 20 is rank 19 although binary fractions make it 19.000000000000004.
    wanted = (level * ranks[-1] * (1 - 1e-12) for level in levels)
    return [buckets[min(bisect_left(ranks, rank), len(buckets) - 1)] for rank in wanted]


def moments(counts: Mapping[int, float], *, logarithmic: bool = False) -> tuple[float, float, float]:
    """How much was counted, its mean, and its variance around that mean (not corrected for the number of values).

    Of the values, or of their natural logarithms. Within 1 % of the mean that was counted, or within 0.01 of the mean
    of the logarithms.

    >>> n, mean, variance = moments({bucket_of(100.0): 3, bucket_of(200.0): 1})
    >>> n, round(mean), round(variance**0.5)
    (4, 125, 42)
    """
    buckets = _counted(counts)
    total = sum(counts[bucket] for bucket in buckets)
    if not buckets:
        return 0.0, 0.0, 0.0
    values = [log(value_of(bucket)) if logarithmic else value_of(bucket) for bucket in buckets]
    weights = [counts[bucket] / total for bucket in buckets]
    mean = sum(map(mul, weights, values))
    # In two passes: the difference of two sums of squares would lose a small spread around a large mean.
    return total, mean, sum(weight * (value - mean) ** 2 for weight, value in zip(weights, values, strict=True))


def _counted(counts: Mapping[int, float]) -> list[int]:
    """The buckets in order that hold anything: a correction may have emptied one, or more than that."""
    return sorted(bucket for bucket, count in counts.items() if count > 0)
