"""The adaptive policy: what it draws, what it says about that, and that nothing breaks or freezes it."""

import math
from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.engine.routing.candidate_pool import Pool
from mahavishnu.model import NO_EVIDENCE, Candidate, Snapshot, Target, Task
from mahavishnu.model.objective import objective_of
from mahavishnu.policies.adaptive import Adaptive, from_estimates
from mahavishnu.stats.columns import FEW, Candidates
from mahavishnu.stats.intervals import wilson
from tests.examples import examples

TASK = Task(type="etl", text="x")
ADAPTIVE = Adaptive()
NOTHING = Snapshot()
PRICED = Snapshot(prices={"etl": 5.0})


def estimate(samples=0, successes=0, *, p50_ms=100.0, cost_usd=None, quality=None):
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
        quality=quality,
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


def probabilities(policy, candidates, seed=1, task=TASK, snapshot=NOTHING):
    ranking = policy.rank(task, candidates, snapshot, 0, Random(seed))
    return {each.candidate.target.name: each.probability for each in ranking.chain}


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
    assert drawn[0] == max(drawn)
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


SPECIALISTS = [
    candidate("fast", 2000, 1800, p50_ms=100.0, cost_usd=0.5, quality=0.5),
    candidate("cheap", 2000, 1800, p50_ms=8000.0, cost_usd=0.0, quality=0.5),
    candidate("good", 2000, 1800, p50_ms=8000.0, cost_usd=0.5, quality=1.0),
    candidate("sure", 2000, 1990, p50_ms=8000.0, cost_usd=0.5, quality=0.5),
]


@pytest.mark.parametrize(
    ("word", "best"), [("interactive", "fast"), ("batch", "cheap"), ("quality", "good"), ("critical", "sure")]
)
def test_an_objective_of_the_task_or_of_its_type_decides_what_is_best_and_the_tasks_own_comes_first(word, best):
    own = Task(type="etl", text="x", objective=word)
    of_the_type = Snapshot(strategies={"etl": objective_of(word)})
    of_another = Snapshot(strategies={"rag": objective_of(word), "etl": objective_of({"quality": 1, "latency": 1})})
    assert probabilities(ADAPTIVE, SPECIALISTS, task=own)[best] > 0.99
    assert probabilities(ADAPTIVE, SPECIALISTS, snapshot=of_the_type)[best] > 0.99
    assert probabilities(ADAPTIVE, SPECIALISTS, task=own, snapshot=of_another)[best] > 0.99


def test_only_the_proportions_of_an_objective_matter():
    small, large = (Task(type="etl", text="x", objective={"success": 3 * f, "cost": f}) for f in (0.001, 1000))
    found = probabilities(ADAPTIVE, POOLS["close"], task=small)
    assert found == pytest.approx(probabilities(ADAPTIVE, POOLS["close"], task=large))


def test_an_objective_without_success_is_gone_by_too():
    cheapest = Task(type="etl", text="x", objective={"cost": 1})
    assert probabilities(ADAPTIVE, SPECIALISTS, task=cheapest)["cheap"] > 0.99
    priced = Snapshot(prices={"etl": 5.0})
    assert probabilities(ADAPTIVE, SPECIALISTS, task=cheapest, snapshot=priced)["cheap"] > 0.99


def test_free_targets_have_all_of_what_cheapness_is_worth_and_so_has_what_was_never_billed():
    pool = [
        candidate("free", 500, 450, cost_usd=0.0),
        candidate("unbilled", 500, 450),
        candidate("dear", 500, 450, cost_usd=1),
    ]
    found = probabilities(Adaptive(cost_weight=0.3), pool)
    assert found["free"] == pytest.approx(found["unbilled"], abs=1e-6)
    assert found["dear"] < 0.001


