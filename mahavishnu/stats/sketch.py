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
from math import ceil, exp, floor, fsum, inf, log
from operator import mul
from sys import float_info

ACCURACY = 0.01
GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
_LOG_GAMMA = log(GAMMA)
_SMALLEST = 1e-6
_FIRST = ceil(log(_SMALLEST) / _LOG_GAMMA)
"""The bucket that all values at or under the smallest share: a latency of nothing has no logarithm."""

_LAST = floor(log(8e307) / _LOG_GAMMA)
"""The last bucket with a value of its own: that of a later one would be too large for a number."""

_BEYOND = ceil(log(float_info.max) / _LOG_GAMMA)
"""The bucket of what is infinite."""

_LOG_OF_MIDDLE = log(2 / (GAMMA + 1))
"""Of the value that stands for bucket 0."""


def bucket_of(value: float) -> int:
    """The bucket of a value. What is no number is counted as nothing, and what is infinite with the largest.

    >>> bucket_of(1.0), bucket_of(0.0) == bucket_of(1e-9) == bucket_of(float("nan"))
    (0, True)
    """
    if not value > _SMALLEST:
        return _FIRST
    try:
        return ceil(log(value) / _LOG_GAMMA)
    except OverflowError:
        return _BEYOND


def value_of(bucket: int) -> float:
    """The value that stands for a bucket: within 1 % of everything in it, up to 8e307.

    >>> abs(value_of(bucket_of(180.0)) - 180) <= 1.8
    True
    """
    if bucket > _LAST:
        bucket = _LAST
    return 2 * exp(bucket * _LOG_GAMMA) / (GAMMA + 1)


def end_of(bucket: int) -> float:
    """The largest value of a bucket; of one beyond all numbers, the largest of the last.

    >>> end_of(0), bucket_of(end_of(250) * 0.9999)
    (1.0, 250)
    """
    return GAMMA ** min(bucket, _LAST)


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
    of the logarithms. Where nothing was counted, or more than the largest number, all three are 0.

    >>> n, mean, variance = moments({bucket_of(100.0): 3, bucket_of(200.0): 1})
    >>> n, round(mean), round(variance**0.5)
    (4, 125, 42)
    """
    buckets = _counted(counts)
    counted = sum(counts[bucket] for bucket in buckets)
    if not 0 < counted < inf:
        return 0.0, 0.0, 0.0
    values = [_log_value_of(bucket) if logarithmic else value_of(bucket) for bucket in buckets]
    weights = [counts[bucket] / counted for bucket in buckets]
    mean = sum(map(mul, weights, values))
    # In two passes: the difference of two sums of squares would lose a small spread around a large mean. The weight
    # stands first, so that a distance is not squared that has next to no weight.
    spread = sum(weight * (value - mean) * (value - mean) for weight, value in zip(weights, values, strict=True))
    return counted, mean, spread


def total(counts: Iterable[float]) -> float:
    """The exact sum of counts, in whatever order they come; 0 where it is no number, or beyond the largest.

    >>> total([0.1] * 10), total([1e308, 1e308])
    (1.0, 0.0)
    """
    try:
        return fsum(counts)
    except (OverflowError, ValueError):
        return 0.0


def _log_value_of(bucket: int) -> float:
    return min(bucket, _LAST) * _LOG_GAMMA + _LOG_OF_MIDDLE


def _counted(counts: Mapping[int, float]) -> list[int]:
    """The buckets in order that hold anything: a correction may have emptied one, or more than that."""
    return sorted(bucket for bucket, count in counts.items() if count > 0)
