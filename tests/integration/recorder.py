"""A process of its own that records: run by the tests with a URL, and killed by some of them."""

import asyncio
import sys

from mahavishnu.engine.clock import SystemClock
from mahavishnu.ports import Store
from mahavishnu.storage import SqlStore
from mahavishnu.testing.samples import Samples


def say(word: str, *ids: str) -> None:
    """One line, at once: the parent may kill us before the next."""
    sys.stdout.write(" ".join((word, *ids)) + "\n")
    sys.stdout.flush()


async def record_for_ever(store: Store, make: Samples) -> None:
    """Several runs at a time; what was said to have ended has been answered for by record()."""

    async def one_after_the_other() -> None:
        while True:
            decision = make.decision()
            start = make.start(decision, store.process_id)
            await store.record([decision, start])
            say("started", start.id)
            await store.record([make.end(start)])
            say("ended", start.id)

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(one_after_the_other())


async def record_many(store: Store, make: Samples, runs: int) -> None:
    """Runs and outcomes at once, and claims of keys that other processes claim as well."""

    async def run(number: int) -> None:
        decision = make.decision(task_type=f"type-{number % 3}")
        start = make.start(decision, store.process_id, target=f"target-{number % 2}")
        claim = await store.claim(f"key-{number % 50}", "print", decision.id)
        await store.record([decision, start])
        await store.record([make.end(start)])
        say("ended", start.id, decision.id)
        if claim.mine:
            say("won", f"key-{number % 50}")
        if number % 10 == 0:
            outcome = make.outcome(decision, completed=False)
            await store.record([outcome])
            say("learnt", outcome.id)

    await asyncio.gather(*(run(number) for number in range(runs)))


async def main(url: str, runs: int) -> None:
    clock = SystemClock()
    store = SqlStore(url, clock)
    await store.open()
    say("opened", store.process_id)
    try:
        if runs:
            await record_many(store, Samples(clock), runs)
        else:
            await record_for_ever(store, Samples(clock))
    finally:
        await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
