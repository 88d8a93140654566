"""Incremental equals full: a million executions, late, twice and out of order, in three orders of arrival.

For each order: the days folded as the facts came, the days worked out again while everything is in SQLite, and again by
DuckDB when most of it has moved into the lake and been thinned there. All of them, of all orders, must be the same to
the last bucket and the last micro-dollar.

    python -m tests.bench.equality [EXECUTIONS]
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from mahavishnu.engine.clock import SystemClock
from mahavishnu.model import DAY_US, Daily, Snapshot, day_of
from mahavishnu.ports import Keeping
from mahavishnu.storage import SqlStore
from tests.history import arrivals, executions

ORDERS = ("forwards", "backwards", "shuffled")
DAYS = 12
KEEPING = Keeping(hot_days=3, frequent=200, frequent_rate=0.1)
WHOLE = Keeping(hot_days=3, frequent_rate=1.0)


async def days_of(count: int, order: str, folder: Path) -> Sequence[Daily]:
    """The days of a history that came in that order; raises AssertionError where two ways of counting differ."""
    today = day_of(time.time_ns() // 1000)
    runs = list(executions(count, today - DAYS + 1, DAYS, seed=42))
    store = SqlStore(f"sqlite:///{folder}/{order}.db", SystemClock(), lake=str(folder / "lake"))
    await store.open()
    try:
        for number, batch in enumerate(arrivals(runs, order)):
            await store.record(batch)
            if number % 7 == 0:
                await store.fold(4321)
            if number == count // 2000:
                # Half way through, so that much of what comes later is about days that have moved.
                await _move(store, today, WHOLE)
        while await store.fold(50_000):
            continue
        _, folded = await store.dailies()
        assert list((await store.recomputed())[1]) == list(folded), f"{order}: full differs from incremental"
        await _move(store, today, KEEPING)
        assert list((await store.recomputed())[1]) == list(folded), f"{order}: the lake differs from incremental"
        assert sum(each.card.spent_micros for each in folded) == sum(run.cost_micros for run in runs)
        return folded
    finally:
        await store.close()


async def _move(store: SqlStore, today: int, keeping: Keeping) -> None:
    while await store.fold(50_000):
        continue
    cursor, _ = await store.dailies()
    version = (await store.latest()).version + 1
    await store.publish(Snapshot(version=version, cursor=cursor, published_at_us=today * DAY_US))
    while await store.retain(keeping, today) is not None:
        continue


async def check(count: int) -> None:
    first: Sequence[Daily] | None = None
    for order in ORDERS:
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            found = await days_of(count, order, Path(folder))
        if first is None:
            first = found
        assert list(found) == list(first), f"{order} differs from {ORDERS[0]}"
        wall_s = round(time.perf_counter() - began, 1)
        line = {"bar": "equality", "subject": order, "executions": count, "scorecards": len(found), "wall_s": wall_s}
        print(json.dumps({**line, "same": True}), flush=True)


def main(count: int = 1_000_000) -> None:
    asyncio.run(check(count))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
