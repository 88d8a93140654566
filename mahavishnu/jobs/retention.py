"""Retention: old days move into the lake, are thinned, and go when their time has come."""

from __future__ import annotations

from collections.abc import Sequence

from mahavishnu.jobs.scores import fold
from mahavishnu.model import day_of
from mahavishnu.ports import Clock, Kept, Store
from mahavishnu.settings import Settings


async def retain(store: Store, clock: Clock, settings: Settings) -> Sequence[Kept]:
    """Take every step that is due; returns what was done.

    What moves has been folded and published before. Killed anywhere, the next run goes on from there; two at once
    waste some work, and nothing else.
    """
    await fold(store, clock, settings.evidence)
    done: list[Kept] = []
    while (kept := await store.retain(settings.lake.keeping, day_of(clock.now_us()))) is not None:
        done.append(kept)
    return done
