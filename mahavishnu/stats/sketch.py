"""Quantiles from mergeable bucket counts.

A value x > 0 falls into bucket ceil(ln x / ln GAMMA) with GAMMA = 1.01/0.99, and every value of a bucket is within 1 %
of the value that stands for it (Masson, Rim, Lee: DDSketch, VLDB 12, 2019). Merging adds counts, so it is exact and
needs no order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import ceil, exp, log

ACCURACY = 0.01
GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
_LOG_GAMMA = log(GAMMA)
_SMALLEST = 1e-6
"""Values at or under this share one bucket: a latency of nothing has no logarithm."""


def bucket_of(value: float) -> int:
    """The bucket of a value.

    >>> bucket_of(1.0), bucket_of(0.0) == bucket_of(1e-9)
    (0, True)
    """
    return ceil(log(max(_SMALLEST, value)) / _LOG_GAMMA)


def value_of(bucket: int) -> float:
    """The value that stands for a bucket: within 1 % of everything in it.

    >>> abs(value_of(bucket_of(180.0)) - 180) <= 1.8
    True
    """
    return 2 * exp(bucket * _LOG_GAMMA) / (GAMMA + 1)


def quantiles(counts: Mapping[int, int], levels: Sequence[float]) -> list[float | None]:
    """The nearest-rank quantile at each level (ascending): the value whose rank is ceil(level · n). None without data.

    >>> counts = {bucket_of(x): 1 for x in (1.0, 10.0, 100.0)}
    >>> [round(q) for q in quantiles(counts, (0.5, 1.0))]
    [10, 100]
    >>> quantiles({}, (0.5,))
    [None]
    """
    buckets = sorted(counts)
    ranks = list(accumulate(map(counts.__getitem__, buckets)))
    total = ranks[-1] if ranks else 0
    if total <= 0:
        return [None] * len(levels)
    # A hair below the product, so that 0.95 · 20 is rank 19 although binary fractions make it 19.000000000000004.
    return [value_of(buckets[bisect_left(ranks, max(1, ceil(level * total - 1e-9)))]) for level in levels]
