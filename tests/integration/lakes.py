"""What the tests of the lake have in common."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mahavishnu.engine.clock import SystemClock
from mahavishnu.model import DAY_US, Daily, Snapshot, day_of
from mahavishnu.ports import Keeping
from mahavishnu.storage import SqlStore
from mahavishnu.testing.clock import ManualClock
from tests.history import decision_of

TODAY = day_of(time.time_ns() // 1000)
KEEPING = Keeping(hot_days=2, raw_days=20, aggregate_days=30, frequent=50, frequent_rate=0.3)
WHOLE = replace(KEEPING, frequent_rate=1.0)


async def opened(tmp_path: Path, url: str | None = None) -> SqlStore:
    store = SqlStore(url or f"sqlite:///{tmp_path}/store.db", SystemClock(), lake=str(tmp_path / "lake"))
    await store.open()
    return store


def clock_of(day: int) -> ManualClock:
    clock = ManualClock()
    clock.advance((day * DAY_US - clock.now_us()) / 1e6)
    return clock


async def publish(store: SqlStore) -> Sequence[Daily]:
    """Fold everything, and publish that it was."""
    while await store.fold():
        continue
    cursor, dailies = await store.dailies()
    version = (await store.latest()).version + 1
    await store.publish(Snapshot(version=version, cursor=cursor, published_at_us=TODAY * DAY_US))
    return dailies


async def tidy(store: SqlStore, keeping: Keeping = KEEPING, today: int = TODAY) -> list[str]:
    done = []
    while (kept := await store.retain(keeping, today)) is not None:
        done.append(kept.what)
    return done


async def record(store: SqlStore, runs, *, every: int = 1) -> None:
    facts = [fact for number, run in enumerate(runs) for fact in ([decision_of(run)] * (number % every == 0) + [run])]
    await store.record(facts)


async def check_days(store: SqlStore, expected: Sequence[Daily]) -> None:
    assert list((await store.dailies())[1]) == list(expected)
    assert list((await store.recomputed())[1]) == list(expected)
