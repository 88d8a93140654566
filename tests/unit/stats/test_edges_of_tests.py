"""Every test of a difference at the edge: p is a probability, and what cannot be told is not claimed."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mahavishnu.stats import comparison, fixed, power
from mahavishnu.stats.comparison import Times
from mahavishnu.stats.fixed import Sample
from mahavishnu.stats.ordering import LatencyTest, Showing, Swap, carried_over, reorder
from tests.edges import (
    ANY,
    HISTOGRAMS,
    HUGE,
    LARGEST,
    SHARES,
    TINIEST,
    Register,
    is_interval,
    said,
)

tried = Register("mahavishnu.stats")
inf, nan = math.inf, math.nan
edges = settings(max_examples=60, deadline=None)
TIMES = st.builds(Times, counts=HISTOGRAMS, effective=st.none() | ANY)


@tried("comparison.two_sided_t")
@edges
@given(ANY, st.floats(1e-3, 1e300))
@example(HUGE, 1.0)
def test_the_tails_of_students_t_are_a_probability(t, freedom):
    assert math.isnan(t) or 0 <= comparison.two_sided_t(t, freedom) <= 1


@tried("comparison.Times.scaled", "comparison.welch", "comparison.mann_whitney")
@edges
@given(TIMES, TIMES)
@example(Times(counts={0: 1.0}), Times(counts={0: 2.0, 1: 2.04e-222}, effective=2.0))
@example(Times(counts={0: 1.0}, effective=2.0), Times(counts={0: 2.0, 1: 2.04e-222}, effective=2.0))
@example(Times(counts={0: TINIEST}, effective=2.0), Times(counts={1: 5}))
@example(Times(counts={0: 1e104, 1: 3}), Times(counts={0: 5, 1: 5}))
@example(Times(counts={0: 1e160, 1: 1e160}), Times(counts={0: 1e160, 1: 1e160}))
@example(Times(counts={-(10**6): 5, 1: 5}), Times(counts={0: 5, 2: 5}))
@example(Times(counts={0: 5}, effective=nan), Times(counts={0: 5}, effective=-3.0))
def test_whatever_is_counted_a_comparison_of_latencies_gives_a_probability(a, b):
    assert all(0 < count < inf for times in (a, b) for count in times.scaled().values())
    assert 0 <= comparison.welch(a, b).p <= 1
    assert 0 <= comparison.mann_whitney(a, b).p <= 1


@tried("comparison.compare_rates")
@edges
@given(ANY, ANY, ANY, ANY)
@example(HUGE, HUGE, 0, HUGE)
@example(5.0, 1e300, 50.0, 1e300)
@example(4, 10**9, 0, 2**63 - 1)
@example(1e6, 1e6, 1e30, 1e30)
@example(0, 1e154, 1.8014398509481985e170, 1.8014398509481985e170)
def test_whatever_is_counted_a_comparison_of_rates_gives_a_probability(successes_a, samples_a, successes_b, samples_b):
    assert 0 <= comparison.compare_rates(successes_a, samples_a, successes_b, samples_b).p <= 1


@tried("comparison.fisher")
@edges
@given(*(st.integers(-3, 12) | st.sampled_from((2**53, 2**63 - 1, 10**30)) for _ in range(4)))
@example(3, 2, 5, 4)
@example(0, 0, 0, 0)
@example(3, 10**30, 0, 10**30)
def test_fishers_test_gives_a_probability_of_any_table(successes_a, samples_a, successes_b, samples_b):
    assert 0 <= comparison.fisher(successes_a, samples_a, successes_b, samples_b) <= 1


@tried("comparison.holm")
@edges
@given(st.lists(ANY, max_size=5))
@example([nan, 0.01])
@example([])
def test_corrected_p_values_are_probabilities_and_none_is_smaller_than_its_own(p_values):
    corrected = comparison.holm(p_values)
    assert all(0 <= p <= 1 for p in corrected)
    assert all(after >= before for before, after in zip(p_values, corrected, strict=True) if 0 <= before <= 1)
    assert all(after == 1 for before, after in zip(p_values, corrected, strict=True) if math.isnan(before))


@tried("fixed.two_proportions")
@edges
@given(ANY, ANY, ANY, ANY, st.one_of(SHARES, ANY))
@example(5, 10, 5, 10, 1e-300)
@example(12, 10, -3, 10, 0.05)
@example(nan, 10, 5, 10, 0.05)
@example(1e300, HUGE, 5, 10, 0.05)
@example(LARGEST, LARGEST, 0, LARGEST, 0.05)
def test_a_difference_of_rates_lies_in_its_interval(successes_a, samples_a, successes_b, samples_b, alpha):
    found = fixed.two_proportions(successes_a, samples_a, successes_b, samples_b, alpha)
    assert found is None or (0 <= found.p <= 1 and is_interval((found.lo, found.hi), -1.0, 1.0, found.difference))


@tried("fixed.Sample.says_something", "fixed.welch")
@edges
@given(*(st.builds(Sample, count=ANY, mean=ANY, variance=ANY) for _ in range(2)), st.one_of(SHARES, ANY))
@example(Sample(count=2, mean=0.0, variance=0.0), Sample(count=2, mean=0.0, variance=1e-200), 0.05)
@example(Sample(count=2, mean=0.0, variance=1e200), Sample(count=2, mean=0.0, variance=1.0), 0.05)
@example(Sample(count=2, mean=HUGE, variance=1.0), Sample(count=2, mean=-HUGE, variance=1.0), 0.05)
@example(Sample(count=2, mean=0.0, variance=LARGEST), Sample(count=2, mean=0.0, variance=LARGEST), 0.05)
@example(Sample(count=5, mean=0.0, variance=1.0), Sample(count=5, mean=0.0, variance=1.0), 1e-17)
@example(Sample(count=10**30, mean=1e-300, variance=1e-300), Sample(count=5, mean=0.0, variance=0.0), 0.05)
def test_a_difference_of_means_lies_in_its_interval(treated, control, alpha):
    found = fixed.welch(treated, control, alpha)
    assert found is None or (0 <= found.p <= 1 and is_interval((found.lo, found.hi), -inf, inf, found.difference))
    assert found is None or math.isfinite(found.difference)


@tried("power.needed_for_rates", "power.needed_for_times", "power.usual_for_betting", "power.power_of")
@edges
@given(*(st.one_of(SHARES, ANY) for _ in range(5)), st.one_of(SHARES, st.just(0.0)), st.sampled_from((0, 1, 2, nan)))
@example(0.9, TINIEST, 0.5, 0.8, 0.05, 0.0, 2)
@example(0.9, 1e-200, 0.5, 0.8, 0.05, 0.0, 2)
@example(0.9, 0.05, TINIEST, 0.8, 0.05, 0.0, 2)
@example(0.9, 0.05, 0.5, 0.8, 1e-300, 0.0, 2)
@example(0.9, 0.05, 0.5, 0.001, 0.05, 0.0, 2)
@example(1e-300, TINIEST, 0.5, 0.8, 0.05, 0.0, 2)
@example(1 - 2**-53, 0.5, 0.5, 0.8, 0.05, 0.0, 2)
@example(0.9, 0.05, 0.5, 0.8, inf, 0.0, 2)
def test_what_is_needed_is_at_least_one_request_or_it_is_refused_with_a_reason(
    baseline, detect, share, power_, alpha, margin, sides
):
    common = {"share": share, "alpha": alpha}
    for need in (
        lambda: power.needed_for_rates(baseline=baseline, detect=detect, power=power_, sides=sides, **common),
        lambda: power.needed_for_times(sigma=baseline, factor=detect, power=power_, sides=sides, **common),
        lambda: power.usual_for_betting(baseline=baseline, detect=detect, margin=margin, **common),
    ):
        found, refused = said(need)
        assert " must " in refused if found is None else 1 <= found.treated <= found.requests
    for requests in (0, 1, 2**63 - 1, 10**30):
        chance, refused = said(
            lambda requests=requests: power.power_of(
                baseline=baseline, detect=detect, requests=requests, sides=sides, **common
            )
        )
        assert " must " in refused if chance is None else 0 <= chance <= 1


@tried("power.Need.days")
def test_days_are_refused_without_traffic_and_else_positive():
    assert power.Need(treated=1, requests=10**30).days(TINIEST) == inf
    assert power.Need(treated=1, requests=10).days(5) == 2
    for traffic in (0, -1, nan):
        with pytest.raises(ValueError, match="above 0"):
            power.Need(treated=1, requests=1).days(traffic)


@tried("ordering.reorder", "ordering.carried_over", "ordering.Showing.counts", "ordering.Swap.__str__")
@edges
@given(
    st.dictionaries(
        st.sampled_from("abcd"),
        st.builds(Showing, samples=ANY, rate=ANY, score=ANY, trusted=st.just(value=True), latency=HISTOGRAMS),
    ),
    ANY,
    st.sampled_from(LatencyTest),
)
@example(
    {"a": Showing(samples=500, rate=0.9, score=0.5, trusted=True, latency={90: 450}),
     "b": Showing(samples=500, rate=0.9, score=0.9, trusted=True, latency={10: 450})},
    nan, LatencyTest.WELCH,
)  # fmt: skip
def test_an_order_keeps_exactly_the_targets_and_moves_none_without_a_level(showings, alpha, test):
    found = reorder(["b", "gone"], ["a", "b", "c"], showings, alpha=alpha, latency_test=test)
    assert sorted(found.order) == ["a", "b", "c"]
    assert carried_over(["b", "gone"], ["a", "b", "c"]) == ["a", "b", "c"]
    assert all(str(swap) for swap in found.swaps)
    assert alpha >= 0 or not found.swaps
    assert str(Swap("a", "b", "why")) == "a moves before b: why"
