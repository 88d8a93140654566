"""Intervals against an independent implementation, at their edges, and for what they promise to cover."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy import cumsum
from numpy.random import default_rng
from scipy.stats import binomtest
from scipy.stats import t as student

from mahavishnu.stats.intervals import clopper_pearson, kish, mean_interval, t_for, wilson, wilson_decayed
from mahavishnu.stats.sketch import bucket_of, merge

ANY_NUMBER = st.floats(allow_nan=True, allow_infinity=True)
WHOLE = st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(("ours", "method"), [(wilson, "wilson"), (clopper_pearson, "exact")])
@given(case=WHOLE)
def test_they_equal_scipys_for_every_whole_number_of_successes(ours, method, case):
    successes, samples = case
    reference = binomtest(successes, samples).proportion_ci(method=method)
    lo, hi = ours(successes, samples)
    assert math.isclose(lo, reference.low, rel_tol=0, abs_tol=1e-12)
    assert math.isclose(hi, reference.high, rel_tol=0, abs_tol=1e-12)


@pytest.mark.parametrize("interval", [wilson, clopper_pearson])
@given(samples=st.floats(0, 1e9), share=st.floats(0, 1))
def test_they_hold_the_rate_and_never_leave_the_unit_interval(interval, samples, share):
    lo, hi = interval(samples * share, samples)
    assert 0 <= lo <= hi <= 1
    if samples > 1e-6:
        assert lo <= share * (1 + 1e-9) + 1e-12
        assert hi >= share * (1 - 1e-9)


@pytest.mark.parametrize("interval", [wilson, clopper_pearson])
@given(successes=ANY_NUMBER, samples=ANY_NUMBER)
def test_whatever_comes_in_they_are_never_nan(interval, successes, samples):
    lo, hi = interval(successes, samples)
    assert 0 <= lo <= hi <= 1


@given(successes=ANY_NUMBER, samples=ANY_NUMBER, squares=ANY_NUMBER)
def test_whatever_comes_in_an_interval_of_decayed_counts_is_never_nan(successes, samples, squares):
    lo, hi = wilson_decayed(successes, samples, squares)
    assert 0 <= lo <= hi <= 1
    assert kish(samples, squares) >= 0


def test_no_samples_say_nothing():
    assert wilson(0, 0) == wilson_decayed(0, 0, 0) == clopper_pearson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("interval", [wilson, clopper_pearson, lambda s, n: wilson_decayed(s * 0.3, n * 0.3, n * 0.09)])
@pytest.mark.parametrize("samples", [1, 10, 1_000_000])
def test_all_or_nothing_is_exact_at_its_end(interval, samples):
    assert interval(0, samples)[0] == 0.0
    assert interval(samples, samples)[1] == 1.0


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=50))
def test_weights_stand_for_at_most_as_many_samples_as_there_are_and_at_least_for_their_sum(weights):
    effective = kish(sum(weights), sum(each * each for each in weights))
    assert sum(weights) * (1 - 1e-9) <= effective <= len(weights) * (1 + 1e-9)


@pytest.mark.parametrize(("rate", "gamma"), [(0.9, 0.98), (0.7, 0.97)])
def test_an_interval_on_kishs_n_covers_what_it_promises_and_one_on_the_weights_too_much(rate, gamma):
    # 4,000 histories of 120 days of 20 runs each: the standard error of a coverage of 95 % is 0.34 points.
    successes = default_rng(7).binomial(20, rate, size=(4_000, 120))
    ages = gamma ** cumsum([0.0] + [1.0] * 119)
    weighed = (successes * ages).sum(axis=1)
    samples, squares = 20 * ages.sum(), 20 * (ages**2).sum()
    covered = sum(lo <= rate <= hi for lo, hi in (wilson_decayed(each, samples, squares) for each in weighed))
    on_weights = sum(lo <= rate <= hi for lo, hi in (wilson(each, samples) for each in weighed))
    assert 0.94 <= covered / 4_000 <= 0.96
    assert on_weights / 4_000 > 0.985


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize(("freedom", "within"), [(2, 0.05), (3, 0.01), (7.5, 0.0005), (10, 0.0002), (1000, 1e-9)])
def test_students_quantile_is_as_near_to_scipys_as_it_says(confidence, freedom, within):
    assert math.isclose(t_for(confidence, freedom), student.ppf((1 + confidence) / 2, freedom), rel_tol=within)


def test_the_interval_of_a_mean_covers_it():
    # 2,000 samples of 60 from an exponential distribution, whose skewness costs a normal-theory interval about a point.
    draws = default_rng(11).exponential(200.0, size=(2_000, 60))
    intervals = (mean_interval(merge([{bucket_of(x): 1} for x in row])) for row in draws)
    assert 0.92 <= sum(lo <= 200 <= hi for lo, hi in intervals) / 2_000 <= 0.96


def test_the_interval_of_a_mean_stands_around_the_exact_one_and_narrows_with_kishs_n():
    counts = {bucket_of(100.0): 30, bucket_of(300.0): 30}
    lo, hi = mean_interval(counts, mean=201.0)
    assert math.isclose((lo + hi) / 2, 201.0)
    wide_lo, wide_hi = mean_interval(counts, mean=201.0, effective=10)
    assert wide_lo < lo < hi < wide_hi


@pytest.mark.parametrize("counts", [{}, {100: 1}, {100: 2}, {100: 0.7}, {100: -3}, {100: math.inf}])
def test_of_too_few_values_a_mean_has_no_interval(counts):
    assert mean_interval(counts) is None


def test_many_equal_values_leave_no_doubt_of_their_mean():
    assert mean_interval({bucket_of(5.0): 9}, mean=5.0) == (5.0, 5.0)
