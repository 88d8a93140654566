"""P8: what recording an execution costs its caller's thread: handing it over, and counting it at once.

Handing over is `store.record` up to where it begins to wait, and from where it is answered: what is in between is the
writer's thread and the disk. Floors: a deque append, a dict update. The thread's own CPU time; the garbage collector
rests, as with timeit, because what it costs depends on what else the process keeps.
"""

import asyncio
import gc
import json
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Generator
from pathlib import Path

from mahavishnu.engine.clock import SystemClock
from mahavishnu.engine.routing.evidence import EvidenceBook
from mahavishnu.model import Execution, Status
from mahavishnu.stats.scoring import Scoring
from mahavishnu.storage import open_store

EXECUTIONS = 20_000
AT_ONCE = 1_000
ROUNDS = 7


def executions(process_id: str, number: int = EXECUTIONS) -> list[Execution]:
    clock = SystemClock()
    now_us = clock.now_us()
    return [
        Execution(
            id=clock.new_id(),
            decision_id=clock.new_id(),
            process_id=process_id,
            target=f"target-{each % 8}",
            adapter="local",
            task_type=f"type-{each % 5}",
            attempt=1,
            fallback=False,
            randomised=True,
            status=Status.FAILED if each % 11 == 0 else Status.SUCCEEDED,
            started_at_us=now_us,
            ended_at_us=now_us + 1000,
            latency_us=1000 + each % 977,
            cost_micros=each % 13,
        )
        for each in range(number)
    ]


def per_call_us(work: Callable[[Execution], object], given: list[Execution]) -> float:
    began = time.thread_time()
    for each in given:
        work(each)
    return (time.thread_time() - began) / len(given) * 1e6


def counting() -> float:
    """The online statistics alone."""
    book = EvidenceBook(open_store("memory:", SystemClock()), Scoring())
    given = executions("p")
    return per_call_us(lambda each: book.fold(each, 1), given)


async def handing_over(url: str) -> float:
    """The caller's own steps of `store.record`, a thousand of them waiting at once."""
    store = open_store(url, SystemClock())
    await store.open()
    taken = 0.0
    try:
        given = executions(store.process_id)
        for start in range(0, len(given), AT_ONCE):
            began = time.thread_time()
            begun = [store.record([each]).__await__() for each in given[start : start + AT_ONCE]]
            waiting = [next(each) for each in begun]
            taken += time.thread_time() - began
            while not all(each.done() for each in waiting):
                await asyncio.sleep(0.001)
            began = time.thread_time()
            for each in begun:
                finish(each)
            taken += time.thread_time() - began
        return taken / len(given) * 1e6
    finally:
        await store.close()


def finish(begun: Generator[object, None, object]) -> None:
    try:
        next(begun)
    except StopIteration:
        return
    raise AssertionError("it still waits")


def floors() -> dict[str, float]:
    given = executions("p")
    waiting: deque[Execution] = deque()
    counts: dict[tuple[str, str], int] = {}

    def count(each: Execution) -> None:
        key = (each.target, each.task_type)
        counts[key] = counts.get(key, 0) + 1

    return {"floor: deque append": per_call_us(waiting.append, given), "floor: dict update": per_call_us(count, given)}


def main() -> None:
    gc.disable()
    with tempfile.TemporaryDirectory() as folder:
        measured: dict[str, list[float]] = {}
        for number in range(ROUNDS):
            url = f"sqlite:///{Path(folder) / f'{number}.db'}"
            found = floors() | {"counting": counting(), "handing over, SQLite": asyncio.run(handing_over(url))}
            for subject, taken in found.items():
                measured.setdefault(subject, []).append(taken)
    gc.enable()
    for subject, taken_us in measured.items():
        print(json.dumps({"bar": "P8", "subject": subject, "median_us": round(statistics.median(taken_us), 2)}))


if __name__ == "__main__":
    sys.exit(main())
