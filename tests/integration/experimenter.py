"""A process of its own that checks the experiments of a store, and kills itself in the middle: run by the tests."""

import asyncio
import os
import signal
import sys

from mahavishnu.engine.clock import SystemClock
from mahavishnu.jobs import experiments
from mahavishnu.settings import load_settings
from mahavishnu.storage import SqlStore

PLACES = {
    "before what was heard is kept": "move_experiment",
    "before the verdict is published": "publish",
    "before anybody is told": "keep_watch",
}


def die_at(place: str) -> None:
    """Kill this process when that place is come to."""

    def deadly(*_args: object, **_named: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(SqlStore, PLACES[place], deadly)


async def check(url: str) -> None:
    clock = SystemClock()
    settings = load_settings(None, {}, {"store": {"url": url}, "experiments": {"reports": ""}})
    store = SqlStore(url, clock)
    await store.open()
    try:
        await experiments.check(store, clock, settings)
    finally:
        await store.close()


if __name__ == "__main__":
    url, place = sys.argv[1:]
    die_at(place)
    asyncio.run(check(url))
