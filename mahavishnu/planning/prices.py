"""Prices: what a dollar is worth elsewhere, so that spending follows a budget through its period."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from mahavishnu.planning.allocation import relaxed, solve
from mahavishnu.planning.terms import Impossible, Offer, Problem, Spending, sound

DRAWS = 10
"""Programs whose prices are averaged."""

LEAST_USD = 1e-6
"""A micro-dollar: nothing is priced by less."""

TRIES = 3
"""First no target may be fast enough, and then those that are may be too dear."""


def prices(problem: Problem, rng: Random, draws: int = DRAWS) -> dict[str, float]:
    """For each task type that is expected, what a dollar would buy where it is worth most: successes a dollar.

    The problem is about what is left: the dollars that are neither spent nor set aside, and the runs still to come. A
    job solves it again and again: what was spent too fast leaves less for each run, and the price rises (S. Agrawal, Z.
    Wang and Y. Ye, Operations Research 62, 2014). The price of one program jumps from one pair of targets to the next,
    with the luck of a few outcomes. So the success rates are drawn from Beta(1 + successes, 1 + failures), as in K. J.
    Ferreira, D. Simchi-Levi and H. Wang, Operations Research 66, 2018, and the prices of several draws are averaged.

    Only budgets over all targets have a say: one over some targets keeps those out when it is empty. Where not even the
    cheapest mix can be paid for, nothing dearer than the cheapest target is to be worth its cost, whatever its success:
    that is one success for its cost. Where nothing is known of any target, it is one success for what there is for each
    run: dear targets are found out by then, and cheap ones first.

    >>> offers = [Offer(task_type="t", target=name, success=rate, rate=rate, samples=1e9, cost_usd=cost)
    ...           for name, rate, cost in (("a", .6, .01), ("b", .9, .1))]
    >>> left = Problem(offers=offers, volumes={"t": 100, "new": 10}, spendings=[Spending(name="all", usd=5.5)])
    >>> found = prices(left, Random(1))
    >>> round(found["t"], 2), found["new"]
    (3.33, 20.0)
    """
    problem = sound(problem)
    left = _known(problem)
    found = {each: _for_each(problem, each) for each in set(_expected(problem)) - left.volumes.keys()}
    if not left.volumes:
        return found
    for _ in range(TRIES):
        why = solve(left)
        if not isinstance(why, Impossible):
            break
        left = relaxed(left, why)
        found |= _cheapest_only(left, {give.bound.name for give in why.gives})
    for _ in range(draws):
        plan = solve(replace(left, offers=[_drawn(each, rng) for each in left.offers]))
        worth = {} if isinstance(plan, Impossible) else plan.prices
        for each in left.volumes:
            found[each] = found.get(each, 0.0) + sum(worth.get(name, 0.0) for name in _over(left, each)) / draws
    return found


def _expected(problem: Problem) -> dict[str, float]:
    return {task_type: volume for task_type, volume in problem.volumes.items() if volume > 0}


def _over(problem: Problem, task_type: str) -> dict[str, Spending]:
    """The budgets over all targets that cover a task type."""
    return {
        each.name: each for each in problem.spendings if not each.of_targets and each.task_type in (None, task_type)
    }


def _runs(problem: Problem, spending: Spending) -> float:
    """The runs that a spending has to do for."""
    return sum(volume for each, volume in _expected(problem).items() if spending.task_type in (None, each))


def _for_each(problem: Problem, task_type: str) -> float:
    """One success for what there is for each run."""
    spendings = _over(problem, task_type).values()
    return max((_runs(problem, each) / max(each.usd, LEAST_USD) for each in spendings), default=0.0)


def _known(problem: Problem) -> Problem:
    """The problem of those task types that something is known about, with their share of the money.

    Success rates are promised of a plan as a whole: no single choice is made by them.
    """
    known = {each.task_type for each in problem.offers}
    left = replace(problem, volumes={each: volume for each, volume in _expected(problem).items() if each in known})
    return replace(
        left,
        promises=[replace(each, min_success_rate=None) for each in problem.promises],
        spendings=[
            replace(each, usd=each.usd * _runs(left, each) / (_runs(problem, each) or 1.0))
            for each in problem.spendings
        ],
    )


def _cheapest_only(problem: Problem, short: set[str]) -> dict[str, float]:
    """One success for the cost of the cheapest target, where a budget is short of what even that costs."""
    return {
        each: 1 / max(min(offer.cost_usd for offer in problem.offers if offer.task_type == each), LEAST_USD)
        for each in problem.volumes
        if short & _over(problem, each).keys()
    }


def _drawn(each: Offer, rng: Random) -> Offer:
    successes = each.rate * each.samples
    return replace(each, success=rng.betavariate(1 + successes, 1 + each.samples - successes))
