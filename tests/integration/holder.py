"""A process of its own that runs one task with a key and under a budget, and says how it went.

    python -m tests.integration.holder URL SPOOL FOLDER

It says "begun" once its target runs, which ends when FOLDER/go is there, and at the end the report as one line of
JSON. FOLDER/trace has a line for each run.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from mahavishnu import Result, Task
from mahavishnu.app import open_app
from mahavishnu.model.money import to_usd
from mahavishnu.settings import Settings, load_settings

LEASE_S = 1.0
COST_MICROS = 60_000
LIMIT_MICROS = 100_000
KEY = "only-once"


def settings(url: str, spool: Path, **store: object) -> Settings:
    target = {"run": "tests.integration.holder:hold", "task_types": ["hold"], "max_cost_usd": 0.06}
    return load_settings(
        None,
        {},
        {
            "store": {"url": url, "spool": str(spool), "lease_s": LEASE_S, **store},
            "routing": {"refresh_s": 0.1},
            "targets": {"only": target},
        },
    )


def task(folder: Path, *, key: str | None = KEY, deadline_ms: int = 60_000) -> Task:
    return Task(type="hold", payload={"folder": str(folder)}, idempotency_key=key, deadline_ms=deadline_ms)


async def hold(payload: dict[str, str]) -> Result:
    """Leave a trace, and wait to be let go."""
    folder = Path(payload["folder"])
    with (folder / "trace").open("a") as trace:
        trace.write(f"{os.getpid()}\n")
    os.write(1, b"begun\n")
    while not (folder / "go").exists():
        await asyncio.sleep(0.02)
    return Result(value="held", cost_usd=to_usd(COST_MICROS))


async def main(url: str, spool: str, folder: str) -> None:
    async with open_app(settings(url, Path(spool))) as app:
        report = await app.orchestrator.perform(task(Path(folder)))
        last = report.executions[-1] if report.executions else None
        said = {"error": report.error and report.error.code, "status": last and last.status.value}
        os.write(1, f"{json.dumps(said)}\n".encode())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
