"""Every public function of the statistics at the edge of what can be counted: it answers, and it does not overstate."""

import math
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mahavishnu.model import NO_EVIDENCE, Daily, Execution, Revision, Scorecard, Status, Usage
from mahavishnu.model.objective import Objective
from mahavishnu.stats import evidence, intervals, scoring, sketch
from mahavishnu.stats.columns import FEW, Candidates, column_of
from mahavishnu.stats.scoring import Scoring
from tests.edges import (
    ANY,
    BUCKETS,
    COUNTS,
    HISTOGRAMS,
    HUGE,
    LARGEST,
    SHARES,
    TINIEST,
    TINY,
    Register,
    is_interval,
)
from tests.unit.stats import test_edges_of_bets, test_edges_of_tests

tried = Register("mahavishnu.stats")
inf, nan = math.inf, math.nan
edges = settings(max_examples=60, deadline=None)
CARDS = st.builds(
    Scorecard,
    target=st.just("a"),
    task_type=st.just("t"),
    latency=HISTOGRAMS,
    cost=HISTOGRAMS,
    **dict.fromkeys(evidence.SUMS, ANY),
)
ESTIMATES = st.builds(
    replace,
    st.just(NO_EVIDENCE),
    samples=COUNTS,
    effective=COUNTS,
    rate=st.none() | ANY,
    p50_ms=st.none() | ANY,
    mean_cost_micros=st.none() | ANY,
    quality=st.none() | ANY,
)


def test_every_public_function_and_method_has_a_test_at_the_edge():
    tried.tried |= test_edges_of_bets.tried.tried | test_edges_of_tests.tried.tried
    assert (tried.missing(), tried.gone()) == ([], [])


def test_a_function_without_a_test_at_the_edge_is_named():
    assert "intervals.wilson" in Register("mahavishnu.stats").missing()


@tried("intervals.wilson", "intervals.wilson_decayed", "intervals.kish")
@edges
@given(ANY, ANY, ANY)
@example(TINIEST, 1.0, 1.0)
@example(TINY, 2.0, 2.0)
@example(1e-17, 100, 100)
@example(0, HUGE, TINIEST)
@example(HUGE, HUGE, HUGE)
@example(0.5, 4600903879023691.0, 1e-222)
@example(1.0, 1e237, 1e237)
def test_an_interval_of_a_rate_lies_in_0_to_1_and_holds_the_rate(successes, samples, squares):
    known = samples > 0 and math.isfinite(successes) and math.isfinite(samples) and successes + samples < inf
    rate = min(max(successes / samples, 0.0), 1.0) if known else None
    assert is_interval(intervals.wilson(successes, samples), 0.0, 1.0, rate)
    lo, _ = intervals.wilson(successes, samples)
    # Where a rate is next to nothing the lower end is below it, too, and not the rounding of the interval's middle.
    assert rate is None or lo <= rate * (1 + 1e-15)
    effective = intervals.kish(samples, squares)
    assert 0 <= effective < inf
    assert is_interval(intervals.wilson_decayed(successes, samples, squares), 0.0, 1.0, rate if effective else None)


@tried("intervals.clopper_pearson")
@edges
@given(ANY, ANY, st.sampled_from((0.0, 0.5, 0.95, 1 - 2**-53, 1.0, nan)))
@example(5, 10**30, 0.95)
@example(0.9999999999, 1.0, 0.95)
@example(HUGE / 2, HUGE, 0.95)
@example(1.0, 8.988465674311582e307, 0.0)
def test_the_exact_interval_is_one_whatever_is_counted(successes, samples, confidence):
    assert is_interval(intervals.clopper_pearson(successes, samples, confidence), 0.0, 1.0)


@tried("intervals.z_for", "intervals.z_beyond", "intervals.t_for")
@edges
@given(st.one_of(ANY, SHARES), st.one_of(ANY, st.floats(2, 1e6)))
@example(0.95, 1e100)
@example(1.0, 10.0)
def test_the_quantile_of_an_interval_is_never_negative_and_no_smaller_for_students_t(confidence, freedom):
    z, t = intervals.z_for(confidence), intervals.t_for(confidence, freedom)
    assert 0 <= z < 39
    assert 0 <= intervals.z_beyond(confidence) < 39
    assert z <= t


