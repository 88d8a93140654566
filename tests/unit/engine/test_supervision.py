"""Loops that no failure ends, and what they report."""

import asyncio
import logging
from itertools import pairwise
from random import Random

import pytest

from mahavishnu.engine.clock import SystemClock
from mahavishnu.engine.supervision import MOST_PERIODS, Loop, Part, Sayings, Supervisor
from mahavishnu.errors import StoreUnavailable
from mahavishnu.testing.clock import ManualClock


class OddFailure(BaseException):
    """Neither an Exception nor one of those that Python itself raises."""


class Scripted:
    """Work that does what it was told for each turn, and nothing out of the ordinary afterwards."""

    def __init__(self, *turns):
        self.turns = list(turns)
        self.done = 0
        self.done_in_order = asyncio.Event()

    async def __call__(self):
        await asyncio.sleep(0)
        if self.turns:
            turn = self.turns.pop(0)
            if isinstance(turn, BaseException):
                raise turn
            return turn
        self.done += 1
        self.done_in_order.set()
        return ()


def loop_of(clock, *works, **options):
    parts = [Part(f"part {n}", work, clock, 1.0, rng=Random(n), **options) for n, work in enumerate(works)]
    return Loop("tested", parts, clock, 1.0)


async def until(holds):
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    "failure",
    [ValueError("no"), SystemExit(3), GeneratorExit(), asyncio.CancelledError(), OddFailure("odd"), RecursionError()],
    ids=repr,
)
async def test_a_part_that_raises_anything_comes_back_and_keeps_no_other_from_its_turn(failure):
    clock = ManualClock()
    failing, other = Scripted(failure, failure), Scripted()
    loop = loop_of(clock, failing, other)
    loop.start()
    await until(lambda: failing.done > 2)
    await loop.stop()
    first, second = loop.reports()
    assert (first.failures, first.restarts, second.failures) == (2, 0, 0)
    assert other.done >= failing.done
    assert first.last_failure
    assert first.last_failed_at_us < first.last_ok_at_us
    assert second.last_failure is None


async def test_a_stranger_that_cancels_every_task_does_not_end_a_loop():
    clock = ManualClock()
    work = Scripted()
    loop = loop_of(clock, work)
    loop.start()
    for _ in range(3):
        before = work.done
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await until(lambda before=before: work.done > before + 2)
    (report,) = loop.reports()
    assert report.restarts + report.failures == 3
    assert "cancelled" in report.last_failure
    (running,) = asyncio.all_tasks() - {asyncio.current_task()}
    assert running.cancelling() == 0
    await loop.stop()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_loop_that_is_cancelled_before_its_first_step_is_begun_anew():
    work = Scripted()
    loop = loop_of(ManualClock(), work)
    loop.start()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await until(lambda: work.done)
    assert loop.reports()[0].restarts == 1
    await loop.stop()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_loop_ends_on_its_own_stop_also_where_the_work_keeps_a_cancellation_to_itself():
    stubborn = asyncio.Event()

    async def work():
        stubborn.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return ()

    loop = loop_of(ManualClock(), work)
    loop.start()
    await stubborn.wait()
    await loop.stop()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_part_is_stale_until_it_completes_a_round_again_and_readiness_says_which():
    clock = ManualClock()
    well = asyncio.Event()

    async def work():
        if not well.is_set():
            raise ValueError("nothing works")
        return ()

    loop = loop_of(clock, work, Scripted())
    supervisor = Supervisor([loop])
    assert supervisor.readiness()
    supervisor.start()
    await until(lambda: not supervisor.readiness())
    (reason,) = supervisor.readiness().reasons
    assert reason.startswith("part 0 has not completed a round for ")
    assert reason.endswith("s: ValueError: nothing works")
    assert [report.stale for report in supervisor.reports()] == [True, False]
    well.set()
    await until(supervisor.readiness)
    await supervisor.stop()


async def test_a_part_that_leaves_something_out_has_completed_its_turn_and_says_what(caplog):
    clock = ManualClock()
    work = Scripted(["row 1 was left out"], ["row 1 was left out"])
    loop = loop_of(clock, work)
    loop.start()
    await until(lambda: work.done)
    await loop.stop()
    (report,) = loop.reports()
    assert (report.failures, report.last_failure, report.stale) == (2, "row 1 was left out", False)
    assert [record.getMessage() for record in caplog.records] == ["part 0: row 1 was left out"]
    assert caplog.records[0].levelno == logging.ERROR


async def test_a_part_whose_turn_takes_long_is_not_stale_where_it_may():
    clock = ManualClock()
    going, go_on = asyncio.Event(), asyncio.Event()

    async def work():
        going.set()
        await go_on.wait()
        return ()

    reports = []
    for allowed_s in (0.0, float("inf")):
        loop = loop_of(clock, work, may_take_s=allowed_s)
        loop.start()
        await going.wait()
        clock.advance(3600)
        reports += loop.reports()
        await loop.stop()
        going.clear()
    assert [report.stale for report in reports] == [True, False]


async def test_a_part_that_keeps_failing_waits_longer_up_to_a_bound_and_is_not_logged_each_time(caplog):
    clock = ManualClock()
    at_s = []

    async def work():
        at_s.append(clock.monotonic_s())
        raise StoreUnavailable(url="memory:", problem=f"it is away, {len(at_s)} times asked")

    loop = loop_of(clock, work)
    loop.start()
    await until(lambda: len(at_s) >= 200)
    await loop.stop()
    gaps = [after - before for before, after in pairwise(at_s)]
    assert max(gaps) <= MOST_PERIODS + 1
    assert max(gaps) > 3
    # Gaps of 60, 120, 240, ... seconds in what took some 800.
    assert 1 < len(caplog.records) < 6
    assert "it is away, 1 times asked" in caplog.records[0].getMessage()
    assert "times since this was last said" in caplog.records[1].getMessage()


def test_a_failure_is_said_at_once_and_then_with_growing_gaps_for_each_distinct_one():
    clock = ManualClock()
    sayings = Sayings(clock)
    said_at_s = []
    for second in range(1000):
        if sayings.times("a"):
            said_at_s.append(second)
        clock.advance(1)
    assert said_at_s == [0, 60, 180, 420, 900]
    assert sayings.times("b") == 1
    for number in range(1000):
        sayings.times(f"failure {number}")
    assert len(sayings._said) <= 100


def test_a_loop_that_was_never_stopped_keeps_no_process_from_ending():
    """`asyncio.run` cancels what is left once its own task has ended, and waits for that."""

    async def leave_it_behind():
        async def work():
            return ()

        clock = SystemClock()
        Loop("left behind", [Part("work", work, clock, 0.01)], clock, 0.01).start()
        await asyncio.sleep(0.05)

    asyncio.run(leave_it_behind())
