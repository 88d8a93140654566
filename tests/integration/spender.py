"""A process of its own that spends: sixteen callers at once reserve the worst case and charge what it came to.

    python spender.py URL RUNS SEED

Every line that it says is one answer. It is killed by some tests in the middle of it.
"""

import asyncio
import sys
from random import Random

from mahavishnu.engine.clock import SystemClock
from mahavishnu.model import Account, Execution, Micros, Reservation, Spender, Status
from mahavishnu.ports import Charge, Store
from mahavishnu.storage import SqlStore
from mahavishnu.testing.samples import Samples

CALLERS = 16
MOST = 1000
"""No run costs more micro-dollars than this; most are sure to cost less."""


def say(word: str, *about: object) -> None:
    """One line, at once: the parent may kill us before the next."""
    sys.stdout.write(" ".join((word, *map(str, about))) + "\n")
    sys.stdout.flush()


def reservation_of(start: Execution, micros: int, spender: Spender) -> Reservation:
    return Reservation(
        execution_id=start.id,
        process_id=start.process_id,
        at_us=start.started_at_us,
        micros=Micros(micros),
        spender=spender,
        accounts=(Account(budget="hard", label="total"),),
    )


async def spend(store: Store, make: Samples, draw: Random) -> None:
    """One run: it succeeds, fails, or is cancelled, and is charged in any case."""
    decision = make.decision()
    start = make.start(decision, store.process_id)
    spender = Spender(adapter="local", target="a", task_type="etl", tags={"team": draw.choice("xy")})
    worst = draw.randint(1, MOST)
    shortfall = await store.reserve(reservation_of(start, worst, spender), [decision, start])
    if shortfall is not None:
        balance = shortfall.balance
        say("refused", balance.budget.name, balance.spent_micros, balance.reserved_micros, worst)
        return
    say("reserved", start.id, worst)
    await asyncio.sleep(draw.random() * 0.01)
    fate = draw.choice((Status.SUCCEEDED, Status.SUCCEEDED, Status.FAILED, Status.TIMED_OUT, Status.CANCELLED))
    cost = 0 if fate is Status.CANCELLED else draw.randint(0, worst)
    charge = Charge(execution_id=start.id, at_us=start.started_at_us, micros=Micros(cost), spender=spender)
    charging = asyncio.ensure_future(store.charge(charge, [make.end(start, fate)]))
    if fate is Status.CANCELLED:
        # Whoever waits for the answer goes away; what was handed over is written all the same.
        await asyncio.sleep(0)
        charging.cancel()
        await asyncio.wait([charging])
    else:
        await charging
    say("charged", start.id, cost)


async def main(url: str, runs: int, seed: int) -> None:
    clock = SystemClock()
    store = SqlStore(url, clock)
    await store.open()
    try:
        draws = [Random(f"{seed} {caller}") for caller in range(CALLERS)]

        async def caller(draw: Random) -> None:
            for _ in range(runs // CALLERS):
                await spend(store, Samples(clock), draw)

        async with asyncio.TaskGroup() as group:
            for draw in draws:
                group.create_task(caller(draw))
    finally:
        await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
