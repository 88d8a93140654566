"""Some hundreds of tasks over four simulated targets, one of which turns bad half way.

Run it with `make demo`. It keeps what it learnt in demo.db: run it again and it goes on from there, or remove the file.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from decimal import Decimal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from mahavishnu import Report, Result, Task, target
from mahavishnu.app import App, open_app
from mahavishnu.settings import load_settings

TASKS = 600
SETTINGS = {
    "store": {"url": "sqlite:///demo.db"},
    "breaker": {"open_ms": 2000},
}

chance = random.Random(os.environ.get("DEMO_SEED"))
done = 0


def turned_bad() -> bool:
    return done >= TASKS // 2


async def simulate(*, latency_ms: float, success: float, cost: str) -> Result:
    """What a real target would do: take its time, cost its price, and fail now and then."""
    await asyncio.sleep(chance.lognormvariate(0, 0.3) * latency_ms / 1000)
    if chance.random() > success:
        raise ConnectionResetError("simulated failure")
    return Result(value="done", cost_usd=Decimal(cost))


# Registered in this order, which is the default order.
@target(task_types=["summarise"])
async def turncoat(text: str) -> Result:
    return await simulate(latency_ms=25, success=0.10 if turned_bad() else 0.98, cost="0.001")


@target(task_types=["summarise"])
async def flaky(text: str) -> Result:
    return await simulate(latency_ms=15, success=0.70, cost="0.0005")


@target(task_types=["summarise"])
async def slow(text: str) -> Result:
    return await simulate(latency_ms=400, success=0.99, cost="0.001")


@target(task_types=["summarise"])
async def dear(text: str) -> Result:
    return await simulate(latency_ms=120, success=0.97, cost="0.03")


async def main() -> None:
    console = Console()
    console.print(
        "[bold]mahavishnu demo[/bold]: the four targets are [bold]simulated[/bold] by plain Python functions; "
        "the routing, the records and the scores are real.\n"
    )
    settings = load_settings(None, {}, SETTINGS)
    async with open_app(settings) as app:
        known = sum(stat.estimate.samples for stat in app.orchestrator.stats())
        console.print(
            f"Starting with {known} executions in memory from earlier runs.\n" if known else "Starting fresh.\n"
        )
        reports = await work(app, console)
        tell(app, console, reports)


async def work(app: App, console: Console) -> list[Report]:
    global done
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    reports: list[Report] = []
    tasks = (Task(type="summarise", text=f"document {number}") for number in range(TASKS))
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("routing", total=TASKS)
        async for _, report in app.orchestrator.as_completed(tasks, concurrency=8):
            reports.append(report)
            done = len(reports)
            description = "routing (turncoat has turned bad)" if turned_bad() else "routing"
            progress.update(bar, completed=done, description=description)
    return reports


def tell(app: App, console: Console, reports: list[Report]) -> None:
    traffic = Table(title="Where the tasks went", caption="first choices, then what fallback rescued")
    for heading in ("target", "before the change", "after the change"):
        traffic.add_column(heading, justify="left" if heading == "target" else "right")
    halves = [Counter(first_choice(each) for each in half) for half in (reports[: TASKS // 2], reports[TASKS // 2 :])]
    for name in sorted(set().union(*halves)):
        traffic.add_row(name, *(f"{half[name] / (TASKS / 2):.0%}" for half in halves))
    console.print(traffic)

    scores = Table(title="What it knows now", caption="score = 0.7 · success + 0.3 · speed")
    for heading in ("target", "n", "success", "95 % interval", "p50", "p95", "cost", "score"):
        scores.add_column(heading, justify="left" if heading == "target" else "right")
    for stat in app.orchestrator.stats("summarise"):
        seen = stat.estimate
        scores.add_row(
            stat.target,
            str(seen.samples),
            f"{seen.rate or 0:.0%}",
            f"{seen.wilson_lo:.0%} to {seen.wilson_hi:.0%}",
            f"{seen.p50_ms or 0:.0f} ms",
            f"{seen.p95_ms or 0:.0f} ms",
            f"${(seen.mean_cost_micros or 0) / 1e6:.4f}",
            f"{stat.score or 0:.3f}",
        )
    console.print(scores)

    console.print("[bold]Why[/bold], for a few of them:")
    for place in (0, TASKS // 2 - 1, TASKS // 2 + 60, TASKS - 1):
        decision = reports[place].decision
        if decision is not None:
            console.print(f"  task {place + 1:>3}  {decision.reason}", highlight=False)
    failed = sum(not each.succeeded for each in reports)
    rescued = sum(each.succeeded and len(each.executions) > 1 for each in reports)
    cost = sum(each.cost_micros for each in reports) / 1e6
    console.print(
        f"\n{len(reports) - failed} of {len(reports)} tasks succeeded, {rescued} of them by retry or fallback, "
        f"for ${cost:.2f} (simulated). Everything is in demo.db:\n"
        "  .venv/bin/mahavishnu decisions --last 5 --store sqlite:///demo.db",
        highlight=False,
    )


def first_choice(report: Report) -> str:
    return (report.decision.selected if report.decision else None) or "nobody"


if __name__ == "__main__":
    started = time.monotonic()
    asyncio.run(main())
    Console().print(f"It took {time.monotonic() - started:.0f} s.")
