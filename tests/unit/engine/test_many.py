"""Many tasks at once."""

import asyncio

import pytest

from mahavishnu.errors import Refused, TaskFailed
from tests.unit.engine.scripted import ScriptedAdapter, fine, hang, stored, task


async def test_many_run_at_most_so_many_at_once_and_come_back_in_order(engine):
    now, most = 0, 0

    async def counted(task, call):
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.001)
        now -= 1
        return task.text

    seen = []
    async with engine(ScriptedAdapter(a=counted)) as (orchestrator, _):
        tasks = [task(text=str(number)) for number in range(100)]
        reports = await orchestrator.execute_many(tasks, concurrency=7, progress=seen.append)
    assert [each.value for each in reports] == [str(number) for number in range(100)]
    assert most == 7
    assert [each.done for each in seen] == list(range(1, 101))
    assert {each.total for each in seen} == {100}


async def test_one_failure_among_many_is_a_value(engine):
    async def odd(task, call):
        if int(task.text) % 2:
            raise Refused("odd")
        return "even"

    async with engine(ScriptedAdapter(a=odd)) as (orchestrator, _):
        reports = await orchestrator.execute_many(task(text=str(number)) for number in range(6))
    assert [each.succeeded for each in reports] == [True, False] * 3


async def test_a_thousand_at_once_lose_double_and_mix_nothing(engine):
    async with engine(ScriptedAdapter(a=fine)) as (orchestrator, store):
        reports = await asyncio.gather(*(orchestrator.execute(task(text=str(n))) for n in range(1000)))
        executions = await stored(store)
        assert {each.id: each.value for each in executions} == {r.last.id: f"did {r.task.text}" for r in reports}
        assert len(executions) == 1000


async def test_a_targets_own_limit_is_held_and_those_who_wait_have_their_turn(engine):
    now, most = 0, 0

    async def counted(task, call):
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.002)
        now -= 1

    adapter = ScriptedAdapter(a=counted)
    adapter.limits["a"] = 3
    async with engine(adapter) as (orchestrator, _):
        reports = await orchestrator.execute_many([task()] * 40, concurrency=40)
        assert all(each.succeeded for each in reports)
        assert most == 3


async def test_who_finds_no_place_at_a_target_is_told_or_goes_on_to_the_next_in_good_time(engine):
    adapter = ScriptedAdapter(a=hang, b=fine)
    adapter.limits["a"] = 1
    async with engine(adapter) as (orchestrator, _):
        first = asyncio.create_task(orchestrator.perform(task(target="a")))
        while not adapter.calls:
            await asyncio.sleep(0.01)
        with pytest.raises(TaskFailed, match="its 1 places stayed taken"):
            await orchestrator.execute(task(target="a", deadline_ms=60))
        assert (await orchestrator.execute(task(deadline_ms=200))).last.target == "b"
        await orchestrator.cancel(next(iter(orchestrator._running)))
        await first
