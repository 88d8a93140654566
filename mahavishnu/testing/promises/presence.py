"""What a store promises of processes that are gone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from mahavishnu.model import Status
from mahavishnu.testing.promises.places import (
    ALL,
    Opener,
    Promise,
    evidence,
    opened,
    samples,
    two,
)


async def what_a_process_left_running_is_lost(opener: Opener) -> None:
    make = samples()
    decision = make.decision()
    async with opened(opener) as gone:
        left = [make.start(decision, gone.process_id) for _ in range(3)]
        announced = replace(left[0], run_id="run-1")
        ended = make.start(decision, gone.process_id)
        await gone.record([decision, *left, announced, ended, make.end(ended)])
    async with two(opener) as (one, other):
        reaped = await asyncio.gather(one.reap(), other.reap())
        lost = {each.id: each for each in (*reaped[0], *reaped[1])}
        assert sorted(len(each) for each in reaped) == [0, 3]
        assert set(lost) == {each.id for each in left}
        for each in lost.values():
            assert (each.status, each.error_code, each.latency_us, each.cost_micros) == (Status.LOST, "lost", None, 0)
            assert each.ended_at_us is not None
            assert each.ended_at_us >= each.started_at_us
            assert "is gone" in (each.error or "")
            assert await one.execution(each.id) == each
        assert lost[announced.id].run_id == "run-1"
        assert await one.execution(ended.id) == make.end(ended)
        await other.record([make.end(left[1])])
        assert await one.execution(left[1].id) == lost[left[1].id]
        assert list(await one.reap()) == []
        assert len(await evidence(one)) == 4


async def what_a_process_had_finished_is_written_before_the_rest_is_lost(opener: Opener) -> None:
    make = samples()
    decision = make.decision()
    async with opened(opener) as gone:
        left, finished = (make.start(decision, gone.process_id) for _ in range(2))
        await gone.record([decision, left, finished])
    async with opened(opener) as store:

        async def later(process_ids: Sequence[str]) -> bool:
            assert list(process_ids) == [gone.process_id]
            return False

        async def now(process_ids: Sequence[str]) -> bool:
            assert list(process_ids) == [gone.process_id]
            await store.record([make.end(finished)])
            return True

        assert list(await store.reap(later)) == []
        assert [lost.id for lost in await store.reap(now)] == [left.id]
        assert await store.execution(finished.id) == make.end(finished)


async def what_a_living_process_runs_is_left_alone(opener: Opener) -> None:
    make = samples()
    decision = make.decision()
    async with two(opener) as (one, other):
        assert one.process_id != other.process_id
        starts = [make.start(decision, store.process_id) for store in (one, other)]
        await one.record([decision, *starts])
        assert list(await one.reap()) == list(await other.reap()) == []
        assert {each.status for each in await one.executions(ALL)} == {Status.RUNNING}


PROMISES: Sequence[Promise] = (
    what_a_process_left_running_is_lost,
    what_a_process_had_finished_is_written_before_the_rest_is_lost,
    what_a_living_process_runs_is_left_alone,
)
