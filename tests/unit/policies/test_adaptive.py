"""The adaptive policy: what it draws, what it says about that, and that nothing breaks or freezes it."""

import math
from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mahavishnu.engine.pool import Pool
from mahavishnu.model import NO_EVIDENCE, Candidate, Snapshot, Target, Task
from mahavishnu.policies.adaptive import Adaptive, from_estimates
from mahavishnu.stats.columns import FEW, Candidates
from mahavishnu.stats.intervals import wilson

TASK = Task(type="etl", text="x")
ADAPTIVE = Adaptive()


def estimate(samples=0, successes=0, *, p50_ms=100.0, cost_usd=None):
    lo, hi = wilson(successes, samples)
    return replace(
        NO_EVIDENCE,
        samples=samples,
        effective=samples,
        successes=successes,
        rate=successes / samples if samples else None,
        wilson_lo=lo,
        wilson_hi=hi,
        p50_ms=p50_ms if successes else None,
        mean_cost_micros=None if cost_usd is None else cost_usd * 1e6,
    )


def target(name):
    return Target(name=name, adapter="local", run="m:f", task_types={"etl"})


def candidate(name, samples=0, successes=0, **figures):
    return Candidate(target(name), estimate(samples, successes, **figures))


def rank(policy, candidates, rng):
    return policy.rank(TASK, candidates, Snapshot(), 0, rng)


def firsts(policy, candidates, times, seed=1):
    rng = Random(seed)
    known = from_estimates(candidates)
    return Counter(rank(policy, known, rng).first.target.name for _ in range(times))


def probabilities(policy, candidates, seed=1):
    return {each.candidate.target.name: each.probability for each in rank(policy, candidates, Random(seed)).chain}


def chi_square(observed, expected, times):
    return sum((observed[name] - times * share) ** 2 / (times * share) for name, share in expected.items())


POOLS = {
    "close": [candidate("a", 400, 380), candidate("b", 90, 84), candidate("c", 12, 11)],
    "new ones": [candidate("a", 30, 27), candidate("b"), candidate("c")],
    "slow and fast": [candidate("a", 60, 58, p50_ms=300.0), candidate("b", 50, 42), candidate("c", 4, 4, p50_ms=9e3)],
    "many": [candidate(f"t{n}", 20 + n, 16 + n) for n in range(FEW + 5)],
}


@pytest.mark.parametrize("pool", POOLS)
def test_the_recorded_probability_is_the_frequency(pool):
    policy, times = Adaptive(exploration=0.05), 12_000
    recorded = probabilities(policy, POOLS[pool])
    observed = firsts(policy, POOLS[pool], times)
    assert sum(recorded.values()) == pytest.approx(1)
    # The .9999 quantile of chi-square by Wilson and Hilferty; one draw in ten thousand would fail without a fault.
    freedom = len(recorded) - 1
    limit = freedom * (1 - 2 / (9 * freedom) + 3.72 * math.sqrt(2 / (9 * freedom))) ** 3
    assert chi_square(observed, recorded, times) < limit


def test_the_recorded_probability_does_not_depend_on_the_draw():
    first, second = (probabilities(ADAPTIVE, POOLS["close"], seed) for seed in (1, 2))
    assert first == second


def test_few_and_many_draw_from_the_same_distribution():
    few = [candidate("a", 400, 380), candidate("b", 90, 84), candidate("c", 12, 11)]
    hopeless = [candidate(f"z{n:02}", 10, 0) for n in range(FEW)]
    alone, among = firsts(ADAPTIVE, few, 6000), firsts(ADAPTIVE, [*few, *hopeless], 6000)
    for name in "abc":
        assert among[name] / 6000 == pytest.approx(alone[name] / 6000, abs=0.04)


@pytest.mark.parametrize("pool", POOLS)
def test_the_seed_decides_and_everybody_is_in_the_chain_once(pool):
    ranking = rank(ADAPTIVE, POOLS[pool], Random(7))
    assert ranking == rank(ADAPTIVE, POOLS[pool], Random(7))
    assert ranking.first == ranking.chain[0].candidate
    assert ranking.order == tuple(each.candidate for each in ranking.chain)
    assert Counter(each.target.name for each in ranking.order) == Counter(each.target.name for each in POOLS[pool])
    drawn = [each.components["drawn"] for each in ranking.chain]
    assert drawn == sorted(drawn, reverse=True)
    assert all(each.probability > 0 for each in ranking.chain)


def test_every_candidate_has_its_share_of_what_is_explored():
    pool = [candidate("good", 5000, 4950), candidate("dead", 5000, 0), candidate("ill", 5000, 10)]
    policy = Adaptive(exploration=0.03)
    assert probabilities(policy, pool)["dead"] == pytest.approx(0.01)
    observed = firsts(policy, pool, 6000)
    assert observed["dead"] == pytest.approx(60, abs=35)
    explored = next(
        found for seed in range(1000) if (found := rank(policy, pool, Random(seed))).first.target.name == "dead"
    )
    assert "to learn more" in explored.why


def test_a_new_target_is_tried_at_once_and_one_without_success_is_not_fast():
    pool = [candidate("proven", 200, 150), candidate("new"), candidate("failing", 200, 0)]
    chances = probabilities(ADAPTIVE, pool)
    assert chances["new"] > 0.2
    assert chances["failing"] < 0.001


