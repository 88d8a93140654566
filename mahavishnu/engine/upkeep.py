"""Upkeep: everything that an engine does in the background, each part for itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from mahavishnu.engine.recording.collector import Collector
from mahavishnu.engine.routing.evidence import EvidenceBook
from mahavishnu.engine.routing.roster import HEALTH_TIMEOUT_S, Roster
from mahavishnu.engine.spending.queue import Queue
from mahavishnu.engine.spending.spending import Purse
from mahavishnu.engine.supervision import Loop, Part, Supervisor, Waits
from mahavishnu.model.loop import LoopReport, Readiness
from mahavishnu.ports import Clock, Store

REAP_EVERY_S = 5.0


class Upkeep:
    """Folds what other processes learn, follows what is switched, looks after dead processes, and drains the queue.

    The order within a round matters: what a dead process had finished is written before what it left running is given
    up as lost.
    """

    def __init__(
        self,
        store: Store,
        collector: Collector,
        book: EvidenceBook,
        roster: Roster,
        purse: Purse,
        queue: Queue,
        drain: Callable[[], Awaitable[object]],
        clock: Clock,
        period_s: float,
    ) -> None:
        self._store = store
        self._collector = collector
        self._book = book
        self._roster = roster
        self._purse = purse
        self._queue = queue
        self._drain = drain
        self._up = True
        self._caught_up = False
        self._evidence = Part("evidence", self._keep_evidence, clock, period_s)
        self._targets = Part("targets", self._keep_targets, clock, period_s)
        self._money = Part("money", self._keep_money, clock, period_s)
        in_order = [
            Part("catching up", self._catch_up, clock, period_s),
            self._evidence,
            self._targets,
            self._money,
            Part("reaping", self._reap, clock, max(period_s, REAP_EVERY_S), every_s=REAP_EVERY_S),
        ]
        health = Part("health checks", self._check_health, clock, period_s, may_take_s=2 * HEALTH_TIMEOUT_S)
        # A drain takes as long as what it runs.
        draining = Part("queue", self._drain_queue, clock, period_s, may_take_s=float("inf"))
        self._supervisor = Supervisor(
            [
                Loop("keeps up", in_order, clock, period_s),
                Loop("checks health", [health], clock, period_s),
                Loop("drains its queue", [draining], clock, period_s),
            ]
        )

    async def begin(self) -> int:
        """The first round, which raises its failures; returns how many facts were folded on top of the snapshot."""
        await self._collector.catch_up()
        await self.reap()
        tail = await self._book.load()
        self._evidence.completed(self._evidence_left_out())
        await self._targets.turn()
        await self._money.turn()
        self._supervisor.start()
        return tail

    async def reap(self) -> None:
        """Give up what is dead, once what it had finished is written."""
        await self._store.reap(self._collector.finish_for)

    async def stop(self) -> None:
        await self._supervisor.stop()

    def reports(self) -> Sequence[LoopReport]:
        return self._supervisor.reports()

    def readiness(self) -> Readiness:
        return self._supervisor.readiness()

    # -- the parts -----------------------------------------------------------------------------------------------------

    async def _catch_up(self) -> Sequence[str]:
        # Until it is done nothing is known: the others have their turn, except for reaping, which must come after it.
        self._up, self._caught_up = True, False
        self._up = self._caught_up = await self._collector.catch_up()
        return ()

    async def _keep_evidence(self) -> Sequence[str]:
        self._need_the_store()
        await self._book.refresh()
        return self._evidence_left_out()

    def _evidence_left_out(self) -> Sequence[str]:
        why = self._book.unreadable
        return () if why is None else (f"{why} Until then, what was known before it is used.",)

    async def _keep_targets(self) -> Sequence[str]:
        self._need_the_store()
        await self._roster.refresh()
        return [*map(str, self._roster.unreadable), *self._roster.complaints()]

    async def _keep_money(self) -> Sequence[str]:
        self._need_the_store()
        await self._purse.refresh()
        return [str(row) for row in self._purse.unreadable]

    async def _reap(self) -> Sequence[str]:
        self._need_the_store()
        if not self._caught_up:
            raise Waits("what dead processes had finished could not be written yet, see catching up")
        await self.reap()
        return ()

    async def _check_health(self) -> Sequence[str]:
        await self._roster.recheck()
        return ()

    async def _drain_queue(self) -> Sequence[str]:
        if self._queue.worth_a_look(self._purse.lines):
            try:
                await self._drain()
            except BaseException:
                self._queue.look_again()
                raise
        return [str(row) for row in self._queue.unreadable]

    def _need_the_store(self) -> None:
        if not self._up:
            raise Waits("the store is away")
