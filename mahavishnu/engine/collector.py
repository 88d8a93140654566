"""The collector: everything that happens passes through here on its way into the store and the evidence."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from mahavishnu.engine.backlog import Backlog, Written
from mahavishnu.engine.evidence import EvidenceBook
from mahavishnu.errors import InputError, StoreUnavailable
from mahavishnu.model import Decision, Execution, Outcome, Reservation, Shortfall, Status
from mahavishnu.ports import Charge, Clock, Settlement, Store
from mahavishnu.storage.presence import lost
from mahavishnu.storage.spool import Abandoned, Spool

log = logging.getLogger("mahavishnu.engine")

ONLY_ONCE = "other tasks go on meanwhile, but only the store can say that a task with an idempotency key runs once"
NOTHING_SPENT = "other tasks go on meanwhile, but only the store can set money aside for one that a budget covers"


class Collector:
    """Records facts, and folds what was recorded. What a store that is down cannot take waits in the backlog."""

    def __init__(self, store: Store, book: EvidenceBook, clock: Clock, lease_s: float) -> None:
        self._store = store
        self._book = book
        self._clock = clock
        self._lease_us = lease_s * 1e6
        self._backlog = Backlog(store)
        self._unchecked: dict[str, Execution] = {}
        """What ended while the store was down, and may have been given up as lost before it was written."""

    def spool_into(self, spool: Spool | None) -> None:
        """Where to keep what happens while the store is down; until this is called, that is refused."""
        self._backlog.spool = spool

    async def decided(self, decision: Decision, settle: Settlement | None = None) -> None:
        await self._record([decision], settle, keyed=settle is not None)

    async def began(
        self, execution: Execution, decision: Decision | None, reservation: Reservation | None = None
    ) -> Shortfall | None:
        """Durable before the adapter is called: what a crash leaves behind can then be found.

        Together with what is set aside for it; where a budget has no room, nothing is written.
        """
        facts: Sequence[Decision | Execution] = [execution] if decision is None else [decision, execution]
        if reservation is not None:
            try:
                return await self._store.reserve(reservation, facts)
            except StoreUnavailable as trouble:
                raise await self._needed(trouble, NOTHING_SPENT) from trouble
        await self._record(facts, keyed=decision is not None and decision.task.idempotency_key is not None)
        return None

    async def announced(self, execution: Execution) -> None:
        """The engine has given the run an id of its own."""
        await self._record([execution])

    async def ended(self, execution: Execution, settle: Settlement | None = None, charge: Charge | None = None) -> None:
        """How an attempt ended, what it cost, and the end of what was set aside for it."""
        try:
            position = await self._record([execution], settle, charge, keyed=settle is not None)
        except asyncio.CancelledError:
            # What was handed over is written all the same, so it counts, though nobody heard where it stands.
            self._backlog.remember([execution], charge)
            self._book.presume(execution)
            raise
        if position is None:
            self._book.presume(execution)
        elif (execution.latency_us or 0) < self._lease_us:
            self._book.fold(execution, position)
        else:
            await self._ended_late(execution, position)

    async def learnt(self, outcome: Outcome) -> None:
        if len(self._backlog):
            # What it is about may still wait there.
            await self.catch_up()
        await self._store.record([outcome])
        await self._book.refresh()

    async def _ended_late(self, execution: Execution, position: int) -> None:
        """A run longer than the lease may have been given up as lost while this process was asleep.

        The first end stands, so what came after all is an outcome.
        """
        stored = await self._store.execution(execution.id)
        if stored is None or stored.status is not Status.LOST:
            self._book.fold(execution, position)
            return
        self._book.fold(stored, position)
        if execution.status is Status.SUCCEEDED:
            await self.learnt(self._came_back(execution))

    def _came_back(self, execution: Execution) -> Outcome:
        return Outcome(
            id=self._clock.new_id(),
            decision_id=execution.decision_id,
            at_us=self._clock.now_us(),
            completed=True,
            quality=execution.quality,
            note=f"execution {execution.id} came back after it was given up as lost",
        )

    async def settled(self, settle: Settlement) -> None:
        """The end of a claimed run that made no last attempt."""
        await self._record([], settle, keyed=True)

    async def catch_up(self) -> bool:
        """Write what the store could not take, if it can by now, and what processes left that died before they could.

        Whether the store answers, as far as is known here.

        To be called before the dead are looked after: what they had finished is then not given up as lost.
        """
        written = await self._backlog.write_back()
        for each in written:
            for execution in each.ended:
                self._book.confirm(execution, each.position)
        self._check_later(written)
        if await self._check():
            # The store has counted some of them otherwise than we have.
            await self._book.load()
        while (abandoned := await self._backlog.abandoned()) is not None:
            try:
                if not await self._adopt(abandoned):
                    return False
            finally:
                abandoned.close()
        return not self._backlog.down

    async def close(self) -> None:
        """Try once more to write what waits; what the store does not take now is left to whoever opens it next."""
        try:
            await self.catch_up()
        except StoreUnavailable as trouble:
            log.warning("what was kept meanwhile waits on: %s", trouble)
        finally:
            await self._backlog.close()

    async def _record(
        self,
        facts: Sequence[Decision | Execution],
        settle: Settlement | None = None,
        charge: Charge | None = None,
        *,
        keyed: bool = False,
    ) -> int | None:
        """The position of the last fact; None where it waits in the backlog."""
        if keyed or not self._backlog.down:
            try:
                if charge is None:
                    return await self._store.record(facts, settle=settle)
                return await self._store.charge(charge, facts, settle=settle)
            except StoreUnavailable as trouble:
                if keyed:
                    raise await self._needed(trouble, ONLY_ONCE) from trouble
                if not await self._backlog.takes_over(trouble):
                    raise
        await self._backlog.keep(facts, charge)
        return None

    async def _needed(self, trouble: StoreUnavailable, why: str) -> StoreUnavailable:
        """What to raise where nothing goes without the store; as it was where it is only this that it cannot write."""
        if not await self._backlog.takes_over(trouble):
            return trouble
        return StoreUnavailable(url=trouble.url, problem=f"{trouble.problem}; {why}")

    def _check_later(self, written: Sequence[Written]) -> None:
        """Where the start came with it, nobody else can have known of it before."""
        begun = {execution.id for each in written for execution in each.begun}
        ended = {execution.id: execution for each in written for execution in each.ended}
        self._unchecked |= {id_: execution for id_, execution in ended.items() if id_ not in begun}

    async def _check(self) -> bool:
        """Whether any was given up as lost in the meantime. The first end stands, so what came after is an outcome."""
        found = False
        for execution in list(self._unchecked.values()):
            stored = await self._store.execution(execution.id)
            if stored is not None and stored.status is Status.LOST and execution.status is not Status.LOST:
                found = True
                if execution.status is Status.SUCCEEDED:
                    await self._record_late(execution)
            del self._unchecked[execution.id]
        return found

    async def _record_late(self, execution: Execution) -> None:
        try:
            await self._store.record([self._came_back(execution)])
        except InputError as why:
            log.warning("that execution %s came back could not be recorded: %s", execution.id, why)

    async def _adopt(self, abandoned: Abandoned) -> bool:
        """Write what a dead process left; what it left running is lost."""
        now_us = self._clock.now_us()
        ends = [lost(each, f"process {each.process_id}", now_us) for each in abandoned.running]
        written = await self._backlog.adopt(abandoned, ends)
        if written is None:
            return False
        self._check_later(written)
        await self._check()
        await asyncio.to_thread(abandoned.settle, len(abandoned.spooled) + len(ends) - len(written))
        log.warning("%s things that a dead process had kept while the store was down are in it now", len(written))
        return True
