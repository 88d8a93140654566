"""The collector: everything that happens passes through here on its way into the store and the evidence."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

from mahavishnu.engine.evidence import EvidenceBook
from mahavishnu.model import Decision, Execution, Outcome, Status
from mahavishnu.ports import Clock, Fact, Settlement, Store


class Collector:
    """Records facts, and folds what was recorded."""

    def __init__(self, store: Store, book: EvidenceBook, clock: Clock, lease_s: float) -> None:
        self._store = store
        self._book = book
        self._clock = clock
        self._lease_us = lease_s * 1e6

    async def decided(self, decision: Decision, settle: Settlement | None = None) -> None:
        await self._store.record([decision], settle=settle)

    async def began(self, execution: Execution, decision: Decision | None) -> None:
        """Durable before the adapter is called: what a crash leaves behind can then be found."""
        facts: Sequence[Fact] = [execution] if decision is None else [decision, execution]
        await self._store.record(facts)

    async def announced(self, execution: Execution) -> None:
        """The engine has given the run an id of its own."""
        await self._store.record([execution])

    async def ended(self, execution: Execution, settle: Settlement | None = None) -> None:
        try:
            position = await self._store.record([execution], settle=settle)
        except asyncio.CancelledError:
            # What was handed over is written all the same, so it counts, though nobody heard where it stands.
            self._book.fold(execution, math.inf)
            raise
        if (execution.latency_us or 0) < self._lease_us:
            self._book.fold(execution, position)
        else:
            await self._ended_late(execution, position)

    async def learnt(self, outcome: Outcome) -> None:
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
            await self.learnt(
                Outcome(
                    id=self._clock.new_id(),
                    decision_id=execution.decision_id,
                    at_us=self._clock.now_us(),
                    completed=True,
                    quality=execution.quality,
                    note=f"execution {execution.id} came back after it was given up as lost",
                )
            )

    async def settled(self, settle: Settlement) -> None:
        """The end of a claimed run that made no last attempt."""
        await self._store.record([], settle=settle)
