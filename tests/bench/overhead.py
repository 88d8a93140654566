"""P18: the whole overhead of `execute` around a function that does nothing.

Subjects: ours over SQLite (durable to the disk), ours in memory, and the floor: the same two commits by hand.
"""

import asyncio
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path

from mahavishnu import Task
from mahavishnu.app import open_app
from mahavishnu.settings import load_settings
from mahavishnu_local import target

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
        print(json.dumps(line("execute, memory", asyncio.run(execute("memory:")))))
        each = asyncio.run(execute_many(f"sqlite:///{here}/many.db"))
        print(json.dumps({"bar": "P18", "subject": "execute_many, SQLite, 64 at once", "mean_us": round(each * 1e6)}))


if __name__ == "__main__":
    sys.exit(main())
