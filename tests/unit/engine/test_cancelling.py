"""Cancellation: by name, by the caller going away, by closing."""

import asyncio

import pytest

from mahavishnu.engine.clock import SystemClock
from mahavishnu.errors import TaskCancelled, UnknownName
from mahavishnu.model import Status
from mahavishnu.storage import open_store
from tests.unit.engine.scripted import ScriptedAdapter, fine, hang, stored, task


async def test_cancel_stops_a_run_and_records_it(engine):
    adapter = ScriptedAdapter(a=hang)
    async with engine(adapter) as (orchestrator, store):
        running = asyncio.create_task(orchestrator.execute(task(idempotency_key="k")))
        while not adapter.calls:
            await asyncio.sleep(0.01)
        (start,) = await stored(store)
        assert start.status is Status.RUNNING
        assert await orchestrator.cancel(start.decision_id)
        with pytest.raises(TaskCancelled):
            await running
        (end,) = await stored(store)
        assert end.status is Status.CANCELLED
        assert not await orchestrator.cancel(start.decision_id)
        with pytest.raises(UnknownName, match="decision"):
            await orchestrator.cancel("01ARYZ6S410000000000000000")
        adapter.behaviours["a"] = fine
        assert (await orchestrator.execute(task(idempotency_key="k"))).value == "did x"


async def test_a_caller_that_goes_away_leaves_a_cancelled_execution(engine):
    adapter = ScriptedAdapter(a=hang)
    async with engine(adapter) as (orchestrator, store):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await orchestrator.execute(task())
        (execution,) = await stored(store)
        assert execution.status is Status.CANCELLED
        (stat,) = orchestrator.stats()
        assert (stat.estimate.samples, stat.scorecard.cancelled) == (0, 1)


async def test_closing_cancels_what_still_runs_and_leaves_nothing_running(engine):
    adapter = ScriptedAdapter(a=hang)
    store = open_store("memory:", SystemClock())
    await store.open()
    async with engine(adapter, store) as (orchestrator, _):
        running = asyncio.create_task(orchestrator.perform(task()))
        while not adapter.calls:
            await asyncio.sleep(0.01)
    report = await running
    assert isinstance(report.error, TaskCancelled)
    assert [each.status for each in await stored(store)] == [Status.CANCELLED]
    await store.close()
