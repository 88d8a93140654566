"""Runs that another process began, found again by the id that the engine gave them."""

import asyncio

import pytest

from mahavishnu.engine.clock import SystemClock
from mahavishnu.errors import UnknownName
from mahavishnu.model import Status
from mahavishnu.storage import open_store
from tests.unit.engine.scripted import ScriptedAdapter, fine, stored, task


async def announce_and_hang(task, call):
    await call.announce("remote-1")
    await asyncio.Event().wait()


async def test_another_process_can_ask_after_a_run_and_stop_it(engine, tmp_path):
    url, clock = f"sqlite:///{tmp_path}/store.db", SystemClock()
    here, there = open_store(url, clock), open_store(url, clock)
    await here.open()
    await there.open()
    beginner, other = ScriptedAdapter(a=announce_and_hang), ScriptedAdapter(a=fine)
    other.elsewhere["remote-1"] = Status.RUNNING
    async with engine(beginner, here) as (orchestrator, _), engine(other, there) as (second, _):
        running = asyncio.create_task(orchestrator.perform(task()))
        while not (found := await stored(there)) or found[0].run_id is None:
            await asyncio.sleep(0.01)
        seen = await second.status(found[0].id)
        assert (seen.execution.status, seen.execution.run_id, seen.now) == (Status.RUNNING, "remote-1", Status.RUNNING)
        assert await second.cancel(found[0].decision_id)
        assert not await second.cancel(found[0].decision_id)
        running.cancel()
        await asyncio.wait({running})
        assert (await second.status(found[0].id)).now is Status.CANCELLED
    await here.close()
    await there.close()


async def test_an_execution_that_nobody_made_is_unknown(engine):
    async with engine(ScriptedAdapter(a=fine)) as (orchestrator, _):
        with pytest.raises(UnknownName, match="execution"):
            await orchestrator.status("01ARYZ6S410000000000000000")
