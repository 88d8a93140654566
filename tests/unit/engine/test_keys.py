"""Idempotency keys: one key, one run."""

import asyncio

import pytest

from mahavishnu.engine.clock import SystemClock
from mahavishnu.errors import KeyReused, NothingEligible, TaskFailed
from mahavishnu.storage import open_store
from tests.unit.engine.scripted import ScriptedAdapter, fine, task


async def test_the_same_key_after_success_gives_the_same_execution(engine):
    adapter = ScriptedAdapter(a=fine)
    async with engine(adapter) as (orchestrator, _):
        first = await orchestrator.execute(task(idempotency_key="k"))
        again = await orchestrator.execute(task(idempotency_key="k"))
        assert again.last == first.last
        assert (again.value, again.replayed, first.replayed) == (first.value, True, False)
        assert len(adapter.calls) == 1


async def test_the_same_key_while_running_gives_the_same_execution(engine):
    gate = asyncio.Event()

    async def slow(task, call):
        await gate.wait()
        return "once"

    adapter = ScriptedAdapter(a=slow)
    async with engine(adapter) as (orchestrator, _):
        calls = [asyncio.create_task(orchestrator.execute(task(idempotency_key="k"))) for _ in range(20)]
        while not adapter.calls:
            await asyncio.sleep(0.01)
        gate.set()
        reports = await asyncio.gather(*calls)
        assert len({each.last.id for each in reports}) == 1
        assert len(adapter.calls) == 1


async def test_a_key_whose_run_failed_is_free_again(engine):
    ill = True

    async def moody(task, call):
        if ill:
            raise ValueError("ill")
        return "well"

    async with engine(ScriptedAdapter(a=moody)) as (orchestrator, _):
        with pytest.raises(TaskFailed):
            await orchestrator.execute(task(idempotency_key="k"))
        ill = False
        assert (await orchestrator.execute(task(idempotency_key="k"))).value == "well"


async def test_a_key_with_another_task_is_refused(engine):
    async with engine(ScriptedAdapter(a=fine)) as (orchestrator, _):
        await orchestrator.execute(task(idempotency_key="k"))
        with pytest.raises(KeyReused):
            await orchestrator.execute(task(idempotency_key="k", text="something else"))


async def test_those_who_wait_for_a_key_share_its_failure(engine):
    gate = asyncio.Event()

    async def fail_late(task, call):
        await gate.wait()
        raise ValueError("late")

    adapter = ScriptedAdapter(a=fail_late)
    async with engine(adapter) as (orchestrator, _):
        calls = [asyncio.create_task(orchestrator.perform(task(idempotency_key="k"))) for _ in range(5)]
        while not adapter.calls:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        gate.set()
        reports = await asyncio.gather(*calls)
        assert all("ValueError: late" in str(each.error) for each in reports)
        assert len(adapter.calls) == 1


async def test_nothing_eligible_frees_the_key(engine):
    adapter = ScriptedAdapter(a=fine)
    async with engine(adapter) as (orchestrator, _):
        await orchestrator.switch_target("a", enabled=False)
        with pytest.raises(NothingEligible):
            await orchestrator.execute(task(idempotency_key="k"))
        await orchestrator.switch_target("a", enabled=True)
        assert (await orchestrator.execute(task(idempotency_key="k"))).value == "did x"


class Frozen:
    """A store that freezes once it has said who holds a key."""

    def __init__(self, store):
        self.store, self.frozen = store, False

    def __getattr__(self, name):
        return getattr(self.store, name)

    async def decision(self, decision_id):
        if self.frozen:
            await asyncio.Event().wait()
        return await self.store.decision(decision_id)


async def test_a_store_that_freezes_between_two_questions_keeps_no_caller_past_its_deadline(engine):
    store = Frozen(open_store("memory:", SystemClock()))
    await store.open()
    async with engine(ScriptedAdapter(a=fine), store) as (orchestrator, _):
        await orchestrator.execute(task(idempotency_key="k"))
        store.frozen = True
        async with asyncio.timeout(60):
            report = await orchestrator.perform(task(idempotency_key="k", deadline_ms=100))
    assert "its deadline passed" in str(report.error)
    await store.close()
