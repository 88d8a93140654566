"""The backlog: what the store could not take when it happened, in its order, until it takes it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from mahavishnu.errors import MahavishnuError, StoreUnavailable
from mahavishnu.model import Decision, Execution
from mahavishnu.ports import Charge, Store
from mahavishnu.storage.rows import CANNOT_BE_WRITTEN, not_plain_json
from mahavishnu.storage.spool import Abandoned, Spool, Spooled

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
        return (each for each in self.spooled.executions if not each.status.ended)

    @property
    def ended(self) -> Iterable[Execution]:
        return (each for each in self.spooled.executions if each.status.ended)


class Backlog:
    """Keeps routing going while the store is down. Without a spool nothing is taken over, and the store has the word.

    Facts are idempotent by their ids, and charges by their execution: what was written, and is written once more
    because nobody heard of it, does no harm.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.spool: Spool | None = None
        # In the order in which they came: a dict, because any of them may leave first.
        self._waiting: dict[Spooled, None] = {}
        self._trouble: StoreUnavailable | None = None
        self._asking = asyncio.Lock()
        self._writing = asyncio.Lock()

    @property
    def down(self) -> bool:
        """Whether the store is known to be down: nobody waits for the end of its patience again."""
        return self._trouble is not None

    def __len__(self) -> int:
        return len(self._waiting)

    async def takes_over(self, trouble: StoreUnavailable) -> bool:
        """Whether the store is down, so that what it refused is to be kept here.

        It may also be that it cannot write this one thing: then it still writes others, or nothing at all if asked to.
        """
        if self.spool is None:
            return False
        async with self._asking:
            if self._trouble is None and not await self._answers():
                self._trouble = trouble
                log.warning("%s Routing goes on; what happens is kept in %s meanwhile.", trouble, self.spool.path)
        return self.down

    async def keep(self, facts: Sequence[Decision | Execution], charge: Charge | None = None) -> None:
        """Durable on the local disk when this returns; for a store that is down."""
        spool, trouble = self.spool, self._trouble
        if spool is None or trouble is None:
            raise ValueError("the store is not known to be down")
        spooled = Spooled(tuple(facts), charge)
        try:
            await asyncio.to_thread(spool.keep, spooled)
        except asyncio.CancelledError:
            self._waiting[spooled] = None
            raise
        except CANNOT_BE_WRITTEN as error:
            raise StoreUnavailable(url=trouble.url, problem=not_plain_json(error)) from error
        except OSError as error:
            why = f"{trouble.problem}; and nothing can be kept in {spool.path} meanwhile ({error})"
            raise StoreUnavailable(url=trouble.url, problem=why) from error
        # Not before: what is written back is heard of by whoever counts it, who has to have counted it by then.
        self._waiting[spooled] = None

    def remember(self, facts: Sequence[Decision | Execution], charge: Charge | None = None) -> None:
        """Have this written, once more perhaps; nobody is answered for it, so that memory will do."""
        self._waiting[Spooled(tuple(facts), charge)] = None

    async def write_back(self) -> Sequence[Written]:
        """What waited and is in the store now, in its order; nothing while the store is down.

        From the moment that it answers everybody goes to the store again, behind what is handed over here.
        """
        if not self._waiting and not self.down:
            return []
        async with self._writing:
            was_down, written = self.down, list[Written]()
            while await self._answers():
                self._trouble = None
                some = list(islice(self._waiting, AT_ONCE))
                if not some:
                    break
                done, refused = await self._write(some)
                written += done
                for each in refused:
                    # The line of what was refused stays in the file, for people to look at.
                    self._waiting.pop(each, None)
                await self._forget([each.spooled for each in done])
            if was_down and not self.down:
                log.warning("The store is back; %s things that were kept meanwhile are in it.", len(written))
            return written

    async def abandoned(self) -> Abandoned | None:
        """What a dead process left, if any did, and if there is a store to write it to."""
        if self.spool is None or self.down:
            return None
        return await asyncio.to_thread(self.spool.abandoned)

    async def adopt(self, abandoned: Abandoned, ends: Sequence[Execution]) -> Sequence[Written] | None:
        """Write what a dead process left, and the ends of what it left running; None where the store is down."""
        written: list[Written] = []
        waiting = iter([*abandoned.spooled, *(Spooled((each,)) for each in ends)])
        while some := list(islice(waiting, AT_ONCE)):
            done, refused = await self._write(some)
            if len(done) + len(refused) < len(some):
                return None
            written += done
        return written

    async def close(self) -> None:
        """What still waits is left on the disk, for whoever opens the same store next."""
        if self.spool is not None:
            await asyncio.to_thread(self.spool.close)

    async def _write(self, some: Sequence[Spooled]) -> tuple[list[Written], list[Spooled]]:
        """Hand these over all at once: what was written, and what the store will never take, though it answers.

        In neither is what it could not take because it has gone down again.
        """
        done, failed = await self._hand_over(some)
        refused: list[Spooled] = []
        for each in failed:
            if await self._answers():
                again, failed_again = await self._hand_over([each])
                done += again
                if failed_again and await self._answers():
                    log.error("What was kept of %s is left out: %s", each.facts[-1].id, failed_again[each])
                    refused.append(each)
        return done, refused

    async def _hand_over(self, some: Sequence[Spooled]) -> tuple[list[Written], dict[Spooled, MahavishnuError]]:
        answers = await asyncio.gather(*(self._record(each) for each in some), return_exceptions=True)
        done: list[Written] = []
        failed: dict[Spooled, MahavishnuError] = {}
        for each, answer in zip(some, answers, strict=True):
            match answer:
                case int():
                    done.append(Written(each, answer))
                case MahavishnuError():
                    failed[each] = answer
                case _:
                    raise answer
        return done, failed

    def _record(self, spooled: Spooled) -> Awaitable[int]:
        if spooled.charge is None:
            return self._store.record(spooled.facts)
        return self._store.charge(spooled.charge, spooled.facts)

    async def _forget(self, written: Sequence[Spooled]) -> None:
        for each in written:
            self._waiting.pop(each, None)
        if self.spool is not None:
            await asyncio.to_thread(self.spool.forget, written)

    async def _answers(self) -> bool:
        """Whether the store can be read and written."""
        try:
            # Asked first because it fails at once, where the writer is patient.
            await self._store.newest()
            await self._store.record([])
        except StoreUnavailable:
            return False
        return True
