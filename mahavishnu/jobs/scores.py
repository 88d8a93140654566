"""Publishing what is known: the next snapshot from the newest one and every fact since."""

from __future__ import annotations

from mahavishnu.errors import SnapshotConflict
from mahavishnu.model import Snapshot
from mahavishnu.ports import Clock, Store
from mahavishnu.stats.evidence import fold


async def recalculate(store: Store, clock: Clock) -> Snapshot:
    """Fold what came since the newest snapshot onto it and publish the result; returns the newest snapshot.

    Two at once are harmless: one of them publishes, the other finds that and is content with it.
    """
    before = await store.latest()
    cards = dict(before.scorecards)
    cursor = before.cursor
    async for position, fact in store.facts(before.cursor):
        key = (fact.target, fact.task_type)
        cards[key] = fold(cards.get(key), fact)
        cursor = position
    if cursor == before.cursor:
        return before
    after = Snapshot(version=before.version + 1, cursor=cursor, published_at_us=clock.now_us(), scorecards=cards)
    try:
        await store.publish(after)
    except SnapshotConflict:
        return await store.latest()
    return after