@tried("intervals.mean_interval")
@edges
@given(HISTOGRAMS, st.none() | ANY, st.none() | ANY)
@example({0: 1e100}, None, None)
@example({35_000: 5.0, 0: 1e10}, None, None)
@example({0: 5}, None, -5.0)
@example({0: 5}, None, nan)
@example({0: HUGE, 1: HUGE}, None, None)
def test_an_interval_of_a_mean_holds_the_mean_that_was_counted(counts, effective, mean):
    interval = intervals.mean_interval(counts, effective=effective, mean=mean)
    known = mean if mean is not None and 0 <= mean < inf else None
    assert interval is None or is_interval(interval, 0.0, inf, known)


@tried("intervals.quantile_interval")
@edges
@given(HISTOGRAMS, ANY, ANY, ANY)
@example({0: HUGE, 1: HUGE}, 0.5, 1.0, 0.95)
@example({0: LARGEST}, 1.0, 1.0, 0.95)
@example({0: inf, 1: -inf}, 0.5, 1.0, 0.95)
@example({0: 1}, 2.0, 1.0, 0.95)
def test_an_interval_of_a_quantile_is_ordered(counts, level, scale, confidence):
    interval = intervals.quantile_interval(counts, level, scale, confidence)
    assert interval is None or is_interval(interval, 0.0, inf)


@tried("sketch.bucket_of", "sketch.value_of", "sketch.end_of")
@edges
@given(ANY, ANY)
@example(inf, LARGEST)
@example(10**30, 10**400)
def test_a_larger_value_is_in_no_lower_bucket_and_each_bucket_has_a_value(one, other):
    low, high = sorted((one, other)) if one == one and other == other else (other, other)
    assert sketch.bucket_of(low) <= sketch.bucket_of(high)
    stands_for = sketch.value_of(sketch.bucket_of(one))
    assert 0 < stands_for < inf
    assert not 1e-6 < one < HUGE / 2 or abs(stands_for - one) <= 0.010001 * one


@tried("sketch.value_of")
@edges
@given(BUCKETS)
def test_every_bucket_stands_for_a_finite_value(bucket):
    assert 0 <= sketch.value_of(bucket) < inf
    assert 0 <= sketch.end_of(bucket) < inf


@tried("sketch.moments", "sketch.quantiles", "sketch.buckets_at")
@edges
@given(HISTOGRAMS, st.lists(ANY, max_size=3), st.booleans())
@example({0: HUGE, 1: HUGE}, [0.5], False)
@example({30_000: 1.0, 0: 1.0}, [0.5], False)
@example({30_000: TINIEST, 0: HUGE}, [0.5], False)
@example({-(10**6): 1.0}, [0.5], True)
@example({35_489: 1.0, 35_488: 1.0}, [1.0], False)
@example({0: inf}, [0.0], False)
def test_moments_are_numbers_and_quantiles_are_values_that_were_counted(counts, levels, logarithmic):
    total, mean, variance = sketch.moments(counts, logarithmic=logarithmic)
    assert 0 <= total < inf
    assert math.isfinite(mean)
    assert variance >= 0
    held = {bucket for bucket, count in counts.items() if count > 0}
    found = sketch.buckets_at(counts, levels)
    assert set(found) <= (held or {None})
    assert sketch.quantiles(counts, levels) == [None if at is None else sketch.value_of(at) for at in found]


@tried("sketch.total")
@edges
@given(st.lists(ANY, max_size=6))
@example([HUGE, HUGE])
@example([inf, -inf])
def test_a_total_is_exact_or_nothing(counts):
    found = sketch.total(counts)
    assert found != found or found in (0.0, inf, -inf) or found == math.fsum(counts)


@tried("sketch.merge")
def test_counts_of_any_size_are_merged_exactly():
    assert sketch.merge([{0: 10**30}, {0: 1, -(10**6): -1}, {}]) == {0: 10**30 + 1, -(10**6): -1}
    assert sketch.merge([]) == {}


