"""Strategies and prices: published like everything that choices go by, and undone the same way."""

import math

import pytest

from mahavishnu.jobs.planning import Wanted, hints_now, plan, prices_now, publish_prices
from mahavishnu.jobs.scores import fold, recalculate, roll_back
from mahavishnu.jobs.strategies import set_strategy, undo_strategy
from mahavishnu.model import Budget, Execution, Micros, Period, Status
from mahavishnu.model.identity import ulid
from mahavishnu.model.objective import OBJECTIVES
from mahavishnu.model.scorecard import DAY_US
from mahavishnu.planning.terms import Impossible
from mahavishnu.settings import Settings
from mahavishnu.storage import open_store
from mahavishnu.testing.clock import ManualClock

SETTINGS = Settings()
CHEAP, GOOD = (800, 1_000), (970, 15_000)
"""Successes in a thousand, and micro-dollars a run."""


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
async def store(clock):
    store = open_store("memory:", clock)
    await store.open()
    yield store
    await store.close()


async def record(store, clock, target, per_mille, micros, runs=1000):
    ends = [
        Execution(
            id=ulid(clock.now_us() // 1000, hash((target, number))),
            decision_id="01J00000000000000000000000",
            process_id="p",
            target=target,
            adapter="local",
            task_type="t",
            attempt=1,
            fallback=False,
            randomised=True,
            status=Status.SUCCEEDED if number % 1000 < per_mille else Status.FAILED,
            started_at_us=clock.now_us(),
            ended_at_us=clock.now_us(),
            latency_us=100_000,
            cost_micros=micros,
        )
        for number in range(runs)
    ]
    await store.record(ends)


@pytest.fixture
async def known(store, clock):
    """A cheap target and a good one, and a day that is over since."""
    await record(store, clock, "cheap", *CHEAP)
    await record(store, clock, "good", *GOOD)
    clock.advance(DAY_US / 1e6)
    return store


async def test_a_strategy_is_published_kept_by_folds_and_undone(known, clock):
    set_once = await set_strategy(known, clock, "t", OBJECTIVES["cost"])
    assert set_once.news
    assert not (await set_strategy(known, clock, "t", OBJECTIVES["cost"])).news
    await fold(known, clock, SETTINGS.evidence)
    await recalculate(known, clock, SETTINGS)
    assert (await known.latest()).strategies == {"t": OBJECTIVES["cost"]}
    await set_strategy(known, clock, "t", OBJECTIVES["latency"])
    assert (await undo_strategy(known, clock, "t")).after.strategies == {"t": OBJECTIVES["cost"]}
    await roll_back(known, clock, set_once.after.version)
    assert (await known.latest()).strategies == {"t": OBJECTIVES["cost"]}


async def test_undoing_the_first_strategy_leaves_it_to_the_policy(known, clock):
    await set_strategy(known, clock, "t", OBJECTIVES["cost"])
    assert (await undo_strategy(known, clock, "t")).after.strategies == {}


async def test_a_recalculation_publishes_the_frontier_with_the_scores(known, clock):
    found = (await recalculate(known, clock, SETTINGS)).after.frontiers["t"]
    assert {each.target for each in found if each.on_frontier} == {"cheap", "good"}
    assert (await known.latest()).frontiers["t"] == found


async def test_a_plan_mixes_targets_under_the_budget_and_prices_a_dollar(known, clock):
    wanted = Wanted(usd={"b": 8.0}, volumes={"t": 1000}, capacities={})
    found = await plan(known, clock, SETTINGS, wanted)
    assert found.plan.cost_usd == pytest.approx(8.0)
    assert found.plan.shares["t"]["good"] == pytest.approx(0.5)
    (worth,) = found.worths
    more = await plan(known, clock, SETTINGS, Wanted(usd={"b": 8.1}, volumes={"t": 1000}, capacities={}))
    assert worth.looser == pytest.approx((more.plan.successes - found.plan.successes) / 0.1, rel=0.01)


async def test_where_no_plan_fits_it_says_what_would(known, clock):
    found = await plan(known, clock, SETTINGS, Wanted(usd={"b": 0.5}, volumes={"t": 1000}, capacities={}))
    assert isinstance(found.plan, Impossible)
    assert str(found.plan) == "b cannot hold; b 1 instead of 0.5 would do"


async def test_budgets_of_the_store_are_planned_by_the_day(known, clock):
    await known.set_budget(Budget(name="week", hard_micros=Micros(56_000_000), period=Period.WEEK))
    found = await plan(known, clock, SETTINGS, Wanted(usd={}, volumes={"t": 1000}, capacities={}))
    assert found.plan.cost_usd == pytest.approx(8.0)


async def test_prices_rise_as_the_budget_of_the_day_is_used_up(known, clock):
    assert await prices_now(known, clock, SETTINGS) == {}
    found = []
    for limit in (100, 10, 1):
        await known.set_budget(Budget(name="b", hard_micros=Micros(limit * 1_000_000), period=Period.DAY))
        found.append((await prices_now(known, clock, SETTINGS)).get("t", 0.0))
    assert found == sorted(found)
    assert found[0] == 0.0 < found[-1] < math.inf


async def test_prices_are_published_where_they_have_moved_and_only_there(known, clock):
    await known.set_budget(Budget(name="b", hard_micros=Micros(1_000_000), period=Period.DAY))
    published = await publish_prices(known, clock, SETTINGS)
    assert published.news
    assert "a dollar is worth" in published.after.notes[0]
    assert not (await publish_prices(known, clock, SETTINGS)).news
    await known.remove_budget("b")
    assert (await publish_prices(known, clock, SETTINGS)).after.prices == {}


async def test_a_hint_says_what_the_cheaper_target_would_save(known, clock):
    await record(known, clock, "dear", 960, 60_000)
    (hint,) = [each for each in await hints_now(known, clock, SETTINGS) if each.instead_of == "dear"]
    assert hint.target == "good"
    assert hint.saved_usd.value == pytest.approx(hint.runs_per_hour * 0.045)
