"""Tests of difference against scipy's, and at their edges."""

import math
from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy import log, repeat, sqrt
from scipy.stats import fisher_exact, mannwhitneyu, norm, ttest_ind

from mahavishnu.stats.comparison import Times, compare_rates, fisher, holm, mann_whitney, welch
from mahavishnu.stats.sketch import value_of

COUNTED = st.dictionaries(st.integers(100, 130), st.integers(1, 20), min_size=1, max_size=12)
PAIR = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
ANY_NUMBER = st.floats(allow_nan=True, allow_infinity=True)


def values(counts):
    return repeat([value_of(bucket) for bucket in counts], list(counts.values()))


@given(PAIR, PAIR)
def test_rates_are_compared_by_the_pooled_z_test_or_where_counts_are_small_by_fishers(a, b):
    verdict = compare_rates(*a, *b)
    pooled = (a[0] + b[0]) / (a[1] + b[1])
    if min(a[1], b[1]) * min(pooled, 1 - pooled) >= 5:
        z = (a[0] / a[1] - b[0] / b[1]) / sqrt(pooled * (1 - pooled) * (1 / a[1] + 1 / b[1]))
        assert verdict.test == "two-proportion z test"
        assert math.isclose(verdict.p, 2 * norm.sf(abs(z)), rel_tol=1e-9, abs_tol=1e-300)
    else:
        assert verdict.test == "Fisher's exact test"
        table = [[a[0], a[1] - a[0]], [b[0], b[1] - b[0]]]
        assert math.isclose(fisher(*a, *b), fisher_exact(table).pvalue, rel_tol=1e-6)


@given(ANY_NUMBER, ANY_NUMBER, ANY_NUMBER, ANY_NUMBER)
def test_whatever_comes_in_a_comparison_of_rates_gives_a_probability(a, m, b, n):
    assert 0 <= compare_rates(a, min(m, 1e4), b, min(n, 1e4)).p <= 1


def test_nothing_is_compared_with_nothing():
    assert compare_rates(0, 0, 5, 10).p == compare_rates(5, 10, math.nan, 3).p == 1.0


@given(COUNTED, COUNTED)
def test_welch_equals_scipys_on_the_logarithms(a, b):
    # A constant has no spread for scipy to divide by.
    assume(min(len(a), len(b)) > 1)
    expected = ttest_ind(log(values(a)), log(values(b)), equal_var=False).pvalue
    assert math.isclose(welch(Times(counts=a), Times(counts=b)).p, expected, rel_tol=1e-6, abs_tol=1e-12)


@given(COUNTED, COUNTED)
def test_mann_whitney_equals_scipys_with_its_ties(a, b):
    assume(len({*a, *b}) > 1)
    expected = mannwhitneyu(values(a), values(b), method="asymptotic").pvalue
    assert math.isclose(mann_whitney(Times(counts=a), Times(counts=b)).p, expected, rel_tol=1e-6, abs_tol=1e-12)


@pytest.mark.parametrize("test", [welch, mann_whitney])
@given(a=COUNTED, b=COUNTED, weight=st.floats(0.01, 1))
def test_decayed_counts_weigh_as_much_as_the_samples_they_stand_for(test, a, b, weight):
    decayed = Times(counts={bucket: count * weight for bucket, count in a.items()}, effective=sum(a.values()))
    plain = test(Times(counts=a), Times(counts=b)).p
    assert math.isclose(test(decayed, Times(counts=b)).p, plain, rel_tol=1e-6, abs_tol=1e-9)


@pytest.mark.parametrize("test", [welch, mann_whitney])
@given(
    a=st.dictionaries(st.integers(0, 9), st.floats(-3, 3), max_size=5),
    b=st.dictionaries(st.integers(0, 9), st.floats(-3, 3), max_size=5),
    effective=st.floats(0, 50),
)
def test_whatever_corrections_leave_behind_a_comparison_of_latencies_gives_a_probability(test, a, b, effective):
    assert 0 <= test(Times(counts=a, effective=effective), Times(counts=b)).p <= 1


@pytest.mark.parametrize("test", [welch, mann_whitney])
def test_two_constants_differ_altogether_or_not_at_all(test):
    one, other = Times(counts={100: 50}), Times(counts={101: 50})
    assert test(one, one).p == 1.0
    assert test(one, other).p < 1e-9


@pytest.mark.parametrize("test", [welch, mann_whitney])
def test_a_target_without_latencies_differs_from_none(test):
    assert test(Times(counts={}), Times(counts=Counter({100: 50}))).p == 1.0


def step_down(p_values):
    """Holm's procedure as it is told: reject the smallest at alpha/m, the next at alpha/(m-1), … until one stands."""
    ordered = sorted(range(len(p_values)), key=p_values.__getitem__)

    def rejected(alpha):
        found = set()
        for rank, place in enumerate(ordered):
            if p_values[place] > alpha / (len(p_values) - rank):
                break
            found.add(place)
        return found

    return rejected


@given(st.lists(st.floats(0, 1), max_size=12), st.floats(0.001, 0.5))
def test_holm_rejects_what_its_steps_reject(p_values, alpha):
    corrected = holm(p_values)
    assume(not any(math.isclose(each, alpha, rel_tol=1e-9) for each in corrected))
    assert {place for place, p in enumerate(corrected) if p <= alpha} == step_down(p_values)(alpha)
