"""Wilson's interval against an independent implementation, and at its edges."""

import math

from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from mahavishnu.stats.intervals import wilson


@given(st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_it_equals_scipys_for_every_whole_number_of_successes(case):
    successes, samples = case
    reference = binomtest(successes, samples).proportion_ci(method="wilson")
    lo, hi = wilson(successes, samples)
    assert math.isclose(lo, reference.low, abs_tol=1e-12)
    assert math.isclose(hi, reference.high, abs_tol=1e-12)


@given(st.floats(0, 1e9), st.floats(0, 1))
def test_it_is_never_nan_and_never_leaves_the_unit_interval(samples, share):
    lo, hi = wilson(samples * share, samples)
    assert 0 <= lo <= hi <= 1


def test_no_samples_say_nothing():
    assert wilson(0, 0) == (0.0, 1.0)


def test_all_or_nothing_is_exact_at_its_end():
    assert wilson(0, 10)[0] == 0.0
    assert wilson(10, 10)[1] == 1.0
