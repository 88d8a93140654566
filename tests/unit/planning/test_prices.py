"""Prices: what a dollar is worth, and that spending follows the budget by it."""

from dataclasses import replace
from random import Random

import pytest

from mahavishnu.planning.prices import prices
from mahavishnu.planning.terms import Capacity, Offer, Problem, Promise, Spending
from tests.bench.money import FIXED, arms, play


def known(task_type, samples=1e9, **by_name):
    return [
        Offer(task_type=task_type, target=name, success=rate, rate=rate, samples=samples, cost_usd=cost, p95_ms=100.0)
        for name, (rate, cost) in by_name.items()
    ]


ARMS = known("t", a=(0.6, 0.01), b=(0.8, 0.05), c=(0.9, 0.2))


def priced(problem, seed=1):
    return prices(problem, Random(seed))


def left(usd, runs=100, offers=ARMS):
    return Problem(offers=offers, volumes={"t": runs}, spendings=[Spending(name="all", usd=usd)])


def test_the_price_is_the_slope_where_the_money_for_a_run_lies():
    assert priced(left(3))["t"] == pytest.approx(0.2 / 0.04, rel=1e-2)
    assert priced(left(10))["t"] == pytest.approx(0.1 / 0.15, rel=1e-2)
    assert priced(left(100))["t"] == 0


def test_what_was_spent_too_fast_raises_the_price_and_what_was_saved_lowers_it():
    found = [priced(left(usd))["t"] for usd in (0.5, 2, 8, 30)]
    assert found == sorted(found, reverse=True)
    assert found[0] > found[1] > found[2] > found[3] == 0


def test_below_the_cheapest_nothing_dearer_is_worth_its_cost():
    price = priced(left(0.5))["t"]
    utilities = [each.rate - price * each.cost_usd for each in ARMS]
    assert price >= 1 / 0.01
    assert utilities.index(max(utilities)) == 0


@pytest.mark.parametrize("usd", [0.0, 1e-9])
def test_with_nothing_left_the_price_is_still_a_number(usd):
    assert 100 <= priced(left(usd))["t"] < float("inf")


def test_where_nothing_is_known_a_success_is_worth_what_there_is_for_a_run():
    assert priced(left(5, runs=100, offers=[])) == {"t": 20.0}
    free = known("t", free=(0.5, 0.0), dear=(0.9, 0.1))
    assert priced(left(0, offers=free))["t"] > 0


def test_a_type_nobody_knows_keeps_its_share_of_the_money():
    both = replace(left(6), volumes={"t": 100, "new": 100})
    found = priced(both)
    assert found["new"] == pytest.approx(200 / 6)
    assert found["t"] == priced(left(3))["t"]


def test_a_type_that_is_not_expected_has_no_price_and_one_without_a_budget_has_none_either():
    assert priced(left(3, runs=0)) == {}
    assert priced(replace(left(3), spendings=[])) == {"t": 0.0}
    others = Spending(name="u", usd=1, task_type="u")
    assert priced(replace(left(3), spendings=[others])) == {"t": 0.0}


def test_a_budget_over_one_target_does_not_change_what_a_dollar_is_worth():
    assert priced(replace(left(3), spendings=[Spending(name="c", usd=1, target="c")])) == {"t": 0.0}


def test_two_budgets_over_the_same_runs_add_up_and_capacities_and_promises_do_not_stop_it():
    tight = replace(
        left(3),
        capacities=[Capacity(target="a", runs=10)],
        promises=[Promise(task_type="t", min_success_rate=0.99, max_latency_ms=50)],
    )
    assert priced(tight)["t"] > 0


def test_few_outcomes_make_a_mean_of_prices_and_the_seed_decides():
    few = known("t", samples=20, a=(0.6, 0.01), b=(0.8, 0.05), c=(0.9, 0.2))
    assert priced(left(3, offers=few), seed=2) == priced(left(3, offers=few), seed=2)
    assert priced(left(3, offers=few), seed=2) != priced(left(3, offers=few), seed=3)


@pytest.mark.parametrize("usd", [0.03, 0.2])
def test_spending_follows_the_budget_where_fixed_weights_spend_whatever_they_do(usd):
    five = arms(5)
    spent, reached = play(five, usd, 2_500, seed=1)
    assert 0.9 < spent <= 1.0
    # Of so few tasks, learning takes its share; over 20,000 it is 0.96 and more (tests/bench/money.py).
    assert reached > 0.9
    unpriced, _ = play(five, usd, 1_000, seed=1, policy=FIXED, priced=False)
    assert abs(unpriced - 1) > 0.1
