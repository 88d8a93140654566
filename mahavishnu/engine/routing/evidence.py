"""What this process knows: the newest snapshot, with everything since folded on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from mahavishnu.errors import RecordUnreadable, RepositoryError
from mahavishnu.model import NO_EVIDENCE, Estimate, Execution, Scorecard, Snapshot
from mahavishnu.model.snapshot import Key
from mahavishnu.ports import Evidence, Store
from mahavishnu.stats.evidence import Tally, estimate
from mahavishnu.stats.scoring import Scoring

LOOK_BACK = 100
"""Snapshots that are looked through for one that can be read, where the newest cannot."""


@dataclass(frozen=True, slots=True)
class Stat:
    """One line of `routing stats`."""

    target: str
    task_type: str
    estimate: Estimate
    scorecard: Scorecard
    speed: float
    score: float | None
    trusted: bool


def stat_of(card: Scorecard, scoring: Scoring) -> Stat:
    seen = estimate(card)
    return Stat(
        target=card.target,
        task_type=card.task_type,
        estimate=seen,
        scorecard=card,
        speed=scoring.speed(seen),
        score=scoring.score(seen),
        trusted=scoring.trusts(seen),
    )


class EvidenceBook:
    """Scorecards in memory, kept true.

    This process's own executions are folded by `fold` the moment they are durable, or by `presume` while the store is
    down. Everything else comes from the store's stream of facts, which leaves our own out: each is counted once,
    whichever comes first. When somebody has published a newer snapshot, all is begun anew from that one; what was known
    goes on being used until then.
    """

    def __init__(self, store: Store, scoring: Scoring) -> None:
        self._store = store
        self._scoring = scoring
        self._published = Snapshot()
        self._tallies: dict[Key, Tally] = {}
        self._estimates: dict[Key, Estimate] = {}
        self._news: dict[str, set[str]] = {}
        self._cursor = 0
        self._own_upto = 0
        """Our own executions up to here were read from the store, when the newest snapshot was taken up."""
        self._meanwhile: list[tuple[int, Execution]] | None = None
        """Our own executions since reading began for a newer snapshot; None while none is being taken up."""
        self._presumed: dict[str, Execution] = {}
        """Our own executions that are counted, though nobody knows yet where they stand in the store."""
        self._doubled = False
        self._unreadable: RecordUnreadable | None = None
        self._reading = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        """The loop that it is used in. A store may publish in others, which must not wait for a lock of this one."""

    async def load(self) -> int:
        """Start from the newest snapshot; returns how many facts had to be folded on top of it."""
        self._loop = asyncio.get_running_loop()
        async with self._reading:
            return await self._take_up(await self._newest_readable())

    @property
    def unreadable(self) -> RecordUnreadable | None:
        """Why the newest snapshot is not gone by; None where it is, as far as is known here."""
        return self._unreadable

    async def refresh(self) -> int:
        """Take up what others have published and written since; returns how many facts had to be folded.

        Where the newest snapshot cannot be read, what is known here goes on being used, and facts are folded onto it.
        """
        async with self._reading:
            version = await self._store.newest_version()
            if self._doubled:
                return await self._take_up(await self._newest_readable())
            if version != self._published.version and (published := await self._newest()) is not None:
                return await self._take_up(published)
            if version == self._published.version:
                self._unreadable = None
            newest = await self._store.newest()
            folded = 0
            async for position, fact in self._store.facts(self._cursor, newest, besides=self._store.process_id):
                self._add(fact)
                self._cursor = position
                folded += 1
            self._cursor = newest
            return folded

    async def take_up_own(self) -> None:
        """This process has published: what comes next here goes by that. What cannot be read now is read later."""
        if asyncio.get_running_loop() is self._loop:
            with suppress(RepositoryError):
                await self.refresh()

    def fold(self, execution: Execution, position: int) -> None:
        """Count one of our own executions, once it is durable, by its position."""
        if position <= self._own_upto:
            return
        if self._meanwhile is not None:
            self._meanwhile.append((position, execution))
        self._add(execution)

    def presume(self, execution: Execution) -> None:
        """Count one of our own executions that the store does not have yet; `confirm` follows once it does."""
        self._presumed[execution.id] = execution
        self._add(execution)

    def confirm(self, execution: Execution, position: int) -> None:
        """One that was presumed is durable. Where nothing is presumed of it any more, it was read when all was begun
        anew, or has been confirmed before."""
        if self._presumed.pop(execution.id, None) is None:
            return
        if self._meanwhile is not None:
            self._meanwhile.append((position, execution))
        elif position <= self._own_upto:
            # It came with a snapshot that was published before we had heard where it stands.
            self._doubled = True

    async def _newest(self) -> Snapshot | None:
        """None where it cannot be read."""
        try:
            newest = await self._store.latest()
        except RecordUnreadable as why:
            self._unreadable = why
            return None
        self._unreadable = None
        return newest

    async def _newest_readable(self) -> Snapshot:
        """The newest one that can be read, else the empty one: what came since is folded onto it."""
        newest = await self._newest()
        if newest is None:
            newest = next(iter(await self._store.snapshots(LOOK_BACK)), Snapshot())
        return newest

    async def _take_up(self, published: Snapshot) -> int:
        """Begin anew from a snapshot: every fact since is read, our own among them, up to one position for all."""
        self._meanwhile = []
        try:
            newest = await self._store.newest()
            tallies = {key: Tally(card) for key, card in published.scorecards.items()}
            read: set[str] = set()
            folded = 0
            async for _, fact in self._store.facts(published.cursor, newest):
                tallies.setdefault((fact.target, fact.task_type), Tally()).add(fact)
                folded += 1
                if isinstance(fact, Execution) and fact.id in self._presumed:
                    read.add(fact.id)
        finally:
            meanwhile, self._meanwhile = self._meanwhile, None
        self._published, self._tallies, self._estimates, self._news = published, tallies, {}, {}
        self._cursor = self._own_upto = newest
        self._doubled = False
        for position, execution in meanwhile:
            self.fold(execution, position)
        for id_ in read:
            self._presumed.pop(id_, None)
        for execution in self._presumed.values():
            self._add(execution)
        return folded

    def estimate(self, target: str, task_type: str) -> Estimate:
        key = (target, task_type)
        found = self._estimates.get(key)
        if found is None:
            tally = self._tallies.get(key)
            found = self._estimates[key] = NO_EVIDENCE if tally is None else estimate(tally.card(target, task_type))
        return found

    def news(self, task_type: str) -> set[str] | None:
        """The targets whose evidence has changed since this was last asked; None where that of all of them may have."""
        found = self._news.get(task_type)
        if found is None or found:
            self._news[task_type] = set()
        return found

    def snapshot(self) -> Snapshot:
        """What was published, with `cursor` as far as the evidence reaches by now."""
        if self._published.cursor != self._cursor:
            self._published = replace(self._published, cursor=self._cursor)
        return self._published

    def stats(self, task_type: str | None = None, target: str | None = None) -> Sequence[Stat]:
        """What is known of every target for every task type, by task type and then by name."""
        wanted = sorted(
            (kind, name)
            for name, kind in self._tallies
            if (task_type is None or kind == task_type) and (target is None or name == target)
        )
        return [self._stat(name, kind) for kind, name in wanted]

    def _stat(self, target: str, task_type: str) -> Stat:
        return stat_of(self._tallies[target, task_type].card(target, task_type), self._scoring)

    def _add(self, fact: Evidence) -> None:
        key = (fact.target, fact.task_type)
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = Tally()
        tally.add(fact)
        self._estimates.pop(key, None)
        news = self._news.get(fact.task_type)
        if news is not None:
            news.add(fact.target)
