"""Folding commutes, counts what says something, and no more."""

import pickle
from collections import Counter
from dataclasses import replace
from math import exp, inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.model import NO_EVIDENCE, Daily, Execution, Revision, Status
from mahavishnu.stats.evidence import estimate, fold, weighed
from mahavishnu.stats.intervals import quantile_interval, wilson
from mahavishnu.stats.sketch import bucket_of


def execution(status=Status.SUCCEEDED, latency_us=1000, cost=0, quality=None):
    return Execution(
        id="E",
        decision_id="D",
        process_id="P",
        target="a",
        adapter="local",
        task_type="t",
        attempt=1,
        fallback=False,
        randomised=True,
        status=status,
        started_at_us=0,
        ended_at_us=5,
        latency_us=latency_us,
        cost_micros=cost,
        quality=quality,
    )


def folded(facts):
    card = None
    for fact in facts:
        card = fold(card, fact)
    return card


FACTS = st.lists(
    st.one_of(
        st.builds(
            execution,
            st.sampled_from([s for s in Status if s.ended]),
            st.integers(0, 10**8),
            st.integers(0, 10**6),
            st.none() | st.floats(0, 1),
        ),
        st.builds(
            Revision,
            outcome_id=st.just("O"),
            target=st.just("a"),
            task_type=st.just("t"),
            at_us=st.integers(0, 10),
            of_us=st.integers(0, 10),
            samples=st.integers(-1, 1),
            successes=st.integers(-1, 1),
            quality_samples=st.integers(-1, 1),
            quality_ppm=st.integers(-(10**6), 10**6),
        ),
    ),
    min_size=1,
    max_size=30,
)


@given(FACTS.flatmap(lambda facts: st.tuples(st.just(facts), st.permutations(facts))))
def test_the_order_of_facts_does_not_matter(case):
    facts, shuffled = case
    assert folded(facts) == folded(shuffled)


def test_the_callers_errors_and_cancellations_are_no_samples():
    card = folded([execution(Status.REFUSED), execution(Status.CANCELLED), execution(Status.SUCCEEDED)])
    assert (card.samples, card.successes, card.refused, card.cancelled) == (1, 1, 1, 1)


def test_a_lost_execution_is_no_sample_and_is_counted_apart():
    card = folded([execution(Status.LOST, latency_us=None), execution(Status.SUCCEEDED)])
    assert (card.samples, card.successes, card.lost, card.cost_samples) == (1, 1, 1, 1)


def test_a_task_that_did_not_suit_its_target_is_a_sample_and_no_failure():
    card = folded([execution(Status.UNSUITABLE, latency_us=None), execution(Status.SUCCEEDED)])
    assert (card.samples, card.successes, card.unsuitable, card.failed) == (2, 1, 1, 0)


def test_a_fast_failure_is_not_speed():
    seen = estimate(folded([execution(Status.FAILED, latency_us=1), execution(latency_us=50_000)]))
    assert 49.5 <= seen.p50_ms <= 50.5


def test_an_outcome_turns_a_success_into_a_failure():
    turned = Revision(outcome_id="O", target="a", task_type="t", at_us=9, of_us=5, samples=0, successes=-1)
    seen = estimate(folded([execution(), execution(), turned]))
    assert (seen.samples, seen.successes, seen.rate) == (2, 1, 0.5)


def test_cost_and_quality_are_means_over_what_has_them():
    seen = estimate(
        folded([execution(cost=100, quality=0.5), execution(cost=300), execution(Status.CANCELLED, cost=9)])
    )
    assert (seen.mean_cost_micros, seen.quality) == (200, 0.5)


def test_intervals_for_quality_and_cost_are_by_hand():
    facts = [execution(cost=100, quality=0.5)] * 50 + [execution(cost=300, quality=1.0)] * 50
    seen = estimate(folded(facts))
    assert (seen.rated, seen.quality) == (100, 0.75)
    assert seen.quality_interval == wilson(75, 100)
    # s = 100 · sqrt(100/99), and Student's 1.984 of it over ten; the buckets know the spread within 1 %.
    assert seen.cost_interval_micros == (pytest.approx(200 - 19.94, abs=0.4), pytest.approx(200 + 19.94, abs=0.4))
    assert seen.p95_cost_micros == pytest.approx(300, rel=0.01)


def test_without_ratings_bills_or_latencies_there_are_no_intervals():
    seen = estimate(folded([execution(Status.FAILED, latency_us=None)]))
    assert (seen.rated, seen.quality_interval, seen.p95_interval_ms, seen.p50_interval_ms) == (
        0,
        (0.0, 1.0),
        None,
        None,
    )
    assert seen.cost_interval_micros is None
    for name in ("rated", "quality_interval", "cost_interval_micros", "p95_cost_micros", "p95_interval_ms"):
        assert getattr(NO_EVIDENCE, name) == (
            0 if name == "rated" else (0.0, 1.0) if name == "quality_interval" else None
        )


def test_quality_that_was_learnt_of_what_is_no_sample_counts_too():
    seen = estimate(folded([execution(Status.CANCELLED, quality=0.5)] * 4))
    assert (seen.samples, seen.rated, seen.quality_interval) == (0, 4, wilson(2, 4))


def test_decayed_ratings_and_bills_count_for_kishs_n():
    card = folded([execution(cost=100, quality=0.5)] * 60 + [execution(cost=300, quality=0.5)] * 40)
    days = [Daily(day=day, card=card) for day in (1, 2)]
    seen = estimate(weighed(days, 2, 0.5, "a", "t"))
    assert seen.effective == pytest.approx(150**2 / 125)
    assert seen.rated == pytest.approx(seen.effective)
    whole = estimate(weighed(days, 2, 1.0, "a", "t"))
    assert seen.cost_interval_micros[0] < whole.cost_interval_micros[0]
    assert seen.quality_interval[0] < whole.quality_interval[0]


def test_an_estimate_is_as_good_as_one_that_was_worked_out_at_once():
    card = folded([execution(cost=100, quality=0.5), execution(cost=300)])
    assert estimate(card) == estimate(card) == pickle.loads(pickle.dumps(estimate(card)))
    assert replace(estimate(card), samples=7).rated == estimate(card).rated


def test_the_interval_of_a_quantile_covers_it_as_often_as_it_says():
    rng, covered, times = Random(2), Counter(), 1_500
    true = {0.5: 100.0, 0.95: 100.0 * exp(1.6448536)}
    for _ in range(times):
        counts = Counter(bucket_of(100.0 * exp(rng.gauss(0, 1))) for _ in range(200))
        for level, value in true.items():
            lo, hi = quantile_interval(counts, level)
            covered[level] += lo * 0.99 <= value <= hi * 1.01
    for level in true:
        # Rounded outwards to ranks and by up to 1 % to buckets: rather more than 95 %.
        assert 0.94 < covered[level] / times < 0.995


def test_ends_of_a_quantiles_interval_that_nothing_is_known_of_are_open():
    assert quantile_interval({}, 0.5) is None
    assert quantile_interval({bucket_of(5.0): 1}, 0.95) == (0.0, inf)
    lo, hi = quantile_interval({bucket_of(5.0): 2}, 0.95)
    assert (lo, hi) == (pytest.approx(5.0, rel=0.01), inf)
    assert quantile_interval({bucket_of(5.0): 2}, 0.95, scale=0.5) == (0.0, inf)