@tried("evidence.estimate")
@edges
@given(CARDS)
@example(Scorecard(target="a", task_type="t", samples=1e10, squares=TINIEST, quality_samples=1))
@example(Scorecard(target="a", task_type="t", samples=1e200, squares=1e200, successes=1e200))
@example(Scorecard(target="a", task_type="t", samples=1e-200, squares=1e-200, successes=1e-200))
@example(Scorecard(target="a", task_type="t", samples=5, squares=5, latency={0: HUGE, 1: HUGE}, latency_us=5))
@example(Scorecard(target="a", task_type="t", samples=5, squares=5, latency={0: inf, 1: -inf}, latency_us=5))
@example(Scorecard(target="a", task_type="t", quality_samples=1e-17, quality_ppm=900_000))
@example(Scorecard(target="a", task_type="t", quality_samples=1, quality_ppm=-1e-17))
@example(Scorecard(target="a", task_type="t", samples=nan, quality_samples=1))
@example(Scorecard(target="a", task_type="t", samples=5, squares=5, cost_samples=TINY, cost_micros=HUGE))
@example(Scorecard(target="a", task_type="t", samples=5, squares=5, cost_samples=inf, cost_micros=inf))
@example(Scorecard(target="a", task_type="t", samples=5, squares=5, cost_samples=1, cost_micros=-1e-17, cost={0: 1}))
def test_an_estimate_of_any_sums_claims_no_more_than_a_rate_and_its_interval_can(card):
    seen = evidence.estimate(card)
    assert 0 <= seen.successes <= seen.samples or math.isinf(seen.samples)
    assert 0 <= seen.effective < inf
    assert seen.rate is None or 0 <= seen.rate <= 1
    assert is_interval((seen.wilson_lo, seen.wilson_hi), 0.0, 1.0, seen.rate if seen.effective else None)
    assert seen.quality is None or 0 <= seen.quality <= 1
    for figure in (seen.mean_cost_micros, seen.mean_latency_ms, seen.p95_cost_micros, seen.p50_ms, seen.p95_ms):
        assert figure is None or 0 <= figure < inf
    assert 0 <= seen.rated < inf
    assert is_interval(seen.quality_interval, 0.0, 1.0)
    for interval in (seen.cost_interval_micros, seen.p50_interval_ms, seen.p95_interval_ms):
        assert interval is None or is_interval(interval, 0.0, inf)


def execution(**figures):
    known = {"status": Status.SUCCEEDED, "started_at_us": 0, "ended_at_us": 1, "attempt": 1}
    names = dict.fromkeys(("id", "decision_id", "process_id", "adapter"), "x")
    return Execution(**names, target="a", task_type="t", fallback=False, randomised=True, **{**known, **figures})


@tried("evidence.latency_bucket", "evidence.cost_bucket", "evidence.quality_ppm", "evidence.day_of_fact")
@edges
@given(ANY, st.integers(-1, 10**30), st.integers(-1, 10**30))
@example(nan, 10**300, 2**63 - 1)
def test_figures_of_an_execution_are_counted_somewhere(quality, latency_us, cost_micros):
    assert 0 <= evidence.quality_ppm(quality) <= evidence.PPM
    fact = execution(latency_us=latency_us, cost_micros=cost_micros)
    assert isinstance(evidence.latency_bucket(fact), int)
    assert isinstance(evidence.cost_bucket(fact), int)
    assert evidence.day_of_fact(fact) == 0


@tried("evidence.Tally", "evidence.Tally.add", "evidence.Tally.count", "evidence.Tally.count_tokens")
@tried("evidence.Tally.revise", "evidence.Tally.add_card", "evidence.Tally.card", "evidence.fold", "evidence.merged")
@edges
@given(st.integers(0, 10**30), st.integers(-3, 3), CARDS, st.sampled_from((0, TINIEST, 0.5, 1)))
def test_folding_is_exact_addition_whatever_the_size(size, change, card, weight):
    facts = [
        execution(latency_us=size, cost_micros=size, usage=Usage(queries=size, input_tokens=size)),
        Revision(
            outcome_id="r", of_us=0, at_us=size, target="a", task_type="t", samples=change, successes=change,
            quality_samples=change, quality_ppm=change
        ),
    ]  # fmt: skip
    both = evidence.fold(evidence.fold(None, facts[0]), facts[1])
    assert both == evidence.fold(evidence.fold(None, facts[1]), facts[0])
    assert (both.samples, both.cost_micros, both.input_tokens) == (1 + change, size, size)
    assert evidence.merged([both, both]).cost_micros == 2 * size
    tally = evidence.Tally(card)
    tally.add_card(card, weight)
    evidence.estimate(tally.card("a", "t"))


