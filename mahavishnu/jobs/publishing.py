"""Publishing: the next snapshot, and what the newest one was before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mahavishnu.errors import SnapshotConflict
from mahavishnu.model import Snapshot
from mahavishnu.ports import Store

TRIES = 5
"""Another process may publish between the reading and the writing: so many tries before a job says so."""


@dataclass(frozen=True, slots=True)
class Published:
    """The newest snapshot before, and after. The same one where there was nothing new to say."""

    before: Snapshot
    after: Snapshot

    @property
    def news(self) -> bool:
        return self.after.version != self.before.version or self.after.published_at_us != self.before.published_at_us


async def publish(store: Store, snapshot: Snapshot) -> bool:
    """Whether it is the next one; False, and nothing done, where another process was faster."""
    try:
        await store.publish(snapshot)
    except SnapshotConflict:
        return False
    return True


async def change(store: Store, make: Callable[[Snapshot], Snapshot]) -> Published:
    """Publish what `make` makes of the newest snapshot; nothing where that is the same one."""
    for _ in range(TRIES):
        before = await store.latest()
        after = make(before)
        if after is before or await publish(store, after):
            return Published(before, after)
    raise SnapshotConflict(version=after.version)
