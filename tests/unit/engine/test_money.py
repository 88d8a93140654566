"""What a budget does to a task: reserved, charged, given back; refused, kept for later, or run where it still fits."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from mahavishnu.errors import BudgetExhausted, Crashed, NothingEligible, TaskCancelled, TaskQueued, Transient
from mahavishnu.model import Budget, EntryKind, Micros, OnExhausted, Period, Result, Task
from mahavishnu.model.queued import QueueStatus
from tests.unit.engine.scripted import ScriptedAdapter, hang

CENT = Micros(10_000)


class Priced(ScriptedAdapter):
    """Targets whose dearest run is given; a run costs what the test says."""

    def __init__(self, most, **behaviours):
        super().__init__(**behaviours)
        self.most = most

    def targets(self):
        return [replace(each, max_cost_usd=self.most.get(each.name)) for each in super().targets()]


def costs(usd):
    async def run(task, call):
        return Result(value="done", cost_usd=Decimal(usd))

    return run


def fails(error):
    async def run(task, call):
        raise error

    return run


def task(**asked):
    return Task(type="t", text="x", **asked)


@pytest.fixture
def rich(engine):
    """rich(adapter, *budgets) → an engine whose store has these budgets."""

    def start(adapter, *budgets, **tables):
        class Opening:
            async def __aenter__(self):
                self._engine = engine(adapter, **tables)
                orchestrator, store = await self._engine.__aenter__()
                for budget in budgets:
                    await store.set_budget(budget)
                await orchestrator._purse.refresh()
                return orchestrator, store

            async def __aexit__(self, *why):
                await self._engine.__aexit__(*why)

        return Opening()

    return start


async def balance(store, name="b"):
    from mahavishnu.engine.clock import SystemClock

    return next(each for each in await store.balances(SystemClock().now_us()) if each.budget.name == name)


async def kinds(store):
    return [each.kind async for each in store.entries()]


async def test_what_a_run_costs_is_charged_and_the_rest_of_its_reservation_given_back(rich):
    adapter = Priced({"a": Decimal("0.01")}, a=costs("0.004"))
    async with rich(adapter, Budget(name="b", hard_micros=CENT)) as (orchestrator, store):
        await orchestrator.execute(task())
        after = await balance(store)
        assert (after.spent_micros, after.reserved_micros) == (4_000, 0)
        assert sorted(await kinds(store)) == sorted([EntryKind.RESERVE, EntryKind.CHARGE, EntryKind.RELEASE])


@pytest.mark.parametrize("error", [Crashed("broke"), Transient("busy")])
async def test_a_reserved_budget_is_released_when_the_target_fails(rich, error):
    adapter = Priced({"a": Decimal("0.01")}, a=fails(error))
    async with rich(adapter, Budget(name="b", hard_micros=CENT)) as (orchestrator, store):
        report = await orchestrator.perform(task())
        assert report.error is not None
        after = await balance(store)
        assert (after.spent_micros, after.reserved_micros) == (0, 0)


async def test_a_reserved_budget_is_released_when_the_run_is_cancelled(rich):
    adapter = Priced({"a": Decimal("0.01")}, a=hang)
    async with rich(adapter, Budget(name="b", hard_micros=CENT)) as (orchestrator, store):
        running = asyncio.create_task(orchestrator.perform(task()))
        while not adapter.calls:
            await asyncio.sleep(0.01)
        assert (await balance(store)).reserved_micros == CENT
        (decision_id,) = orchestrator._running
        await orchestrator.cancel(decision_id)
        assert isinstance((await running).error, TaskCancelled)
        assert (await balance(store)).reserved_micros == 0


async def test_a_task_that_no_budget_has_room_for_is_refused_before_anything_runs(rich):
    adapter = Priced({"a": Decimal("0.02")}, a=costs("0.004"))
    budget = Budget(name="b", hard_micros=CENT, period=Period.DAY)
    async with rich(adapter, budget) as (orchestrator, store):
        with pytest.raises(BudgetExhausted) as refused:
            await orchestrator.execute(task())
        assert "has $0.01 of $0.01 left, and a run may cost $0.02" in str(refused.value)
        assert refused.value.until is not None
        assert adapter.calls == []
        assert (await store.decision(refused.value.decision_id)).selected == "a"
        assert await kinds(store) == []


async def test_a_budget_of_one_target_sends_the_task_to_the_next(rich):
    adapter = Priced({"a": Decimal("0.02")}, a=costs("0.004"), b=costs("0"))
    async with rich(adapter, Budget(name="b", hard_micros=CENT, target="a")) as (orchestrator, _):
        report = await orchestrator.execute(task())
        assert report.last.target == "b"
        assert "budget b has $0.01 of $0.01 left" in report.decision.considered[-1].why_not


async def test_degrading_runs_where_it_still_fits_and_never_below_the_quality_that_is_asked_for(rich):
    async def poor(task, call):
        return Result(value="poor", cost_usd=Decimal(0), quality=0.2)

    adapter = Priced({"a": Decimal("0.02"), "poor": Decimal(0)}, a=costs("0.02"), poor=poor)
    budget = Budget(name="b", hard_micros=CENT, on_exhausted=OnExhausted.DEGRADE)
    async with rich(adapter, budget) as (orchestrator, _):
        for _ in range(30):
            assert (await orchestrator.execute(task())).last.target == "poor"
        with pytest.raises((BudgetExhausted, NothingEligible)) as refused:
            await orchestrator.execute(task(min_quality=0.8))
        assert "min_quality" in str(refused.value)
        assert "budget b" in str(refused.value)


async def test_a_target_whose_worst_case_nobody_knows_is_not_run_under_a_hard_limit(rich, engine):
    adapter = Priced({}, a=costs("0.001"), b=costs("0.001"))

    def targets():
        from mahavishnu.model import CostModel

        first, second = ScriptedAdapter.targets(adapter)
        return [replace(first, cost_model=CostModel(per_query_usd=Decimal("0.001"))), second]

    adapter.targets = targets
    async with rich(adapter, Budget(name="b", hard_micros=CENT)) as (orchestrator, _):
        report = await orchestrator.execute(task())
        assert report.last.target == "b"
        assert "set max_cost_usd of a" in report.decision.considered[-1].why_not


async def test_the_fallback_is_paid_for_by_itself_and_refused_where_it_does_not_fit(rich):
    adapter = Priced({"a": Decimal("0.001"), "b": Decimal("0.02")}, a=fails(Crashed("broke")), b=costs("0.02"))
    async with rich(adapter, Budget(name="b", hard_micros=CENT)) as (orchestrator, store):
        report = await orchestrator.perform(task())
        assert [each.target for each in report.executions] == ["a"]
        assert "b passed over (budget b has" in str(report.error)
        assert (await balance(store)).reserved_micros == 0


async def test_an_attempt_that_would_break_the_tasks_own_max_cost_is_not_made(rich):
    async def dear_failure(task, call):
        raise Crashed("broke")

    adapter = Priced({"b": Decimal("0.02")}, a=dear_failure, b=costs("0.02"))

    def targets():
        from mahavishnu.model import CostModel

        first, second = Priced.targets(adapter)
        return [replace(first, cost_model=CostModel(per_run_usd=Decimal("0.01"))), second]

    adapter.targets = targets
    async with rich(adapter) as (orchestrator, _):
        report = await orchestrator.perform(task(max_cost_usd="0.015"))
        assert [each.target for each in report.executions] == ["a"]
        assert "would break the task's max_cost_usd 0.015" in str(report.error)
        assert (await orchestrator.perform(task(max_cost_usd="0.03"))).last.target == "b"


async def test_a_queued_task_waits_and_runs_once_the_budget_is_raised(rich):
    adapter = Priced({"a": Decimal("0.02")}, a=costs("0.02"))
    budget = Budget(name="b", hard_micros=CENT, on_exhausted=OnExhausted.QUEUE)
    async with rich(adapter, budget, routing={"refresh_s": 3600.0}) as (orchestrator, store):
        kept = [(await orchestrator.perform(replace(task(), text=str(number)))).error for number in range(3)]
        assert all(isinstance(each, TaskQueued) for each in kept)
        assert (await orchestrator.drain_queue()).ran == 0
        await store.set_budget(replace(budget, hard_micros=Micros(50_000)))
        drained = await orchestrator.drain_queue()
        assert (drained.ran, drained.waiting) == (2, 1)
        done = await store.queued(QueueStatus.DONE)
        assert [each.id for each in done] == [each.queued_id for each in kept[:2]]
        assert [(await store.decision(each.decision_id)).task.text for each in done] == ["0", "1"]


async def test_who_comes_later_stands_behind_those_who_wait(rich):
    adapter = Priced({"a": Decimal("0.02")}, a=costs("0.02"))
    budget = Budget(name="b", hard_micros=CENT, on_exhausted=OnExhausted.QUEUE)
    async with rich(adapter, budget, routing={"refresh_s": 3600.0}) as (orchestrator, store):
        first = (await orchestrator.perform(task())).error
        await store.set_budget(replace(budget, hard_micros=Micros(1_000_000)))
        await orchestrator._purse.refresh()
        assert isinstance((await orchestrator.perform(task())).error, TaskQueued)
        await orchestrator.drain_queue()
        assert (await store.queued(QueueStatus.DONE))[0].id == first.queued_id
        assert await store.queued(QueueStatus.WAITING) == []


async def test_a_running_process_drains_the_queue_by_itself(rich):
    adapter = Priced({"a": Decimal("0.02")}, a=costs("0.02"))
    budget = Budget(name="b", hard_micros=CENT, on_exhausted=OnExhausted.QUEUE)
    async with rich(adapter, budget) as (orchestrator, store):
        await orchestrator.perform(task())
        await store.set_budget(replace(budget, hard_micros=Micros(1_000_000)))
        async with asyncio.timeout(10):
            while not await store.queued(QueueStatus.DONE):
                await asyncio.sleep(0.02)
        assert len(adapter.calls) == 1


async def test_a_task_that_waited_too_long_is_given_up(rich):
    adapter = Priced({"a": Decimal("0.02")}, a=costs("0.02"))
    budget = Budget(name="b", hard_micros=CENT, on_exhausted=OnExhausted.QUEUE, max_age_s=1)
    async with rich(adapter, budget, routing={"refresh_s": 3600.0}) as (orchestrator, store):
        await orchestrator.perform(task())
        await asyncio.sleep(1.1)
        assert (await orchestrator.drain_queue()).expired == 1
        assert [each.status for each in await store.queued()] == [QueueStatus.EXPIRED]


async def test_a_queued_task_whose_drain_was_killed_runs_once_in_its_place(rich):
    adapter = Priced({"a": Decimal("0.02")}, a=costs("0.02"))
    budget = Budget(name="b", hard_micros=CENT, on_exhausted=OnExhausted.QUEUE)
    async with rich(adapter, budget, routing={"refresh_s": 3600.0}) as (orchestrator, store):
        kept = [(await orchestrator.perform(replace(task(), text=str(number)))).error for number in range(2)]
        first = (await store.queued(QueueStatus.WAITING))[0]
        assert await store.move_queued(first.id, QueueStatus.WAITING, replace(first, status=QueueStatus.RUNNING))
        await store.set_budget(replace(budget, hard_micros=Micros(1_000_000)))
        assert (await orchestrator.drain_queue()).ran == 2
        assert [each.id for each in await store.queued(QueueStatus.DONE)] == [each.queued_id for each in kept]
        assert len(adapter.calls) == 2
