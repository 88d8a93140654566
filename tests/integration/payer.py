"""What the child processes of the budget tests do: `python -m tests.integration.payer URL SEED TASKS`.

Sixteen callers at once run tasks that succeed, fail, time out, are cancelled and break off while they stream, at random
costs; every line on stdout is a task that is over: what became of it, and what it cost in micro-dollars.
"""

import asyncio
import sys
from contextlib import aclosing
from decimal import Decimal
from random import Random

from mahavishnu import Task
from mahavishnu.engine.clock import SystemClock
from mahavishnu.engine.orchestrator import UnifiedOrchestrator
from mahavishnu.errors import BudgetExhausted, Crashed, MahavishnuError, Transient
from mahavishnu.model import HEALTHY, Chunk, CostModel, Result, Target, Usage
from mahavishnu.model.report import Report
from mahavishnu.policies.preference import Preference
from mahavishnu.settings import load_settings
from mahavishnu.stats.scoring import Scoring
from mahavishnu.storage import open_store

CALLERS = 16
MOST = Decimal("0.02")
FATES = ("fine", "fails", "slow", "cancelled", "streams", "breaks off")
SETTINGS = {
    "routing": {"policy": "preference"},
    "attempts": {"timeout_ms": 60, "deadline_ms": 30_000, "retries": 1, "backoff_ms": 1},
    "breaker": {"consecutive_failures": 10_000, "failure_rate": 1.0, "window": 10_000},
}


class Shop:
    """Two targets at $0.02 at the most: a run costs $0.004, or what it says."""

    name = "shop"

    def __init__(self, rng):
        self._rng = rng

    def targets(self):
        rates = CostModel(per_run_usd=Decimal("0.004"))
        return [
            Target(
                name=name, adapter="shop", run=name, task_types={"t"}, place=place, cost_model=rates, max_cost_usd=MOST
            )
            for place, name in enumerate(("first", "second"))
        ]

    def supports(self, capability):
        return False

    async def run(self, task, target, call):
        await asyncio.sleep(self._rng.random() * 0.005)
        match task.payload["fate"]:
            case "fails":
                raise Transient("busy") if self._rng.random() < 0.5 else Crashed("broke")
            case "slow" | "cancelled":
                await asyncio.sleep(60)
        return Result(cost_usd=Decimal(self._rng.randrange(20_001)) / 1_000_000)

    async def stream(self, task, target, call):
        for number in range(1, 4):
            await asyncio.sleep(0.001)
            yield Chunk(text="a", usage=Usage(output_tokens=number))
            if task.payload["fate"] == "breaks off" and number == 2:
                raise Crashed("the line broke")
        yield Result(value="aaa", cost_usd=Decimal(self._rng.randrange(20_001)) / 1_000_000)

    async def health(self, target):
        return HEALTHY

    async def close(self):
        pass


async def one(orchestrator, task):
    """What one task came to."""
    match task.payload["fate"]:
        case "streams" | "breaks off":
            return await streamed(orchestrator, task)
        case "cancelled":
            running = asyncio.create_task(orchestrator.perform(task))
            await asyncio.sleep(0.02)
            running.cancel()
            return (
                "stopped"
                if isinstance((await asyncio.gather(running, return_exceptions=True))[0], BaseException)
                else "done"
            )
    report = await orchestrator.perform(task)
    return "refused" if isinstance(report.error, BudgetExhausted) else "done"


async def streamed(orchestrator, task):
    try:
        async with aclosing(orchestrator.stream(task)) as parts:
            async for part in parts:
                if isinstance(part, Report):
                    return "done"
    except BudgetExhausted:
        return "refused"
    except MahavishnuError:
        return "done"
    raise AssertionError("a stream ended without its report")


async def main(url, seed, tasks):
    rng, clock = Random(seed), SystemClock()
    store = open_store(url, clock)
    await store.open()
    settings = load_settings(None, {}, SETTINGS)
    orchestrator = UnifiedOrchestrator(
        store, {"shop": Shop(rng)}, {}, {"preference": Preference()}, Scoring(), clock, settings
    )
    waiting = iter(range(tasks))

    async def call():
        for number in waiting:
            task = Task(type="t", text=str(number), payload={"fate": rng.choice(FATES)})
            print(await one(orchestrator, task), flush=True)

    async with orchestrator:
        await asyncio.gather(*(call() for _ in range(CALLERS)))
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
