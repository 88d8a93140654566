"""The queue: tasks that wait for room in a budget, and are run in their order once there is some."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from mahavishnu.errors import MahavishnuError, RepositoryError, TaskQueued
from mahavishnu.model import Balance, Report, Task
from mahavishnu.model.queued import QueuedTask, QueueStatus
from mahavishnu.model.unreadable import Unreadable
from mahavishnu.ports import Clock, Store
from mahavishnu.storage.sql.coordination.job_lease import LEASE_S, held

JOB = "drain-queue"

LOOK_EVERY_S = 60.0
"""However little changes, some may have waited too long."""

Perform = Callable[[QueuedTask], Awaitable[Report]]


@dataclass(frozen=True, slots=True)
class Drained:
    """What one drain came to: how many ran, how many were too old, how many still wait."""

    ran: int
    expired: int
    waiting: int


class Queue:
    """Keeps tasks, and lets them go again: one process at a time, the oldest of each budget first."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._seen: Sequence[Balance] = ()
        self._look_again_s = 0.0
        self.unreadable: Sequence[Unreadable] = ()
        """The tasks that waited when this was drained last, and that this version cannot read."""

    async def keep(self, task: Task, policy: str | None, balance: Balance) -> QueuedTask:
        now_us = self._clock.now_us()
        queued = QueuedTask(
            id=self._clock.new_id(),
            budget=balance.budget.name,
            task=task,
            policy=policy,
            queued_at_us=now_us,
            expires_at_us=now_us + balance.budget.max_age_s * 1_000_000,
        )
        await self._store.enqueue(queued)
        return queued

    def worth_a_look(self, lines: Sequence[Balance]) -> bool:
        """Whether anything has changed, since this last said so, for those who wait for these budgets."""
        now_s = self._clock.monotonic_s()
        same = lines == self._seen and now_s < self._look_again_s
        if not lines or same:
            return False
        self._seen, self._look_again_s = lines, now_s + LOOK_EVERY_S
        return True

    def look_again(self) -> None:
        """What was worth a look has not had it."""
        self._look_again_s = float("-inf")

    async def drain(self, perform: Perform) -> Drained | None:
        """Run what there is room for by now; None where another process is at it.

        Each task runs under an idempotency key of its own, so that one whose drain was killed runs no second time.
        """
        claim = await self._store.claim_job(JOB, LEASE_S)
        if claim is None:
            return None
        ran = expired = 0
        ok = False
        try:
            async with held(self._store, claim, self._clock, JOB) as hold:
                await self._put_back()
                stuck: set[str] = set()
                queued = await self._store.queued(QueueStatus.WAITING)
                self.unreadable = queued.unreadable
                for each in queued:
                    if hold.lost:
                        # What runs here goes on under its key; what has not begun belongs to the other process.
                        break
                    if each.expires_at_us <= self._clock.now_us():
                        expired += await self._end(each, QueueStatus.WAITING, QueueStatus.EXPIRED, "it waited too long")
                    elif each.budget not in stuck:
                        if await self._run(each, perform):
                            ran += 1
                        else:
                            # Who comes later may not overtake, also if it would fit.
                            stuck.add(each.budget)
                waiting = len(await self._store.queued(QueueStatus.WAITING))
            ok = True
            return Drained(ran, expired, waiting)
        finally:
            await self._store.finish_job(claim, ok=ok, note=f"{ran} ran, {expired} were too old")

    async def _put_back(self) -> None:
        """Whoever ran these is no more: only who holds the claim runs any."""
        for each in await self._store.queued(QueueStatus.RUNNING):
            await self._store.move_queued(each.id, QueueStatus.RUNNING, replace(each, status=QueueStatus.WAITING))

    async def _run(self, each: QueuedTask, perform: Perform) -> bool:
        """Whether there was room. Whatever else it came to is in its record, and no reason to hold up the others."""
        if not await self._store.move_queued(each.id, QueueStatus.WAITING, replace(each, status=QueueStatus.RUNNING)):
            return True
        try:
            report = await perform(each)
        except RepositoryError:
            # Whoever drains next puts it back.
            raise
        except MahavishnuError as error:
            await self._end(each, QueueStatus.RUNNING, QueueStatus.DONE, str(error))
            return True
        if isinstance(report.error, TaskQueued):
            await self._store.move_queued(each.id, QueueStatus.RUNNING, each)
            return False
        decision_id = report.decision.id if report.decision else None
        note = "succeeded" if report.error is None else str(report.error)
        await self._end(replace(each, decision_id=decision_id), QueueStatus.RUNNING, QueueStatus.DONE, note)
        return True

    async def _end(self, each: QueuedTask, before: QueueStatus, after: QueueStatus, note: str) -> bool:
        ended = replace(each, status=after, ended_at_us=self._clock.now_us(), note=note)
        return await self._store.move_queued(each.id, before, ended)


def key_of(queued: QueuedTask) -> Task:
    """The task as it is to run: under its own key, or under one that only this place in the queue has."""
    task = queued.task
    return task if task.idempotency_key is not None else replace(task, idempotency_key=f"queue:{queued.id}")