@tried("evidence.weighed")
@edges
@given(ANY, st.integers(-3, 10**6))
@example(HUGE, 2)
@example(nan, 1)
def test_days_weigh_between_nothing_and_one_whatever_the_factor(gamma, age):
    one = Scorecard(target="a", task_type="t", samples=3, successes=2, squares=3, latency={5: 2})
    card = evidence.weighed([Daily(day=0, card=one), Daily(day=10**6, card=one)], age, gamma, "a", "t")
    assert 0 <= card.successes <= card.samples <= 6
    assert 0 <= card.squares <= 6


@tried("scoring.nearness", "scoring.Scoring")
@edges
@given(ANY, ANY, ANY)
@example(1.0, TINIEST, HUGE)
@example(nan, 1.0, 2.0)
@example(1.0, 1 - 2**-53, 1 + 2**-52)
def test_nearness_lies_between_0_and_1(value, best, worst):
    if 0 < best < worst < inf and worst / best < inf:
        assert 0 <= scoring.nearness(value, best, worst) <= 1
        Scoring(fast_ms=best, slow_ms=worst)
    else:
        with pytest.raises(ValueError, match="fast_ms"):
            Scoring(fast_ms=best, slow_ms=worst)


@tried("scoring.Scoring.score", "scoring.Scoring.besides", "scoring.Scoring.speed", "scoring.Scoring.cheapness")
@tried("scoring.Scoring.quality", "scoring.Scoring.trusts", "scoring.Scoring.good_at")
@edges
@given(ESTIMATES, st.tuples(*(st.sampled_from((0.0, TINIEST, 1.0, 1e9)) for _ in range(4))))
@example(replace(NO_EVIDENCE, rate=0.5, quality=nan), (1.0, 1.0, 1.0, 1.0))
@example(replace(NO_EVIDENCE, rate=0.5), (1e9, 1e9, 0.0, 0.0))
def test_a_score_by_any_weights_lies_between_0_and_1(seen, weights):
    if not any(weights):
        return
    weights = [min(weight, 1e9) for weight in weights]
    weighed = Scoring().good_at(Objective(success=weights[0], cost=weights[1], latency=weights[2], quality=weights[3]))
    score = weighed.score(seen)
    assert (score is None) == (seen.rate is None)
    assert score is None or 0 <= score <= 1 + 1e-12
    assert 0 <= weighed.besides(seen) <= 1 + 1e-12
    for part in (weighed.speed, weighed.cheapness, weighed.quality):
        assert 0 <= part(seen) <= 1
    assert weighed.trusts(seen) == (seen.effective >= 100)


@tried("columns.column_of", "columns.Candidates", "columns.Candidates.column", "columns.Candidates.memory")
@tried("columns.Candidates.few", "columns.Candidates.replaced")
@pytest.mark.parametrize("count", [0, 1, FEW - 1, FEW, FEW + 1])
def test_columns_hold_any_number_unchanged_for_few_and_for_many(count):
    values = [TINIEST, HUGE, -inf][:count] + [0.5] * max(count - 3, 0)
    rows = Candidates(values, [0.0] * count, [0.0] * count)
    assert rows.few == (count < FEW)
    assert list(rows.column(float)) == values == list(column_of(iter(values), count))
    assert rows.memory(len) == count
    if count:
        changed = rows.replaced({0: HUGE}, rows.successes, rows.failures)
        assert (changed.column(float)[0], rows.column(float)[0]) == (HUGE, TINIEST)
