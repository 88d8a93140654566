"""The collector: everything that happens passes through here on its way into the store and the evidence."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from mahavishnu.engine.recording.backlog import Backlog, Written, plain_end
from mahavishnu.engine.routing.evidence import EvidenceBook
from mahavishnu.errors import InputError, NotDurable, NotWritten, StoreUnavailable
from mahavishnu.model import Decision, Execution, Outcome, Reservation, Shortfall, Status
from mahavishnu.ports import Charge, Claim, Clock, Settlement, Store
from mahavishnu.storage.spool import Abandoned, Spool, Spooled
from mahavishnu.storage.sql.coordination.presence import lost

log = logging.getLogger("mahavishnu.engine")

ONLY_ONCE = "other tasks go on meanwhile, but only the store can say that a task with an idempotency key runs once"
NOTHING_SPENT = "other tasks go on meanwhile, but only the store can set money aside for one that a budget covers"

MOST_WAITING = 100_000
"""Things that may wait for the store before nothing new begins, unless the settings say otherwise."""


class Collector:
    """Records facts, and folds what was recorded.

    What is *asked for* (a decision, a start, a claim) may be refused. What *happened* (an end, its charge, the end of a
    claim) never is: while the store does not take it, it waits in the backlog.
    """

    def __init__(self, store: Store, book: EvidenceBook, clock: Clock, most_waiting: int = MOST_WAITING) -> None:
        self._store = store
        self._book = book
        self._clock = clock
        self._backlog = Backlog(store, clock, most_waiting)
        self._unchecked: dict[str, Execution] = {}
        """What ended while the store was away, and may have been given up as lost before it was written."""

    def spool_into(self, spool: Spool | None) -> None:
        """Where to keep what happens while the store is away; until this is called, it stands in memory alone."""
        self._backlog.spool = spool

    @property
    def waiting(self) -> int:
        """How many things wait for the store."""
        return len(self._backlog)

    # -- what is asked for ---------------------------------------------------------------------------------------------

    async def decided(
        self, decision: Decision, settle: Settlement | None = None, *, within_s: float | None = None
    ) -> None:
        """A decision that no attempt follows; with the end of its claim, if it has one."""
        if settle is None:
            await self._ask((decision,), within_s=within_s)
        else:
            await self._happened(Spooled((decision,), settle=settle), within_s)

    async def claimed(self, key: str, fingerprint: str, decision_id: str, *, within_s: float | None = None) -> Claim:
        """Claim an idempotency key. A claim whose answer was lost is withdrawn: no run will ever settle it."""
        self._check_room()
        self._check_needed(ONLY_ONCE)
        until_s = self._until(within_s)
        try:
            return await self._store.claim(key, fingerprint, decision_id, within_s=within_s)
        except asyncio.CancelledError:
            self._withdraw_claim(key, decision_id)
            raise
        except StoreUnavailable as trouble:
            self._withdraw_claim(key, decision_id)
            raise await self._needed(trouble, ONLY_ONCE, until_s) from trouble

    async def began(
        self,
        execution: Execution,
        decision: Decision | None,
        reservation: Reservation | None = None,
        *,
        token: int | None = None,
        within_s: float | None = None,
    ) -> Shortfall | None:
        """Durable before the adapter is called: what a crash leaves behind can then be found.

        Together with what is set aside for it; where a budget has no room, nothing is written. With a `token` only the
        store will do, and it refuses a process that was given up (`TakenOver`).
        """
        facts: tuple[Decision | Execution, ...] = (execution,) if decision is None else (decision, execution)
        self._check_room()
        try:
            if reservation is None and token is None:
                await self._ask(facts, within_s=within_s, start=execution)
                return None
            return await self._begin(facts, execution, reservation, token, within_s)
        except asyncio.CancelledError:
            # What was handed over is written all the same, and the caller is not there any more to end it.
            self._backlog.withdraw(execution)
            raise

    async def _begin(
        self,
        facts: tuple[Decision | Execution, ...],
        start: Execution,
        reservation: Reservation | None,
        token: int | None,
        within_s: float | None,
    ) -> Shortfall | None:
        """What only the store can answer for."""
        why = ONLY_ONCE if reservation is None else NOTHING_SPENT
        self._check_needed(why)
        until_s = self._until(within_s)
        try:
            if reservation is not None:
                return await self._store.reserve(reservation, facts, token=token, within_s=within_s)
            await self._store.record(facts, token=token, within_s=within_s)
        except StoreUnavailable as trouble:
            self._backlog.withdraw(start)
            raise await self._needed(trouble, why, until_s) from trouble
        return None

    async def _ask(
        self, facts: tuple[Decision | Execution, ...], *, within_s: float | None, start: Execution | None = None
    ) -> None:
        """Durable in the store, or else in the spool; what is in neither is refused, and withdrawn."""
        trouble = self._backlog.trouble
        if trouble is None:
            until_s = self._until(within_s)
            try:
                await self._store.record(facts, within_s=within_s)
            except StoreUnavailable as error:
                trouble = error
            else:
                return
            await self._backlog.hear_of(trouble, self._left_s(until_s))
        if self._backlog.down:
            spooled = Spooled(facts)
            if await self._backlog.keep(spooled, self._backlog.check(spooled)):
                return
            await self._backlog.drop(spooled)
            why = f"{trouble.problem}; and {self._backlog.why_not_kept()}"
            trouble = StoreUnavailable(url=trouble.url, problem=why)
        if start is not None and not isinstance(trouble, NotWritten):
            self._backlog.withdraw(start)
        raise trouble

    def _check_room(self) -> None:
        """Nothing begins that might have to be dropped at its end."""
        if self._backlog.full:
            trouble = self._backlog.trouble
            raise StoreUnavailable(
                url="" if trouble is None else trouble.url,
                problem=f"{len(self._backlog)} things wait for it already, and nothing new begins until it takes them; "
                "bring it back, or raise store.most_waiting",
            )

    def _check_needed(self, why: str) -> None:
        """Nothing that only the store can answer for waits for a store that is known to be away."""
        trouble = self._backlog.trouble
        if trouble is not None:
            raise StoreUnavailable(url=trouble.url, problem=f"{trouble.problem}; {why}")

    async def _needed(self, trouble: StoreUnavailable, why: str, until_s: float | None) -> StoreUnavailable:
        """What to raise where nothing goes without the store; as it was where it is only this that it cannot write."""
        await self._backlog.hear_of(trouble, self._left_s(until_s))
        if not self._backlog.down:
            return trouble
        return StoreUnavailable(url=trouble.url, problem=f"{trouble.problem}; {why}")

    def _until(self, within_s: float | None) -> float | None:
        """When a caller stops waiting, by the monotonic clock; None for one that has the store's patience."""
        return None if within_s is None else self._clock.monotonic_s() + within_s

    def _left_s(self, until_s: float | None) -> float | None:
        return None if until_s is None else max(until_s - self._clock.monotonic_s(), 0.0)

    def _withdraw_claim(self, key: str, decision_id: str) -> None:
        self._backlog.withdraw(settle=Settlement(key=key, decision_id=decision_id, succeeded=False))

    # -- what happened -------------------------------------------------------------------------------------------------

    async def announced(self, execution: Execution) -> None:
        """The engine has given the run an id of its own."""
        await self._happened(Spooled((execution,)), None)

    async def settled(self, settle: Settlement, *, within_s: float | None = None) -> None:
        """The end of a claimed run that made no last attempt."""
        await self._happened(Spooled(settle=settle), within_s)

    async def ended(
        self,
        execution: Execution,
        settle: Settlement | None = None,
        charge: Charge | None = None,
        *,
        token: int | None = None,
        within_s: float | None = None,
    ) -> None:
        """How an attempt ended, what it cost, and the end of what was set aside for it.

        `token` is what the attempt began with. Raises `NotDurable` where it is on no disk yet; it is kept all the same.
        """
        spooled = Spooled((execution,), charge, settle)
        try:
            position, durable = await self._happened(spooled, within_s)
        except NotWritten as why:
            plain = plain_end(spooled, why)
            if plain is not None:
                await self._happened(plain, within_s)
            raise
        if position is not None:
            await self._fold(execution, position, token)
        elif not durable:
            trouble = self._backlog.trouble
            raise NotDurable(
                url="" if trouble is None else trouble.url,
                problem=f"{'' if trouble is None else trouble.problem + '; and '}{self._backlog.why_not_kept()}",
                execution_id=execution.id,
            )

    async def _happened(self, spooled: Spooled, within_s: float | None) -> tuple[int | None, bool]:
        """Where it stands in the store; None where it waits in the backlog. And whether it is on any disk.

        Raises `NotWritten` where the store refuses this one thing, and would refuse it again.
        """
        if not self._backlog.down:
            until_s = self._until(within_s)
            try:
                return await self._backlog.written(spooled, within_s), True
            except asyncio.CancelledError:
                # What was handed over is written all the same, so it counts, though its position is not known.
                self._presume(spooled)
                self._backlog.remember(spooled)
                raise
            except NotWritten:
                raise
            except StoreUnavailable as trouble:
                await self._backlog.hear_of(trouble, self._left_s(until_s))
        line = self._backlog.check(spooled)
        self._presume(spooled)
        return None, await self._backlog.keep(spooled, line)

    def _presume(self, spooled: Spooled) -> None:
        """Count what ended before it can be written back, which says where it stands."""
        for execution in spooled.executions:
            if execution.status.ended:
                self._book.presume(execution)

    async def _fold(self, execution: Execution, position: int, token: int | None) -> None:
        """An attempt that began before this process was given up was ended as lost by that.

        The first end stands, so what came after it is an outcome.
        """
        if token is None or token == self._store.token:
            self._book.fold(execution, position)
            return
        stored = await self._store.execution(execution.id)
        if stored is None or stored.status is not Status.LOST:
            self._book.fold(execution, position)
            return
        self._book.fold(stored, position)
        if execution.status is Status.SUCCEEDED:
            await self.learnt(self._came_back(execution))

    async def learnt(self, outcome: Outcome) -> None:
        if len(self._backlog):
            # What it is about may still wait there.
            await self.catch_up()
        await self._store.record([outcome])
        await self._book.refresh()

    def _came_back(self, execution: Execution) -> Outcome:
        return Outcome(
            id=self._clock.new_id(),
            decision_id=execution.decision_id,
            at_us=self._clock.now_us(),
            completed=True,
            quality=execution.quality,
            note=f"execution {execution.id} came back after it was given up as lost",
        )

    # -- catching up ---------------------------------------------------------------------------------------------------

    async def catch_up(self) -> bool:
        """Write what the store could not take, if it can by now, and what processes left that died before they could.

        Whether the store answers, as far as is known here.
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

    async def finish_for(self, process_ids: Sequence[str]) -> bool:
        """Whether all that these dead processes had finished is in the store: then the rest of it is lost.

        They must be known to be dead before this is asked, for they may have kept something until then.
        """
        return await self.catch_up() and not await self._backlog.is_being_adopted(process_ids)

    async def close(self) -> None:
        """Try once more to write what waits; what the store does not take now is left to the next that opens it."""
        try:
            await self.catch_up()
        except StoreUnavailable as trouble:
            log.warning("what was kept meanwhile waits on: %s", trouble)
        finally:
            await self._backlog.close()

    def _check_later(self, written: Sequence[Written]) -> None:
        """Where the start came with it, no other process can have known of it before."""
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
            # Two may catch up at once.
            self._unchecked.pop(execution.id, None)
        return found

    async def _record_late(self, execution: Execution) -> None:
        try:
            await self._store.record([self._came_back(execution)])
        except InputError as why:
            log.warning("that execution %s came back could not be recorded: %s", execution.id, why)

    async def _adopt(self, abandoned: Abandoned) -> bool:
        """Write what a dead process left; what it left running is lost."""
        now_us = self._clock.now_us()
        ends = [lost(start, f"process {start.process_id}", now_us) for start in abandoned.running]
        written = await self._backlog.adopt(abandoned, ends)
        if written is None:
            return False
        self._check_later(written)
        await self._check()
        await asyncio.to_thread(abandoned.settle, len(abandoned.spooled) + len(ends) - len(written))
        log.warning("%s things that a dead process had kept while the store was away are in it now", len(written))
        return True
