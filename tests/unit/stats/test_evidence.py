"""Folding commutes, counts what says something, and no more."""

from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.model import Execution, Revision, Status
from mahavishnu.stats.evidence import estimate, fold


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


def test_a_lost_execution_is_a_failure_and_no_gap():
    card = folded([execution(Status.LOST, latency_us=None), execution(Status.SUCCEEDED)])
    assert (card.samples, card.successes, card.lost) == (2, 1, 1)


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
