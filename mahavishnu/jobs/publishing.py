"""Publishing: the next snapshot, and what the newest one was before."""

from __future__ import annotations

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
