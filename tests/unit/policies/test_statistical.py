"""The statistical policy: what ranks, what stays, what is looked at again."""

from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.model import NO_EVIDENCE, Candidate, Snapshot, Target, Task
from mahavishnu.policies.preference import Preference
from mahavishnu.policies.statistical import Statistical
from mahavishnu.stats.intervals import wilson

TASK = Task(type="etl", text="x")
NOW_US = 10**15


def candidate(name, samples=0, successes=0, *, place=0, p50_ms=100.0, seen_s_ago=0.0):
    lo, hi = wilson(successes, samples)
    seen = replace(
        NO_EVIDENCE,
        samples=samples,
        effective=samples,
        successes=successes,
        rate=successes / samples if samples else None,
        wilson_lo=lo,
        wilson_hi=hi,
        p50_ms=p50_ms if successes else None,
        last_at_us=NOW_US - int(seen_s_ago * 1e6) if samples else 0,
    )
    return Candidate(Target(name=name, adapter="local", run="m:f", task_types={"etl"}, place=place), seen)


def rank(policy, *candidates, seed=0, published=()):
    snapshot = Snapshot(orders={TASK.type: published} if published else {})
    return policy.rank(TASK, candidates, snapshot, NOW_US, Random(seed))


def order(ranking):
    return [each.candidate.target.name for each in ranking.chain]


STEADY = Statistical(exploration=0.0)


def test_trusted_targets_stand_by_their_score():
    ranking = rank(STEADY, candidate("a", 200, 170, place=0), candidate("b", 200, 198, place=1))
    assert order(ranking) == ["b", "a"]


def test_a_fast_target_beats_a_slightly_better_slow_one():
    slow, fast = candidate("slow", 500, 490, p50_ms=5000), candidate("fast", 500, 480, place=1, p50_ms=50)
    assert order(rank(STEADY, slow, fast)) == ["fast", "slow"]


def test_below_the_minimum_a_target_keeps_its_default_place_and_says_so():
    ranking = rank(STEADY, candidate("new", 99, 99, place=0), candidate("b", 200, 200, place=1))
    assert order(ranking) == ["new", "b"]
    assert "until it has 100 samples" in ranking.why


def test_trusted_targets_are_sorted_around_an_untrusted_one():
    ranking = rank(
        STEADY, candidate("a", 200, 180, place=0), candidate("new", place=1), candidate("c", 200, 199, place=2)
    )
    assert order(ranking) == ["c", "new", "a"]


def test_a_target_known_to_fail_goes_behind_one_without_evidence():
    ranking = rank(STEADY, candidate("a", 200, 0, place=0), candidate("new", place=1))
    assert order(ranking) == ["new", "a"]


def test_a_published_order_holds_whatever_the_scores_say_since():
    better, worse = candidate("better", 1000, 990, place=1), candidate("worse", 1000, 900)
    assert order(rank(STEADY, better, worse)) == ["better", "worse"]
    assert order(rank(STEADY, better, worse, published=("worse", "better"))) == ["worse", "better"]


def test_a_target_that_came_after_the_order_was_published_enters_at_its_default_place():
    ranked = rank(
        STEADY, candidate("a", place=0), candidate("new", place=1), candidate("b", place=2), published=("b", "a")
    )
    assert order(ranked) == ["b", "new", "a"]


def test_a_target_known_to_fail_goes_last_also_where_the_published_order_has_it_first():
    failing, well = candidate("failing", 1000, 300), candidate("well", 1000, 950, place=1)
    assert order(rank(STEADY, failing, well, published=("failing", "well"))) == ["well", "failing"]


def test_an_objective_is_gone_by_whatever_order_was_published():
    slow, fast = candidate("slow", 500, 490, p50_ms=5000), candidate("fast", 500, 480, place=1, p50_ms=50)
    cheap = candidate("cheap", 500, 480, place=2, p50_ms=5000)
    dear = [
        Candidate(each.target, replace(each.estimate, mean_cost_micros=usd * 1e6))
        for each, usd in ((slow, 0.5), (fast, 0.5), (cheap, 0.0))
    ]
    found = {}
    for word in ("success", "latency", "cost"):
        task = Task(type="etl", text="x", objective=word)
        published = Snapshot(orders={"etl": ("slow", "fast", "cheap")})
        own = STEADY.rank(task, dear, published, NOW_US, Random(0))
        of_the_type = replace(published, strategies={"etl": task.objective})
        assert order(own) == order(STEADY.rank(TASK, dear, of_the_type, NOW_US, Random(0)))
        assert f"; for {word}" in own.why
        found[word] = order(own)[0]
    assert found == {"success": "slow", "latency": "fast", "cost": "cheap"}


