"""A target that cancels every task of its event loop: what keeps the engine up to date goes on all the same."""

import asyncio
import signal
import sys

import pytest

from mahavishnu.engine import upkeep
from mahavishnu.engine.clock import SystemClock
from mahavishnu.model import Status
from mahavishnu.testing.samples import Samples
from tests.integration.test_unreadable import Place, until
from tests.unit.engine.scripted import ScriptedAdapter, fine, stored, task

CHILD = """
import asyncio, sys
from mahavishnu.engine.clock import SystemClock
from mahavishnu.storage import SqlStore
from mahavishnu.testing.samples import Samples

async def main():
    store = SqlStore(sys.argv[1], SystemClock(), lake=sys.argv[2])
    await store.open()
    samples = Samples(SystemClock())
    decision = samples.decision(task_type="t")
    await store.record([decision, samples.start(decision, store.process_id)])
    print("begun", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture(params=["sqlite", "postgres"])
def place(request, tmp_path):
    if request.param == "sqlite":
        return Place(f"sqlite:///{tmp_path}/store.db", tmp_path / "lake")
    return Place(request.getfixturevalue("postgres")(), tmp_path / "lake")


async def cancel_everything(task, call):
    for each in asyncio.all_tasks():
        each.cancel()
    await asyncio.sleep(0)


async def survive(awaitable):
    """This test's own task is cancelled, too, as that of any caller is."""
    try:
        await awaitable
    except asyncio.CancelledError:
        asyncio.current_task().uncancel()


async def test_afterwards_switches_evidence_and_the_dead_are_heard_of(place, monkeypatch):
    monkeypatch.setattr(upkeep, "REAP_EVERY_S", 0.1)
    adapter = ScriptedAdapter(a=fine, wild=cancel_everything)
    async with place.engine(adapter) as (orchestrator, store):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CHILD, place.url, str(place._lake), stdout=asyncio.subprocess.PIPE
        )
        assert await child.stdout.readline() == b"begun\n"
        for _ in range(3):
            await survive(orchestrator.perform(task(target="wild")))
        assert {report.restarts + report.failures > 0 for report in orchestrator.loops()} >= {True}
        child.send_signal(signal.SIGKILL)
        await child.wait()
        async with place.store() as other:
            await other.switch_target("wild", enabled=False)
            samples = Samples(SystemClock())
            decision = samples.decision(task_type="t")
            await other.record([decision, samples.end(samples.start(decision, other.process_id))])
            await until(lambda: not next(s for s in orchestrator.standings() if s.target.name == "wild").enabled)
            await until(lambda: any(s.target == "a" and s.estimate.samples for s in orchestrator.stats("t")))
        async with asyncio.timeout(30):
            while not (lost := await stored(store, status=Status.LOST)):
                await asyncio.sleep(0.05)
        assert len(lost) == 1
        await until(lambda: orchestrator.ready)
        assert (await orchestrator.execute(task(target="a"))).value == "did x"
