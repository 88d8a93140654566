"""A process of its own that tidies a store up, and kills itself in the middle: run by the tests."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from mahavishnu.engine.clock import SystemClock
from mahavishnu.ports import Keeping
from mahavishnu.storage import SqlStore
from mahavishnu.storage.lake import lake
from mahavishnu.storage.lake.folder import Folder
from mahavishnu.storage.sql.connection.transaction import Transaction
from mahavishnu.storage.sql.facts import aggregates

FOLDING = {"before days are added to": (aggregates, "add"), "while days are added to": (Transaction, "change_many")}
PLACES = {
    "while files are being written": (Path, "rename"),
    "before the files are named": (lake, "swap"),
    "before anything is deleted": (lake, "empty_page"),
    "before all is said to be deleted": (lake, "mark_emptied"),
    "while parts are made one": (lake, "rewrite"),
    "before old parts are removed": (Folder, "remove"),
    "while something is dropped": (lake, "drop_dailies"),
    "while something is pruned": (lake, "prune"),
}


def die_at(place: str, call: int) -> None:
    """Kill this process when that place is come to for the `call`th time."""
    where, name = {**PLACES, **FOLDING}[place]
    real = getattr(where, name)
    calls = 0

    def deadly(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)

    setattr(where, name, deadly)


async def tidy(url: str, lake_folder: str, today: int, keeping: Keeping, place: str) -> None:
    store = SqlStore(url, SystemClock(), lake=lake_folder)
    await store.open()
    try:
        while place in FOLDING and await store.fold(100):
            continue
        while await store.retain(keeping, today) is not None:
            continue
    finally:
        await store.close()


if __name__ == "__main__":
    url, folder, today, raw_days, place, call = sys.argv[1:]
    die_at(place, int(call))
    keeping = Keeping(hot_days=2, raw_days=int(raw_days), aggregate_days=30, frequent=50, frequent_rate=0.3)
    asyncio.run(tidy(url, folder, int(today), keeping, place))
