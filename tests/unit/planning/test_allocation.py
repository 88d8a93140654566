"""The linear program: shares, prices, and why there is no plan."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.errors import UnknownName
from mahavishnu.model import NO_EVIDENCE
from mahavishnu.planning.allocation import relaxed, solve, worth
from mahavishnu.planning.terms import Capacity, Impossible, Offer, Plan, Problem, Promise, Spending, offer
from mahavishnu.stats.intervals import wilson
from tests.bench.money import problem, with_budget
from tests.examples import examples


def offers(task_type="t", **by_name):
    return [
        Offer(task_type=task_type, target=name, adapter=name[0], success=success, cost_usd=cost, p95_ms=ms)
        for name, (success, cost, ms) in by_name.items()
    ]


PAIR = offers(cheap=(0.6, 0.01, 900.0), dear=(0.9, 0.11, 100.0))


def total(usd):
    return Spending(name="total", usd=usd)


def test_by_hand_a_budget_mixes_two_targets_and_the_price_is_the_slope_between_them():
    plan = solve(Problem(offers=PAIR, volumes={"t": 100}, spendings=[total(6)]))
    assert plan.shares == {"t": {"cheap": 0.5, "dear": 0.5}}
    assert plan.successes == pytest.approx(75)
    assert plan.cost_usd == pytest.approx(6)
    assert plan.prices == {"total": pytest.approx(3.0)}
    assert plan.gap < 1e-12


def test_with_money_enough_the_best_is_taken_and_a_dollar_is_worth_nothing():
    plan = solve(Problem(offers=PAIR, volumes={"t": 100}, spendings=[total(50)]))
    assert (plan.shares, plan.prices) == ({"t": {"dear": 1.0}}, {"total": 0.0})
    assert solve(Problem(offers=PAIR, volumes={"t": 100})).shares == {"t": {"dear": 1.0}}


def test_free_targets_cost_nothing_and_break_nothing():
    free = offers(free=(0.5, 0.0, 10.0), dear=(0.9, 0.1, 10.0))
    plan = solve(Problem(offers=free, volumes={"t": 10}, spendings=[total(0)]))
    assert (plan.shares, plan.cost_usd) == ({"t": {"free": 1.0}}, 0.0)
    assert solve(Problem(offers=free, volumes={})).successes == 0


def test_a_dearer_target_that_is_no_better_gets_nothing():
    three = [*PAIR, *offers(middling=(0.6, 0.05, 100.0))]
    assert "middling" not in solve(Problem(offers=three, volumes={"t": 100}, spendings=[total(6)])).shares["t"]


def test_a_spending_may_be_about_a_task_type_a_target_or_an_adapter():
    both = [*PAIR, *offers("u", cheap=(0.6, 0.01, 900.0), dear=(0.9, 0.11, 100.0))]
    volumes = {"t": 100, "u": 100}
    of_type = solve(Problem(offers=both, volumes=volumes, spendings=[replace(total(6), task_type="t")]))
    assert of_type.shares == {"t": {"cheap": 0.5, "dear": 0.5}, "u": {"dear": 1.0}}
    for narrowed in ({"target": "dear"}, {"adapter": "d"}):
        plan = solve(Problem(offers=both, volumes=volumes, spendings=[replace(total(11), **narrowed)]))
        assert sum(plan.shares[each].get("dear", 0) for each in volumes) == pytest.approx(1)


def test_a_capacity_is_shared_by_all_task_types():
    both = [*PAIR, *offers("u", cheap=(0.1, 0.01, 900.0), dear=(0.9, 0.11, 100.0))]
    plan = solve(Problem(offers=both, volumes={"t": 100, "u": 100}, capacities=[Capacity(target="dear", runs=60)]))
    assert plan.shares == {"t": {"cheap": 1.0}, "u": {"cheap": 0.4, "dear": 0.6}}
    assert plan.prices == {"runs of dear": pytest.approx(0.8)}


def test_a_promised_latency_leaves_slow_targets_out_and_a_promised_rate_holds_on_average():
    fast = Promise(task_type="t", max_latency_ms=500)
    assert solve(Problem(offers=PAIR, volumes={"t": 1}, promises=[fast])).shares == {"t": {"dear": 1.0}}
    sure = Promise(task_type="t", min_success_rate=0.75)
    slowest = Problem(
        offers=[*PAIR, *offers("u", dear=(0.99, 0.1, 1.0), cheap=(0.5, 0.01, 1.0))],
        volumes={"t": 100, "u": 100},
        spendings=[total(7.1)],
        promises=[sure],
    )
    plan = solve(slowest)
    assert plan.shares["t"] == {"cheap": pytest.approx(0.5), "dear": pytest.approx(0.5)}
    assert plan.prices["min_success_rate of t"] > 0


def test_the_price_is_what_a_finite_step_brings_on_both_sides_of_a_kink():
    at_kink = Problem(offers=[*PAIR, *offers(best=(0.95, 0.21, 100.0))], volumes={"t": 100}, spendings=[total(11)])
    found = worth(at_kink, "total")
    assert (found.tighter, found.looser) == (pytest.approx(3.0), pytest.approx(0.5))
    assert str(found) == "total: one more dollar a day buys 0.5 successes, one less costs 3"
    at_the_end = worth(replace(at_kink, spendings=[total(1)]), "total")
    assert str(at_the_end) == "total: one more dollar a day buys 3 successes, with less it cannot be done"
    nothing = worth(
        replace(at_kink, offers=offers(free=(0.5, 0.0, 1.0), dear=(1.0, 0.1, 1.0)), spendings=[total(0)]), "total"
    )
    assert (nothing.looser, nothing.tighter) == (pytest.approx(5.0), float("inf"))


def test_a_promised_rate_is_spoken_of_by_the_point():
    both = [*PAIR, *offers("u", dear=(0.99, 0.1, 1.0), cheap=(0.5, 0.01, 1.0))]
    promised = Problem(
        offers=both,
        volumes={"t": 100, "u": 100},
        spendings=[total(7.1)],
        promises=[Promise(task_type="t", min_success_rate=0.75)],
    )
    found = worth(promised, "min_success_rate of t")
    # A point of t costs $0.33333, which u would turn into 0.49/0.09 successes a dollar; less the point itself.
    assert found.looser == pytest.approx(100 * 0.01 / 0.3 * 0.1 * 0.49 / 0.09 - 1, rel=1e-3)
    assert str(found).startswith("min_success_rate of t: one point less buys 0.815 successes")


def test_without_a_plan_the_bounds_that_contradict_each_other_are_named_and_the_least_that_would_do():
    why = solve(
        Problem(
            offers=PAIR,
            volumes={"t": 100},
            spendings=[total(2), Spending(name="ample", usd=1000)],
            promises=[Promise(task_type="t", min_success_rate=0.65)],
        )
    )
    assert isinstance(why, Impossible)
    assert set(why.binding) == {"total", "min_success_rate of t"}
    # The rate has to give 0.02 of 0.65, or the budget $0.6667 of $2: the rate is the smaller share.
    assert str(why).endswith("min_success_rate of t 0.63 instead of 0.65 would do")


def test_of_a_budget_below_the_cheapest_mix_the_least_is_what_that_costs():
    why = solve(Problem(offers=PAIR, volumes={"t": 100}, spendings=[total(0.4)]))
    assert (why.binding, str(why)) == (("total",), "total cannot hold; total 1 instead of 0.4 would do")


def test_a_latency_that_nobody_keeps_names_the_fastest():
    why = solve(Problem(offers=PAIR, volumes={"t": 1}, promises=[Promise(task_type="t", max_latency_ms=50)]))
    assert str(why) == "max_latency_ms of t cannot hold; max_latency_ms of t 100 instead of 50 would do"


def test_a_task_type_without_any_evidence_is_named():
    assert str(solve(Problem(offers=PAIR, volumes={"t": 1, "new": 5}))) == "nothing is known yet of any target for new"


def test_an_offer_is_the_lower_end_of_what_was_seen():
    lo, hi = wilson(90, 100)
    seen = replace(
        NO_EVIDENCE,
        samples=100,
        effective=100,
        successes=90,
        rate=0.9,
        wilson_lo=lo,
        wilson_hi=hi,
        mean_cost_micros=2e3,
    )
    found = offer("t", "a", seen)
    assert lo < found.success < 0.9
    assert (found.success, found.cost_usd, found.rate) == (wilson(90, 100, 1.2815515655446004)[0], 0.002, 0.9)
    assert offer("t", "a", NO_EVIDENCE) is None


PROBLEMS = st.builds(
    lambda seed, types, targets, tightness: random_problem(Random(seed), types, targets, tightness),
    st.integers(0, 2**32),
    st.integers(1, 6),
    st.integers(1, 6),
    st.floats(0.3, 4),
)


def random_problem(rng, types, targets, tightness):
    made = [
        Offer(task_type=f"k{k}", target=f"t{j}", success=rng.random(), cost_usd=rng.choice([0, rng.random()]), p95_ms=j)
        for k in range(types)
        for j in range(targets)
    ]
    volumes = {f"k{k}": rng.randrange(1, 1000) for k in range(types)}
    runs = sum(volumes.values())
    return Problem(
        offers=made,
        volumes=volumes,
        spendings=[total(tightness * runs * 0.2), Spending(name="k0", usd=tightness * 50, task_type="k0")],
        capacities=[Capacity(target="t0", runs=tightness * runs / targets)],
        promises=[Promise(task_type="k0", min_success_rate=0.3 * rng.random(), max_latency_ms=3)],
    )


@examples(60)
@given(PROBLEMS)
def test_every_plan_keeps_its_bounds_and_every_refusal_can_be_mended(asked):
    plan = solve(asked)
    for _ in range(2):
        if isinstance(plan, Impossible):
            asked = relaxed(asked, plan)
            plan = solve(asked)
    assert isinstance(plan, Plan)
    assert plan.gap < 1e-6
    of = {(each.task_type, each.target): each for each in asked.offers}
    runs = {
        (kind, target): asked.volumes[kind] * share
        for kind, shares in plan.shares.items()
        for target, share in shares.items()
    }
    for kind, shares in plan.shares.items():
        assert sum(shares.values()) == pytest.approx(1, abs=1e-4)
        assert all(of[kind, target].p95_ms <= 3 for target in shares) or kind != "k0"
    for spending in asked.spendings:
        spent = sum(each * of[key].cost_usd for key, each in runs.items() if spending.covers(of[key]))
        assert spent <= spending.usd * (1 + 1e-4) + 1e-6
    assert sum(each for (_, target), each in runs.items() if target == "t0") <= asked.capacities[0].runs * 1.0001 + 1e-3
    assert all(price >= 0 for price in plan.prices.values())


@pytest.mark.parametrize("seed", [1, 3])
def test_of_many_types_and_targets_the_price_is_the_finite_difference_and_the_gap_is_nothing(seed):
    asked = problem(20, 10, seed)
    usd = asked.spendings[0].usd
    plan, dearer = solve(asked), solve(with_budget(asked, usd * (1 + 1e-5)))
    assert plan.gap < 1e-6
    assert plan.prices["total"] == pytest.approx((dearer.successes - plan.successes) / (usd * 1e-5), rel=0.01)
    assert plan.prices["total"] > 0


def test_a_bound_that_covers_nothing_is_none():
    with pytest.raises(UnknownName, match="mahavishnu routing plan shows what there is"):
        worth(Problem(offers=PAIR, volumes={"t": 1}, spendings=[total(6)]), "runs of dear")
