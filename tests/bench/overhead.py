"""P18: the whole overhead of `execute` around a function that does nothing.

Subjects: ours over SQLite (durable to the disk), the same under two budgets and an SLA, ours in memory, and the floor:
the same two commits by hand.
"""

import asyncio
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path

from mahavishnu import Task, target
from mahavishnu.app import make_store, open_app
from mahavishnu.model import Budget, Micros, Period
from mahavishnu.settings import load_settings

CALLS = 2000
WARM_UP = 200


@target(task_types=["nothing"])
async def do_nothing(text: str) -> None:
    return None


@target(task_types=["nothing"])
async def do_nothing_else(text: str) -> None:
    return None


async def execute(url: str, calls: int = CALLS) -> list[float]:
    taken = []
    settings = load_settings(None, {}, {"store": {"url": url}})
    async with open_app(settings) as app:
        for number in range(WARM_UP + calls):
            began = time.perf_counter()
            await app.orchestrator.execute(Task(type="nothing", text="x"))
            if number >= WARM_UP:
                taken.append(time.perf_counter() - began)
    return taken


async def execute_paid(url: str, calls: int = CALLS) -> list[float]:
    """Every run is set aside for and charged in two budgets, and judged by three demands."""
    taken = []
    paid = {"run": "builtins:str", "task_types": ["paid"], "cost_per_run": 0.0001, "max_cost_usd": 0.0001}
    settings = load_settings(None, {}, {"store": {"url": url}, "targets": {"one": paid, "two": paid}})
    store = make_store(settings)
    await store.open()
    await store.set_budget(Budget(name="all", hard_micros=Micros(10**12), period=Period.DAY))
    await store.set_budget(Budget(name="paid", hard_micros=Micros(10**12), task_type="paid"))
    await store.close()
    async with open_app(settings) as app:
        task = Task(type="paid", text="x", max_latency_ms=60_000, max_cost_usd=Decimal(1), min_success_rate=0.1)
        for number in range(WARM_UP + calls):
            began = time.perf_counter()
            await app.orchestrator.execute(task)
            if number >= WARM_UP:
                taken.append(time.perf_counter() - began)
        spent = [each.spent_micros for each in await app.store.balances(time.time_ns() // 1000)]
        assert spent == [100 * (WARM_UP + calls)] * 2
    return taken


async def execute_many(url: str, calls: int = CALLS) -> float:
    settings = load_settings(None, {}, {"store": {"url": url}})
    async with open_app(settings) as app:
        began = time.perf_counter()
        await app.orchestrator.execute_many([Task(type="nothing", text="x")] * calls, concurrency=64)
        return (time.perf_counter() - began) / calls


def two_commits(path: Path, calls: int = CALLS) -> list[float]:
    """The floor: one row each, committed durably before and after."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE fact (id TEXT PRIMARY KEY, body TEXT)")
    taken = []
    for number in range(WARM_UP + calls):
        began = time.perf_counter()
        for half in ("start", "end"):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO fact VALUES (?, ?)", (f"{number}-{half}", "x" * 800))
            connection.execute("COMMIT")
        if number >= WARM_UP:
            taken.append(time.perf_counter() - began)
    connection.close()
    return taken


def line(subject: str, taken: list[float]) -> dict[str, object]:
    cuts = statistics.quantiles(taken, n=100)
    return {
        "bar": "P18",
        "subject": subject,
        "p50_us": round(cuts[49] * 1e6),
        "p95_us": round(cuts[94] * 1e6),
        "p99_us": round(cuts[98] * 1e6),
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        print(json.dumps(line("floor: two durable commits", two_commits(here / "floor.db"))))
        print(json.dumps(line("execute, SQLite", asyncio.run(execute(f"sqlite:///{here}/ours.db")))))
        paid = asyncio.run(execute_paid(f"sqlite:///{here}/paid.db"))
        print(json.dumps(line("execute, SQLite, two budgets and an SLA", paid)))
        print(json.dumps(line("execute, memory", asyncio.run(execute("memory:")))))
        each = asyncio.run(execute_many(f"sqlite:///{here}/many.db"))
        print(json.dumps({"bar": "P18", "subject": "execute_many, SQLite, 64 at once", "mean_us": round(each * 1e6)}))


if __name__ == "__main__":
    sys.exit(main())