def test_a_score_is_shown_by_what_is_weighed():
    task = Task(type="etl", text="x", objective={"success": 1, "cost": 1, "quality": 2})
    seen = candidate("a", 400, 300)
    rated = Candidate(seen.target, replace(seen.estimate, quality=0.5, mean_cost_micros=1e4))
    (only,) = STEADY.rank(task, [rated], Snapshot(), NOW_US, Random(0)).chain
    # $0.01 is half way, by the logarithm, from $0.0001 to $1.
    assert only.score == pytest.approx(0.25 * 0.75 + 0.25 * 0.5 + 0.5 * 0.5)
    assert (only.components["cheapness"], only.components["quality"]) == (pytest.approx(0.5), 0.5)


def test_one_success_of_one_does_not_beat_98_of_100():
    trusting = Statistical(min_samples=1, exploration=0.0)
    assert order(rank(trusting, candidate("lucky", 1, 1), candidate("proven", 100, 98, place=1))) == ["proven", "lucky"]


def test_exploration_is_spent_on_targets_that_are_due_and_on_no_other():
    policy = Statistical(exploration=0.1, explore_after_s=300)
    best = candidate("best", 500, 495)
    fresh = candidate("fresh-failure", 200, 0, place=1, seen_s_ago=10)
    stale = candidate("stale-failure", 200, 0, place=2, seen_s_ago=301)
    new = candidate("new", place=3)
    firsts = Counter(order(rank(policy, best, fresh, stale, new, seed=seed))[0] for seed in range(4000))
    assert firsts["fresh-failure"] == 0
    assert firsts["best"] == pytest.approx(3600, abs=80)
    assert firsts["stale-failure"] == pytest.approx(200, abs=60)
    assert firsts["new"] == pytest.approx(200, abs=60)


CANDIDATES = st.lists(
    st.tuples(st.integers(0, 300), st.floats(0, 1), st.floats(0.01, 1e5), st.floats(0, 1000)), min_size=1, max_size=8
).map(
    lambda cases: [
        candidate(f"t{i}", n, round(n * share), place=i, p50_ms=p50, seen_s_ago=ago)
        for i, (n, share, p50, ago) in enumerate(cases)
    ]
)


@pytest.mark.parametrize("policy", [Statistical(exploration=0.2), Preference(order=("t3", "t1"))], ids=lambda p: p.name)
@given(candidates=CANDIDATES, seed=st.integers(0, 2**63 - 1))
def test_everybody_is_in_the_chain_once_and_probabilities_are_probabilities(policy, candidates, seed):
    ranking = rank(policy, *candidates, seed=seed)
    assert sorted(order(ranking)) == sorted(each.target.name for each in candidates)
    assert sum(each.probability for each in ranking.chain) == pytest.approx(1.0)
    assert all(0 <= each.probability <= 1 for each in ranking.chain)
    assert ranking.chain[0].probability > 0
    assert ranking == rank(policy, *candidates, seed=seed)


def test_the_logged_probability_is_the_frequency():
    policy = Statistical(exploration=0.3)
    pool = [candidate("a", 150, 140), candidate("b", place=1), candidate("c", 20, 10, place=2)]
    logged = {each.candidate.target.name: each.probability for each in rank(policy, *pool).chain}
    seen = Counter(order(rank(policy, *pool, seed=seed))[0] for seed in range(6000))
    for name, probability in logged.items():
        assert seen[name] / 6000 == pytest.approx(probability, abs=0.025)


def test_options_change_the_version_and_nonsense_is_refused():
    assert Statistical().version == Statistical().version != Statistical(min_samples=5).version
    with pytest.raises(ValueError, match="exploration"):
        Statistical(exploration=0.9)
    with pytest.raises(ValueError, match="fast_ms"):
        Statistical(fast_ms=10, slow_ms=5)


def test_preference_is_the_given_order_then_the_default_order():
    ranking = rank(Preference(order=("c",)), candidate("a", place=0), candidate("b", place=1), candidate("c", place=2))
    assert order(ranking) == ["c", "a", "b"]
