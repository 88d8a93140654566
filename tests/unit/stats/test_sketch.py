"""The promises of the quantile sketch: one percent, and no order."""

import math
from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.stats.sketch import bucket_of, buckets_at, merge, moments, quantiles, value_of

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
    a, b = Counter(map(bucket_of, left)), Counter(map(bucket_of, right))
    assert merge([a, b]) == merge([b, a]) == Counter(map(bucket_of, right + left))


def test_five_hundred_parts_merged_in_any_order_are_within_one_percent():
    random = Random(8)
    parts = [[random.lognormvariate(5, 1.5) for _ in range(random.randint(1, 80))] for _ in range(500)]
    sketches = [Counter(map(bucket_of, part)) for part in parts]
    whole = quantiles(merge(sketches), LEVELS)
    values = [x for part in parts for x in part]
    for level, quantile in zip(LEVELS, whole, strict=True):
        exact = nearest_rank(values, level)
        assert abs(quantile - exact) <= exact * 0.01 * (1 + 1e-9)
    for _ in range(5):
        random.shuffle(sketches)
        assert quantiles(merge(sketches), LEVELS) == whole


def test_nothing_has_no_quantiles_and_zero_has_one():
    assert quantiles({}, (0.5, 0.99)) == quantiles({7: 0, 8: -1}, (0.5, 0.99)) == [None, None]
    assert value_of(bucket_of(0.0)) < 1e-5


@given(LATENCIES, st.floats(1e-6, 1))
def test_decaying_everything_alike_moves_no_quantile(values, weight):
    counts = Counter(map(bucket_of, values))
    assert quantiles({bucket: count * weight for bucket, count in counts.items()}, (0.5, 0.95)) == quantiles(
        counts, (0.5, 0.95)
    )


@given(LATENCIES, st.sampled_from(LEVELS))
def test_no_more_than_the_rest_lies_in_later_buckets(values, level):
    counts = Counter(map(bucket_of, values))
    (bucket,) = buckets_at(counts, (level,))
    assert sum(count for each, count in counts.items() if each > bucket) <= (1 - level) * len(values) + 1e-6


@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=100))
def test_moments_are_those_of_the_values_within_the_width_of_a_bucket(values):
    counts = Counter(map(bucket_of, values))
    total, mean, _ = moments(counts)
    assert total == len(values)
    assert math.isclose(mean, sum(values) / len(values), rel_tol=0.0101)
    logs = [math.log(each) for each in values]
    _, mean, variance = moments(counts, logarithmic=True)
    middle = sum(logs) / len(logs)
    assert abs(mean - middle) <= 0.0101
    assert abs(math.sqrt(variance) - math.sqrt(sum((x - middle) ** 2 for x in logs) / len(logs))) <= 0.0202


def test_moments_of_nothing_are_nothing():
    assert moments({}) == moments({4: 0}) == (0.0, 0.0, 0.0)
