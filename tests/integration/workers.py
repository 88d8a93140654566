"""What the child processes of these tests do: `python -m tests.integration.workers WHAT URL ARGUMENT`."""

import asyncio
import sys

from mahavishnu import Task
from mahavishnu.app import open_app
from mahavishnu.settings import load_settings


async def first(text: str) -> str:
    await asyncio.sleep(0.002)
    return f"first {text}"


async def second(text: str) -> str:
    return f"second {text}"


def settings(url):
    targets = {name: {"run": f"tests.integration.workers:{name}", "task_types": ["t"]} for name in ("first", "second")}
    return load_settings(None, {}, {"store": {"url": url}, "routing": {"refresh_s": 0.2}, "targets": targets})


async def loop(url, _):
    """Execute for ever, eight at a time, and say which executions were handed back."""
    async with open_app(settings(url)) as app:
        tasks = (Task(type="t", text=str(number)) for number in range(10**9))
        async for _, report in app.orchestrator.as_completed(tasks, concurrency=8):
            print(report.last.id, flush=True)


async def many(url, name):
    """Two hundred tasks at once, named for this process."""
    async with open_app(settings(url)) as app:
        reports = await app.orchestrator.execute_many(
            [Task(type="t", text=f"{name}-{number}") for number in range(200)], concurrency=50
        )
        for report in reports:
            print(report.last.id, report.value, flush=True)


async def route(url, _):
    async with open_app(settings(url)) as app:
        print((await app.orchestrator.route(Task(type="t", text="x"))).selected)


async def keyed(url, key):
    async with open_app(settings(url)) as app:
        report = await app.orchestrator.execute(Task(type="t", text="x", idempotency_key=key))
        print(report.last.id)


if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[1]](*sys.argv[2:]))
