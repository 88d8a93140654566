"""What experiments add to a decision: the assignment by itself, and the choice with and without it.

The share of each experiment is 30 %, so that most combinations of ten arms come up. The floor is the digest of the unit
alone. CPU time of the thread, the lowest of several rounds.
"""

import asyncio
import itertools
import json
from functools import partial

from mahavishnu.engine.routing.assignment import Assigner
from mahavishnu.model import Snapshot, Task
from mahavishnu.model.experiment import Change, Experiment, Underway
from mahavishnu.stats.assignment import digest
from tests.bench.decide import chooser, us

COUNTS = (0, 1, 10)
TURNS = 5
TAGS = {"user": "user-17"}
IDS = [f"01ARYZ6S41{number:016d}" for number in range(4_000)]


def snapshot(count, **fields):
    return Snapshot(
        version=1,
        experiments=tuple(
            Underway(
                experiment=Experiment(
                    name=f"e{number}",
                    layer=f"layer {number}",
                    salt=f"salt {number}",
                    share=0.3,
                    treatment=Change(policy="adaptive"),
                    **fields,
                ),
                started_at_us=0,
            )
            for number in range(count)
        ),
    )


def assigning(published):
    assigner, ids = Assigner(), itertools.cycle(IDS)
    task = Task(type="bench", text="x", tags=TAGS)
    for each in IDS:
        assigner.assign(task, each, published, 0)
    return us(lambda: assigner.assign(task, next(ids), published, 0))


async def choosing():
    """Microseconds of a choice for every number of experiments; taken in turns, because the machine's speed changes."""
    calls = {}
    for count in COUNTS:
        chooses, book = await chooser(10, "adaptive")
        book.snapshot = partial(snapshot_of, snapshot(count))
        calls[count] = partial(choose, chooses, itertools.cycle(IDS), Task(type="bench", text="x", tags=TAGS))
        for _ in IDS:
            calls[count]()
    best = dict.fromkeys(COUNTS, float("inf"))
    for _ in range(TURNS):
        for count, call in calls.items():
            best[count] = min(best[count], us(call))
    return best


def snapshot_of(published):
    return published


def choose(chooses, ids, task):
    chooses.choose(task, next(ids))


def line(subject, **figures):
    print(json.dumps({"bar": "assignment", "subject": subject} | figures), flush=True)


async def measure():
    floor, ids = itertools.cycle(IDS), itertools.cycle(IDS)
    line("the floor: a digest of the unit", us=round(us(lambda: digest(next(floor))), 2))
    line("nothing but asking for the next id", us=round(us(lambda: next(ids)), 2))
    for count in COUNTS:
        line("Assigner.assign, by task", experiments=count, us=round(assigning(snapshot(count)), 2), must=5)
        by_user = assigning(snapshot(count, unit="user"))
        line("Assigner.assign, by user", experiments=count, us=round(by_user, 2), must=5)
    taken = await choosing()
    for count in COUNTS[1:]:
        added = {"us": round(taken[count] - taken[0], 2), "of_us": round(taken[count], 2), "must": 5}
        line("what experiments add to Chooser.choose", experiments=count, **added)


def main():
    asyncio.run(measure())


if __name__ == "__main__":
    main()
