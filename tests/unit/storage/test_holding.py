"""Holding on to a job: whatever goes wrong with the asking, it is held; where it is lost, its run ends loudly."""

import asyncio

import pytest

from mahavishnu.engine.clock import SystemClock
from mahavishnu.errors import JobTakenOver, StoreUnavailable
from mahavishnu.jobs import schedule
from mahavishnu.jobs.schedule import run_job
from mahavishnu.settings import Settings
from mahavishnu.storage import Memory, MemoryStore
from mahavishnu.storage.sql.coordination.job_lease import held
from mahavishnu.testing.clock import ManualClock


class Asked(MemoryStore):
    """Answers each time it is asked to extend a claim as it was told, and with yes when that is over."""

    def __init__(self, *answers):
        super().__init__(SystemClock(), Memory())
        self.answers = list(answers)
        self.asked = 0

    async def extend_job(self, run_id, lease_s):
        self.asked += 1
        answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, BaseException):
            raise answer
        return answer


async def until(holds):
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    "failure", [ValueError("no"), StoreUnavailable(url="memory:", problem="away"), asyncio.CancelledError()], ids=repr
)
async def test_a_job_is_held_on_to_whatever_the_asking_raises(failure, caplog):
    store = Asked(failure)
    async with held(store, "run", ManualClock(), "fold") as hold:
        await until(lambda: store.asked > 3)
        assert not hold.lost
    assert "fold" in caplog.text


async def test_a_job_is_held_on_to_after_everything_was_cancelled():
    store = Asked()
    async with held(store, "run", ManualClock(), "fold") as hold:
        for each in asyncio.all_tasks() - {asyncio.current_task()}:
            each.cancel()
        await until(lambda: store.asked > 3)
        assert not hold.lost
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_run_that_was_taken_over_ends_and_says_so(monkeypatch, caplog):
    store = Asked(True, False)
    await store.open()
    monkeypatch.setitem(schedule._RUNS, "fold", lambda *_: asyncio.Event().wait())
    with pytest.raises(JobTakenOver, match="taken fold over"):
        await run_job("fold", store, ManualClock(), Settings())
    assert asyncio.current_task().cancelling() == 0
    assert "taken over" in caplog.text


async def test_a_drain_that_was_taken_over_is_told_and_not_interrupted():
    store = Asked(False)
    async with held(store, "run", ManualClock(), "drain-queue") as hold:
        await until(lambda: hold.lost)
        await asyncio.sleep(0)
    assert asyncio.current_task().cancelling() == 0


async def test_a_cancellation_from_outside_stays_one():
    async def body():
        async with held(Asked(), "run", ManualClock(), "fold", interrupting=True):
            await asyncio.Event().wait()

    running = asyncio.create_task(body())
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()