def test_of_two_that_are_as_good_the_faster_is_taken_and_with_a_cost_weight_the_cheaper():
    slow, fast = candidate("slow", 900, 880, p50_ms=3000.0), candidate("fast", 900, 880, p50_ms=150.0)
    assert probabilities(ADAPTIVE, [slow, fast])["fast"] > 0.99
    dear, cheap = (candidate(name, 900, 880, cost_usd=usd) for name, usd in (("dear", 0.5), ("cheap", 0.01)))
    assert probabilities(ADAPTIVE, [dear, cheap])["cheap"] == pytest.approx(0.5, abs=0.001)
    assert probabilities(Adaptive(cost_weight=0.2), [dear, cheap])["cheap"] > 0.99


def test_the_reason_says_what_was_seen_and_how_likely_the_choice_was():
    ranking = rank(ADAPTIVE, [candidate("agno", 312, 303), candidate("other", 312, 290)], Random(1))
    assert "% success (" in ranking.why
    assert "n=312" in ranking.why
    assert f"drawn with probability {round(ranking.chain[0].probability * 100)} %" in ranking.why


def test_what_is_recorded_is_what_was_believed_at_the_time():
    pool = Pool()
    pool.set_up([target("a"), target("b")], [estimate(10, 9), estimate(10, 8)])
    ranking = rank(ADAPTIVE, pool.everybody(), Random(1))
    pool.learn({0: estimate(300, 9), 1: estimate(300, 9)})
    recorded = {each.candidate.target.name: each.components for each in ranking.chain}
    assert recorded["a"]["alpha"] == pytest.approx(10.0, abs=0.02)
    assert recorded["a"]["samples"] == 10
    later = {each.candidate.target.name: each.components for each in rank(ADAPTIVE, pool.everybody(), Random(1)).chain}
    assert later["a"]["samples"] == 300


def test_candidates_that_were_changed_one_by_one_rank_as_fresh_ones():
    rng = Random(4)
    names = [f"t{n}" for n in range(FEW + 3)]
    for count in (4, FEW + 3):
        pool = Pool(discount=1.0)
        seen = [NO_EVIDENCE] * count
        pool.set_up([target(name) for name in names[:count]], seen)
        rank(ADAPTIVE, pool.everybody(), rng)
        for _ in range(60):
            place = rng.randrange(count)
            seen[place] = estimate(seen[place].samples + 1, seen[place].successes + (rng.random() < 0.7), p50_ms=400.0)
            pool.learn({place: seen[place]})
            changed = pool.everybody()
        whole = [Candidate(target(name), each) for name, each in zip(names[:count], seen, strict=True)]
        counts = [each.successes for each in seen], [each.samples - each.successes for each in seen]
        columns = Candidates(whole, *(_column(each) for each in counts))
        assert list(changed) == whole
        assert ADAPTIVE.chances(changed) == pytest.approx(ADAPTIVE.chances(columns))
        assert list(ADAPTIVE.expected(changed)) == pytest.approx(list(ADAPTIVE.expected(columns)))


def _column(values):
    if len(values) < FEW:
        return values
    import numpy as np

    return np.array(values, dtype=float)


def test_part_of_a_pool_has_the_beliefs_of_the_whole():
    pool = Pool()
    pool.set_up([target(name) for name in "abc"], [estimate(10, 9), estimate(), estimate(50, 20)])
    part = pool.part((2, 0))
    assert [each.target.name for each in part] == ["c", "a"]
    assert part is pool.part((2, 0))
    assert (part.successes[0], part.failures[1]) == (pool.everybody().successes[2], pool.everybody().failures[0])
    pool.learn({0: estimate(11, 9)})
    assert pool.part((2, 0))[1].estimate.samples == 11


def test_among_very_many_targets_each_is_remembered():
    pool = Pool()
    pool.set_up([target(f"t{n}") for n in range(200)], [estimate(2_000, 1_000)] * 200)
    assert list(pool.everybody().successes) == pytest.approx([290] * 200, rel=0.1)


def test_a_target_that_went_and_came_back_is_still_known():
    pool = Pool()
    both, seen = [target("a"), target("b")], [estimate(10, 9), estimate(10, 8)]
    pool.set_up(both, seen)
    before = pool.everybody().successes
    pool.set_up(both[:1], seen[:1])
    pool.set_up(both, seen)
    assert pool.everybody().successes == before


ODD = st.one_of(
    st.sampled_from([math.nan, math.inf, -math.inf, -1.0, 0.0]), st.floats(-1e20, 1e20), st.integers(0, 300)
)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(ODD, ODD, ODD), min_size=1, max_size=6), st.integers(0, 40), st.integers(0, 2**63))
def test_no_evidence_whatever_breaks_it_and_one_odd_cell_spoils_no_other(cells, more, seed):
    odd = [
        Candidate(
            target(f"odd{place}"), replace(NO_EVIDENCE, samples=samples, successes=successes, effective=effective)
        )
        for place, (samples, successes, effective) in enumerate(cells)
    ]
    sound = [candidate(f"t{place}", 50, 40) for place in range(more)]
    ranking = rank(ADAPTIVE, [*odd, *sound], Random(seed))
    found = [each.probability for each in ranking.chain]
    assert sum(found) == pytest.approx(1)
    assert min(found) > 0
    assert all(math.isfinite(each.components["drawn"]) for each in ranking.chain)
    alike = {round(each.probability, 9) for each in ranking.chain if each.candidate.target.name.startswith("t")}
    assert len(alike) <= 1


def test_options_change_the_version_and_nonsense_is_refused():
    assert Adaptive().version == ADAPTIVE.version != Adaptive(exploration=0.5).version
    for option, value in (
        ("exploration", 0.0), ("exploration", 1.5), ("cost_weight", -1.0), ("cheap_usd", 0.0), ("dear_usd", 0.00001),
        ("prior_successes", 0.0), ("prior_failures", math.nan), ("prior_failures", math.inf),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=option):
            Adaptive(**{option: value})
