"""What a store promises of tasks that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from mahavishnu.model.queued import QueueStatus
from mahavishnu.testing.promises.places import Opener, Promise, opened, samples, two
from mahavishnu.testing.samples import ODD_TEXT


async def a_queued_task_comes_back_exactly(opener: Opener) -> None:
    make = samples()
    odd = replace(
        make.queued(make.odd_decision().task),
        policy=ODD_TEXT,
        note=ODD_TEXT,
        status=QueueStatus.DONE,
        decision_id=make.new_id(),
        ended_at_us=7,
    )
    plain = make.queued()
    async with opened(opener) as store:
        for each in (odd, plain, replace(plain, note="again")):
            await store.enqueue(each)
    async with opened(opener) as store:
        assert list(await store.queued()) == [odd, plain]


async def tasks_wait_in_the_order_in_which_they_came(opener: Opener) -> None:
    make = samples()
    waiting = [make.queued() for _ in range(6)]
    async with two(opener) as (one, other):
        for n, each in enumerate((*waiting[3:], *waiting[:3])):
            await (one, other)[n % 2].enqueue(each)
        assert list(await one.queued(QueueStatus.WAITING)) == waiting
        assert list(await one.queued(last=2)) == waiting[-2:]
        assert list(await one.queued(last=0)) == []
        assert list(await one.queued(last=99)) == waiting
        over = replace(waiting[1], status=QueueStatus.REMOVED, ended_at_us=9, note="by hand")
        assert await other.move_queued(over.id, QueueStatus.WAITING, over)
        assert list(await one.queued(QueueStatus.WAITING)) == [waiting[0], *waiting[2:]]
        assert list(await one.queued(QueueStatus.REMOVED, last=5)) == [over]
        assert list(await one.queued(QueueStatus.DONE)) == []


async def of_those_that_move_a_queued_task_one_does(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        queued = make.queued()
        await one.enqueue(queued)
        rivals = [replace(queued, status=QueueStatus.RUNNING, note=str(n)) for n in range(6)]
        moved = await asyncio.gather(
            *((one, other)[n % 2].move_queued(queued.id, QueueStatus.WAITING, each) for n, each in enumerate(rivals))
        )
        assert sorted(moved) == [False] * 5 + [True]
        (running,) = await one.queued(QueueStatus.RUNNING)
        assert running == rivals[moved.index(True)]
        done = replace(running, status=QueueStatus.DONE, decision_id=make.new_id(), ended_at_us=8)
        assert await other.move_queued(queued.id, QueueStatus.RUNNING, done)
        assert list(await one.queued()) == [done]
        assert not await one.move_queued("nobody", QueueStatus.WAITING, queued)


PROMISES: Sequence[Promise] = (
    a_queued_task_comes_back_exactly,
    tasks_wait_in_the_order_in_which_they_came,
    of_those_that_move_a_queued_task_one_does,
)
