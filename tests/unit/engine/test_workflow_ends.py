"""Workflows that do not end by themselves: stopped before they begin, broken off, left behind by their process."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from mahavishnu.engine.clock import SystemClock
from mahavishnu.engine.workflows.runner import WorkflowRunner
from mahavishnu.errors import InputError, Transient
from mahavishnu.model import Status, Task
from mahavishnu.model.workflow import Step, Workflow
from mahavishnu.model.workflow_run import HERE
from mahavishnu.settings import load_settings
from mahavishnu.storage import Memory, MemoryStore
from mahavishnu.testing.samples import Samples
from tests.unit.engine.conftest import SETTINGS
from tests.unit.engine.scripted import ScriptedAdapter, fine, hang, stored

TWO = Workflow(
    name="w",
    steps=(Step(name="one", type="t", text="one"), Step(name="two", type="t", text="two", needs=("one",))),
)


def runner(orchestrator, store):
    return WorkflowRunner(orchestrator, store, SystemClock(), load_settings(None, {}, SETTINGS))


def statuses(report):
    return {each.step: each.status.value for each in report.steps}


@asynccontextmanager
async def processes(*names):
    """A store for each of several processes, over one memory."""
    memory, clock = Memory(), SystemClock()
    stores = [MemoryStore(clock, memory) for _ in names]
    for each in stores:
        await each.open()
    yield stores
    for each in stores:
        await each.close()


async def test_cancelled_before_a_process_takes_it_up_nothing_of_it_begins(engine):
    adapter = ScriptedAdapter(a=fine)
    async with engine(adapter) as (orchestrator, store):
        workflows = runner(orchestrator, store)
        await workflows.begin(TWO, {}, run_id="r", place="prefect/pool", process_id=None)
        assert await workflows.cancel("r")
        report = await workflows.execute_workflow(TWO, run_id="r", place="prefect/pool")
        assert (report.status, report.reason) == (Status.CANCELLED, "it was cancelled")
        assert statuses(report) == {"one": "cancelled", "two": "cancelled"}
        assert adapter.calls == []
        # That was the answer to it: whoever resumes is not stopped by it.
        assert (await workflows.resume("r")).succeeded


async def test_a_run_that_a_process_is_at_is_not_resumed_by_another(engine):
    async with processes("one", "other") as (one, other), engine(ScriptedAdapter(a=fine), one) as (orchestrator, _):
        await runner(orchestrator, one).begin(TWO, {}, run_id="r", place=HERE, process_id=one.process_id)
        with pytest.raises(InputError, match="it is still running; wait for its end, or cancel it first"):
            await runner(orchestrator, other).resume("r")
        await runner(orchestrator, one).begin(TWO, {}, run_id="s", place="prefect/pool", process_id=None)
        assert (await runner(orchestrator, other).resume("s")).succeeded


async def test_what_breaks_around_a_step_ends_the_run_with_its_name(engine):
    async def carry(step, perform):
        raise RuntimeError("the engine is gone")

    async with engine(ScriptedAdapter(a=fine)) as (orchestrator, store):
        workflows = runner(orchestrator, store)
        with pytest.raises(RuntimeError, match="the engine is gone"):
            await workflows.execute_workflow(TWO, run_id="r", carry=carry)
        report = await workflows.report("r")
        assert (report.status, report.reason) == (Status.FAILED, "it broke off: RuntimeError: the engine is gone")
        assert (await workflows.resume("r")).succeeded


async def test_a_step_that_is_stopped_by_what_stands_around_it_is_cancelled_and_stops_what_needs_it(engine):
    async def carry(step, perform):
        performing = asyncio.ensure_future(perform())
        await asyncio.sleep(0.05)
        performing.cancel()
        await asyncio.wait({performing})
        raise asyncio.CancelledError

    async with engine(ScriptedAdapter(a=hang)) as (orchestrator, store):
        report = await runner(orchestrator, store).execute_workflow(TWO, carry=carry)
        assert (report.status, report.reason) == (Status.FAILED, "one did not succeed")
        assert statuses(report) == {"one": "cancelled", "two": "skipped"}
        assert report.step("two").reason == 'needs "one", which was cancelled'
        assert [each.status for each in await stored(store)] == [Status.CANCELLED]


async def left_behind(store, run_id, remote_id):
    """An attempt at a step, on its way on an engine when its process is gone."""
    make = Samples(SystemClock())
    task = Task(type="t", text="one", tags={"workflow_run": run_id, "step": "one"})
    decision = replace(make.decision(), task=task)
    await store.record([decision, replace(make.start(decision, store.process_id), run_id=remote_id)])


async def test_what_a_dead_process_left_running_on_an_engine_is_stopped_with_its_run(engine):
    adapter = ScriptedAdapter(a=fine)
    adapter.elsewhere = {"remote-1": Status.RUNNING, "remote-2": Status.RUNNING}
    async with processes("gone", "here") as (gone, here), engine(adapter, here) as (orchestrator, _):
        await runner(orchestrator, gone).begin(TWO, {}, run_id="r", place=HERE, process_id=gone.process_id)
        await left_behind(gone, "r", "remote-1")
        await left_behind(gone, "another", "remote-2")
        await gone.close()
        workflows = runner(orchestrator, here)
        assert await workflows.cancel("r")
        assert adapter.elsewhere == {"remote-2": Status.RUNNING}
        assert (await workflows.report("r")).status is Status.CANCELLED


async def test_while_an_engine_cannot_be_told_the_run_stays_lost_so_that_one_can_ask_again(engine):
    adapter = ScriptedAdapter(a=fine)
    adapter.elsewhere = {"remote-1": Status.RUNNING}
    away = [Transient("the engine is away")]

    async def cancel(run):
        if away:
            raise away.pop()
        return adapter.elsewhere.pop(run.run_id, None) is not None

    adapter.cancel = cancel
    async with processes("gone", "here") as (gone, here), engine(adapter, here) as (orchestrator, _):
        await runner(orchestrator, gone).begin(TWO, {}, run_id="r", place=HERE, process_id=gone.process_id)
        await left_behind(gone, "r", "remote-1")
        await gone.close()
        workflows = runner(orchestrator, here)
        with pytest.raises(Transient, match="the engine is away"):
            await workflows.cancel("r")
        assert (await workflows.report("r")).status is Status.LOST
        assert await workflows.cancel("r")
        assert adapter.elsewhere == {}
        assert not await workflows.cancel("r")