def test_a_price_sets_success_against_dollars():
    pool = [candidate("good", 4000, 3800, cost_usd=0.10), candidate("cheap", 4000, 3200, cost_usd=0.01)]
    # 0.15 more successes for $0.09 more: 1.67 a dollar.
    for price, best in ((0.0, "good"), (1.2, "good"), (2.2, "cheap"), (1e6, "cheap")):
        assert probabilities(ADAPTIVE, pool, snapshot=Snapshot(prices={"etl": price}))[best] > 0.97
        assert probabilities(Adaptive(price=price), pool)[best] > 0.97
    assert probabilities(ADAPTIVE, pool, snapshot=Snapshot(prices={"rag": 9.0}))["good"] > 0.97


def test_what_a_target_costs_is_not_forgotten_while_it_is_idle():
    faded = candidate("dear", 4, 4, cost_usd=1.0)
    found = probabilities(ADAPTIVE, [faded, candidate("cheap", 4000, 3000, cost_usd=0.01)], snapshot=PRICED)
    assert found["dear"] <= 0.001


def test_what_was_never_billed_is_tried_at_any_price():
    found = probabilities(ADAPTIVE, [candidate("new"), candidate("cheap", 4000, 3000, cost_usd=0.1)], snapshot=PRICED)
    # It is taken for free: a drawn rate above 0.75 - 5 · 0.1 does.
    assert found["new"] == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize("price", [math.nan, math.inf, -1.0])
def test_a_price_that_is_none_stops_nothing(price):
    found = probabilities(ADAPTIVE, POOLS["close"], snapshot=Snapshot(prices={"etl": price}))
    assert found == probabilities(ADAPTIVE, POOLS["close"])


@pytest.mark.parametrize("pool", POOLS)
def test_under_an_objective_and_a_price_the_recorded_probability_is_the_frequency(pool):
    task = Task(type="etl", text="x", objective="balanced")
    costly = [
        candidate(each.target.name, each.estimate.samples, each.estimate.successes, cost_usd=0.01 * (1 + place % 3))
        for place, each in enumerate(POOLS[pool])
    ]
    known, rng, times = from_estimates(costly), Random(3), 8_000
    recorded = probabilities(ADAPTIVE, costly, task=task, snapshot=PRICED)
    firsts = Counter(ADAPTIVE.rank(task, known, PRICED, 0, rng).first.target.name for _ in range(times))
    freedom = len(recorded) - 1
    limit = freedom * (1 - 2 / (9 * freedom) + 3.72 * math.sqrt(2 / (9 * freedom))) ** 3
    assert chi_square(firsts, recorded, times) < limit


def test_the_reason_and_the_components_say_what_counted():
    task = Task(type="etl", text="x", objective="balanced")
    ranking = ADAPTIVE.rank(task, SPECIALISTS, PRICED, 0, Random(1))
    assert "; for balanced, at a price of 5 successes a dollar; drawn with" in ranking.why
    found = {each.candidate.target.name: each.components for each in ranking.chain}
    assert (found["cheap"]["cheapness"], found["good"]["quality"], found["fast"]["price"]) == (1.0, 1.0, 5.0)
    assert "; for" not in rank(ADAPTIVE, SPECIALISTS, Random(1)).why
    plain = rank(ADAPTIVE, SPECIALISTS, Random(1)).chain[0].components
    assert not {"cheapness", "quality", "price"} & plain.keys()


def test_however_many_objectives_there_are_no_column_is_kept_for_each():
    pool = Pool()
    pool.set_up([each.target for each in SPECIALISTS], [each.estimate for each in SPECIALISTS])
    for number in range(1, 500):
        task = Task(type="etl", text="x", objective={"success": number, "cost": 1, "latency": 2, "quality": 3})
        ADAPTIVE.rank(task, pool.everybody(), Snapshot(prices={"etl": number}), 0, Random(1))
        pool.learn({0: estimate(10 + number, 9)})
    assert len(pool.everybody()._columns) == 4


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


@examples(80)
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
        ("exploration", 0.0), ("exploration", 1.5), ("cost_weight", -1.0), ("price", -1.0), ("price", math.inf),
        ("quality_weight", math.nan), ("cheap_usd", 0.0), ("dear_usd", 0.00001),
        ("prior_successes", 0.0), ("prior_failures", math.nan), ("prior_failures", math.inf),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=option):
            Adaptive(**{option: value})
