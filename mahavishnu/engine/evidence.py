"""What this process knows: the newest snapshot, with everything since folded on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from mahavishnu.model import NO_EVIDENCE, Estimate, Execution, Scorecard, Snapshot
from mahavishnu.model.snapshot import Key
from mahavishnu.ports import Store
from mahavishnu.stats.evidence import estimate, fold
from mahavishnu.stats.scoring import Scoring


@dataclass(frozen=True, slots=True)
class Stat:
    """One line of `routing stats`."""

    target: str
    task_type: str
    estimate: Estimate
    scorecard: Scorecard
    score: float | None
    trusted: bool


class EvidenceBook:
    """Scorecards in memory, kept true.

    This process's own executions are folded by `fold` the moment they are durable. Everything else comes from the
    store's stream of facts, which leaves our own out: each is counted once, whichever comes first.
    """

    def __init__(self, store: Store, scoring: Scoring) -> None:
        self._store = store
        self._scoring = scoring
        self._published = Snapshot()
        self._cards: dict[Key, Scorecard] = {}
        self._estimates: dict[Key, Estimate] = {}
        self._cursor = 0
        self._reading = asyncio.Lock()

    async def load(self) -> int:
        """Start from the newest snapshot; returns how many facts had to be folded on top of it."""
        self._published = await self._store.latest()
        self._cards = dict(self._published.scorecards)
        self._estimates = {}
        self._cursor = self._published.cursor
        return await self.refresh()

    async def refresh(self) -> int:
        """Fold what others have written since; returns how many facts that were."""
        folded = 0
        async with self._reading:
            newest = await self._store.newest()
            async for position, fact in self._store.facts(self._cursor, newest, besides=self._store.process_id):
                self._fold(fact.target, fact.task_type, fold(self._card(fact.target, fact.task_type), fact))
                self._cursor = position
                folded += 1
            self._cursor = newest
        return folded

    def fold(self, execution: Execution) -> None:
        """Count one of our own executions, once it is durable."""
        self._fold(
            execution.target, execution.task_type, fold(self._card(execution.target, execution.task_type), execution)
        )

    def estimate(self, target: str, task_type: str) -> Estimate:
        key = (target, task_type)
        found = self._estimates.get(key)
        if found is None:
            card = self._cards.get(key)
            found = self._estimates[key] = NO_EVIDENCE if card is None else estimate(card)
        return found

    def snapshot(self) -> Snapshot:
        """The evidence as it is now; `version` is that of the snapshot it was begun from."""
        return Snapshot(
            version=self._published.version,
            cursor=self._cursor,
            published_at_us=self._published.published_at_us,
            scorecards=self._cards,
        )

    def stats(self, task_type: str | None = None, target: str | None = None) -> Sequence[Stat]:
        """What is known of every target for every task type, by task type and then by name."""
        wanted = sorted(
            (kind, name)
            for name, kind in self._cards
            if (task_type is None or kind == task_type) and (target is None or name == target)
        )
        return [self._stat(name, kind) for kind, name in wanted]

    def _stat(self, target: str, task_type: str) -> Stat:
        seen = self.estimate(target, task_type)
        return Stat(
            target=target,
            task_type=task_type,
            estimate=seen,
            scorecard=self._cards[target, task_type],
            score=self._scoring.score(seen),
            trusted=self._scoring.trusts(seen),
        )

    def _card(self, target: str, task_type: str) -> Scorecard | None:
        return self._cards.get((target, task_type))

    def _fold(self, target: str, task_type: str, card: Scorecard) -> None:
        self._cards[target, task_type] = card
        self._estimates.pop((target, task_type), None)
