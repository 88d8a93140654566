"""The promises of the quantile sketch: one percent, and no order."""

import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.stats.sketch import bucket_of, quantiles, value_of

LATENCIES = st.lists(st.floats(0.001, 1e7), min_size=1, max_size=300)
LEVELS = (0.5, 0.9, 0.95, 0.99, 0.999)


def nearest_rank(values, level):
    ordered = sorted(values)
    return ordered[max(1, math.ceil(level * len(ordered) - 1e-9)) - 1]


@given(LATENCIES)
def test_every_quantile_is_within_one_percent_of_the_nearest_rank(values):
    found = quantiles(Counter(map(bucket_of, values)), LEVELS)
    for level, quantile in zip(LEVELS, found, strict=True):
        exact = nearest_rank(values, level)
        assert abs(quantile - exact) <= exact * 0.01 * (1 + 1e-9)


@given(LATENCIES, LATENCIES)
def test_merging_adds_and_does_not_mind_the_order(left, right):
    merged = Counter(map(bucket_of, left)) + Counter(map(bucket_of, right))
    assert merged == Counter(map(bucket_of, right + left))


def test_nothing_has_no_quantiles_and_zero_has_one():
    assert quantiles({}, (0.5, 0.99)) == [None, None]
    assert value_of(bucket_of(0.0)) < 1e-5
