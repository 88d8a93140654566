"""An adapter whose behaviour each test writes."""

import asyncio
from decimal import Decimal
from typing import ClassVar

from mahavishnu.model import HEALTHY, CostModel, Result, Target, Task
from mahavishnu.ports import ExecutionQuery


class ScriptedAdapter:
    prices: ClassVar = {"local": CostModel(), "cloud": CostModel(per_second_usd=Decimal(1))}
    """Runs what the test wrote: one async function a target, called with (task, call)."""

    name = "scripted"

    def __init__(self, **behaviours):
        self.behaviours = behaviours
        self.healths = {}
        self.limits = {}
        self.elsewhere = {}
        self.calls = []

    def targets(self):
        return [
            Target(
                name=name,
                adapter=self.name,
                run=name,
                task_types={"t"},
                place=place,
                max_concurrent=self.limits.get(name),
            )
            for place, name in enumerate(self.behaviours)
        ]

    def supports(self, capability):
        return capability == "can_cancel_workflows"

    async def run(self, task, target, call):
        self.calls.append((target.name, call))
        value = await self.behaviours[target.name](task, call)
        return value if isinstance(value, Result) else Result(value=value)

    async def status(self, run):
        return self.elsewhere.get(run.run_id)

    async def cancel(self, run):
        return self.elsewhere.pop(run.run_id, None) is not None

    async def health(self, target):
        return self.healths.get(target.name, HEALTHY)

    async def close(self):
        pass


async def fine(task, call):
    return f"did {task.text}"


def failing(error):
    async def fail(task, call):
        raise error

    return fail


async def hang(task, call):
    await asyncio.Event().wait()


async def announce_and_hang(task, call):
    await call.announce("remote-1")
    await asyncio.Event().wait()


def task(**fields):
    return Task(**{"type": "t", "text": "x", **fields})


async def stored(store, **query):
    return list(await store.executions(ExecutionQuery(last=None, **query)))[::-1]
