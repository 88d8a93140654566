"""The backlog: what the store could not take when it happened, in its order, until it takes it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice

from mahavishnu.errors import MahavishnuError, NotWritten, StoreSilent, StoreUnavailable
from mahavishnu.model import Execution, Status, Usage
from mahavishnu.ports import Clock, Settlement, Store
from mahavishnu.storage.spool import Abandoned, Spool, Spooled, line_of
from mahavishnu.storage.sql.facts.fact_rows import CANNOT_BE_WRITTEN, not_plain_json

log = logging.getLogger("mahavishnu.engine")

AT_ONCE = 500
"""Transactions that are handed to the store together, which makes few of them."""


@dataclass(frozen=True, slots=True)
class Written:
    """Something that waited, and where it stands in the store now."""

    spooled: Spooled
    position: int

    @property
    def begun(self) -> Iterable[Execution]:
        return (execution for execution in self.spooled.executions if not execution.status.ended)

    @property
    def ended(self) -> Iterable[Execution]:
        return (execution for execution in self.spooled.executions if execution.status.ended)


class Backlog:
    """Keeps what happened until the store has it: in memory, and on the local disk as soon as that takes it.

    Nothing is dropped. What is to begin asks whether there is room (`full`) before it begins. Facts are idempotent by
    their ids, and charges by their execution: what is written twice, because its answer was lost, does no harm.
    """

    def __init__(self, store: Store, clock: Clock, most_waiting: int) -> None:
        self._store = store
        self._clock = clock
        self._most_waiting = most_waiting
        self.spool: Spool | None = None
        # In the order in which they came: a dict, because any of them may leave first.
        self._waiting: dict[Spooled, None] = {}
        self._trouble: StoreUnavailable | None = None
        self._disk_trouble: OSError | None = None
        self._withdrawing: set[asyncio.Task[None]] = set()
        self._asking = asyncio.Lock()
        self._writing = asyncio.Lock()

    @property
    def down(self) -> bool:
        """Whether the store is known to be away: no caller waits for the end of its patience again."""
        return self._trouble is not None

    @property
    def trouble(self) -> StoreUnavailable | None:
        return self._trouble

    @property
    def full(self) -> bool:
        return len(self._waiting) >= self._most_waiting

    def __len__(self) -> int:
        return len(self._waiting)

    async def hear_of(self, trouble: StoreUnavailable, within_s: float | None = None) -> None:
        """Find out whether the store is away, from an error that it raised; within that time, or not at all.

        It may also be that it cannot write this one thing: then it still writes others, or nothing at all if asked to.
        """
        match trouble:
            case NotWritten():
                return
            case StoreSilent(patience_over=patience_over):
                if patience_over and self._trouble is None:
                    self._is_away(trouble)
                return
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s), self._asking:
                if self._trouble is None and await self._silence() is not None:
                    self._is_away(trouble)

    def check(self, spooled: Spooled) -> bytes:
        """The line that the spool would write. Raises `NotWritten` for what no store and no disk can take."""
        try:
            return line_of(spooled)
        except CANNOT_BE_WRITTEN as error:
            url = "" if self._trouble is None else self._trouble.url
            raise NotWritten(url=url, problem=not_plain_json(error)) from error

    async def keep(self, spooled: Spooled, line: bytes) -> bool:
        """Have it written. True when it is durable on the local disk, False while it stands in memory alone."""
        self._waiting[spooled] = None
        if self.spool is None:
            return False
        self.spool.add(spooled, line)
        return await self._flush()

    def remember(self, spooled: Spooled) -> None:
        """Have it written, once more perhaps; no caller was answered for it, so that memory will do."""
        self._waiting[spooled] = None

    def withdraw(self, *begun: Execution, settle: Settlement | None = None) -> None:
        """Undo what was asked for and answered with an error, if it was done after all: at once where that is possible,
        and else with what waits."""
        spooled = Spooled(withdrawn=begun, settle=settle)
        self.remember(spooled)
        if not self.down:
            withdrawing = asyncio.create_task(self._withdraw_now(spooled))
            self._withdrawing.add(withdrawing)
            withdrawing.add_done_callback(self._withdrawing.discard)

    async def _withdraw_now(self, spooled: Spooled) -> None:
        with suppress(StoreUnavailable):
            await self.written(spooled)
            await self._forget([spooled])

    async def drop(self, spooled: Spooled) -> None:
        """It is not wanted any more: its caller was refused."""
        await self._forget([spooled])

    def why_not_kept(self) -> str:
        """Why the local disk does not take what waits."""
        if self.spool is None:
            return "there is no spool to keep it in"
        return f"nothing can be kept in {self.spool.path} meanwhile ({self._disk_trouble})"

    async def write_back(self) -> Sequence[Written]:
        """What waited and is in the store now, in its order; nothing while the store is away.

        From the moment that it answers every caller goes to the store again, behind what is handed over here.
        """
        if not self._waiting and not self.down:
            return []
        async with self._writing:
            was_down, written = self.down, list[Written]()
            while (silence := await self._silence()) is None:
                self._trouble = None
                some = list(islice(self._waiting, AT_ONCE))
                if not some:
                    break
                done, refused = await self._write(some)
                written += done
                if not (done or refused):
                    # It answers, and takes none of these: a disk may have room for a question and for no row.
                    break
                for spooled in refused:
                    # The line of what was refused stays in the file, for people to look at.
                    self._waiting.pop(spooled, None)
                await self._forget([each.spooled for each in done])
            if silence is not None:
                self._is_away(silence)
                await self._flush()
            elif was_down:
                log.warning("The store is back; %s things that were kept meanwhile are in it.", len(written))
            return written

    async def abandoned(self) -> Abandoned | None:
        """What a dead process left, if any did, and if there is a store to write it to."""
        if self.spool is None or self.down:
            return None
        return await asyncio.to_thread(self.spool.abandoned)

    async def is_being_adopted(self, process_ids: Sequence[str]) -> bool:
        """Whether another process is writing what one of these left."""
        if self.spool is None:
            return False
        return await asyncio.to_thread(lambda spool: any(map(spool.is_being_written, process_ids)), self.spool)

    async def adopt(self, abandoned: Abandoned, ends: Sequence[Execution]) -> Sequence[Written] | None:
        """Write what a dead process left, and the ends of what it left running; None where the store is away."""
        written: list[Written] = []
        waiting = iter([*abandoned.spooled, *(Spooled((end,)) for end in ends)])
        while some := list(islice(waiting, AT_ONCE)):
            done, refused = await self._write(some)
            if len(done) + len(refused) < len(some):
                return None
            written += done
        return written

    async def close(self) -> None:
        """What still waits is left on the disk, for the process that opens the same store next."""
        await asyncio.gather(*self._withdrawing, return_exceptions=True)
        if self._waiting and not await self._flush():
            log.error("%s things are lost with this process: %s", len(self._waiting), self.why_not_kept())
        if self.spool is not None:
            await asyncio.to_thread(self.spool.close)

    def _is_away(self, trouble: StoreUnavailable) -> None:
        if self._trouble is None:
            where = f"in {self.spool.path}" if self.spool is not None else "in memory"
            log.warning("%s Routing goes on; what happens is kept %s meanwhile.", trouble, where)
        self._trouble = trouble

    async def _flush(self) -> bool:
        """Whether everything that the spool was given is on the disk."""
        if self.spool is None:
            return False
        try:
            await asyncio.to_thread(self.spool.flush)
        except OSError as trouble:
            self._disk_trouble = trouble
            return False
        return True

    async def _write(self, some: Sequence[Spooled]) -> tuple[list[Written], list[Spooled]]:
        """Hand these over all at once: what was written, and what the store will never take, though it answers.

        In neither is what it could not take for another reason; that waits on.
        """
        done, failed = await self._hand_over(some)
        refused: list[Spooled] = []
        for spooled, why in failed.items():
            if isinstance(why, NotWritten):
                log.error("What was kept cannot be written and is left out: %s", why)
                refused.append(spooled)
                await self._end_plainly(spooled, why)
        return done, refused

    async def _end_plainly(self, spooled: Spooled, why: MahavishnuError) -> None:
        """An end that cannot be written as it was must still end its execution, and give back what was set aside."""
        plain = plain_end(spooled, why)
        if plain is not None and (await self._hand_over([plain]))[1]:
            log.error("Nor can it be written that it has ended.")

    async def _hand_over(self, some: Sequence[Spooled]) -> tuple[list[Written], dict[Spooled, MahavishnuError]]:
        answers = await asyncio.gather(*(self.written(spooled) for spooled in some), return_exceptions=True)
        done: list[Written] = []
        failed: dict[Spooled, MahavishnuError] = {}
        for spooled, answer in zip(some, answers, strict=True):
            match answer:
                case int():
                    done.append(Written(spooled, answer))
                case MahavishnuError():
                    failed[spooled] = answer
                case _:
                    raise answer
        return done, failed

    def written(self, spooled: Spooled, within_s: float | None = None) -> Awaitable[int]:
        """Hand it to the store; its position once it is durable."""
        if spooled.withdrawn:
            return self._store.withdraw(spooled.withdrawn, self._clock.now_us(), settle=spooled.settle)
        if spooled.charge is None:
            return self._store.record(spooled.facts, settle=spooled.settle, within_s=within_s)
        return self._store.charge(spooled.charge, spooled.facts, settle=spooled.settle, within_s=within_s)

    async def _forget(self, done: Sequence[Spooled]) -> None:
        for spooled in done:
            self._waiting.pop(spooled, None)
        if self.spool is not None:
            await asyncio.to_thread(self.spool.forget, done)

    async def _silence(self) -> StoreUnavailable | None:
        """None where the store can be read and written; else what it said, or that it said nothing."""
        try:
            # Asked first because it fails at once, where the writer is patient.
            await self._store.newest()
            await self._store.record([])
        except StoreUnavailable as trouble:
            return trouble
        return None


def plain_end(spooled: Spooled, why: MahavishnuError) -> Spooled | None:
    """In place of an end that cannot be written: that the execution has failed, at its price; None for no end."""
    ends = [
        replace(
            execution,
            status=Status.FAILED,
            latency_us=None,
            usage=Usage(),
            quality=None,
            value=None,
            run_id=None,
            error_code=why.code,
            error=f"how it ended could not be written: {why}",
        )
        for execution in spooled.executions
        if execution.status.ended
    ]
    if not ends:
        return None
    settle = None if spooled.settle is None else replace(spooled.settle, succeeded=False)
    return Spooled(tuple(ends), spooled.charge, settle)
