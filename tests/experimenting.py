"""Tasks that are drawn for an experiment and what comes of them, the same for the same seed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from random import Random
from typing import Any

from mahavishnu.jobs.experiments import check, create, recompute, start
from mahavishnu.model import Decision, Execution, Micros, Status
from mahavishnu.model.experiment import Assignment, Change, Experiment, Guardrail, Measure
from mahavishnu.model.target import Target
from mahavishnu.settings import ExperimentSettings, Settings
from mahavishnu.storage.memory.store import MemoryStore
from mahavishnu.testing.clock import ManualClock
from mahavishnu.testing.samples import Samples

SETTINGS = Settings(
    experiments=ExperimentSettings(reports=""),
    targets={
        name: Target(name=name, adapter="local", run="x:y", task_types=frozenset({"etl"})) for name in ("a", "b", "c")
    },
)

HOUR = 3_600
DAY = 24 * HOUR
HARM = {"control": 0.95, "treatment": 0.7}
BENEFIT = {"control": 0.7, "treatment": 0.95}

SUCCESS = Guardrail(measure=Measure.SUCCESS)


def experiment(name: str = "e", **fields: Any) -> Experiment:
    given: dict[str, Any] = {"treatment": Change(instead=(("a", "b"),)), "share": 0.3, "salt": "salt", **fields}
    return Experiment(name=name, **given)


def put_aside(snapshot):
    """What is put aside, by which experiment."""
    return {
        task_type: {target: aside.experiment for target, aside in rows.items()}
        for task_type, rows in snapshot.put_aside.items()
    }


class Traffic:
    """Draws tasks into an experiment; each comes to its end a while after it began."""

    def __init__(self, clock: ManualClock, seed: int = 1) -> None:
        self.clock = clock
        self.draws = Random(seed)
        self._make = Samples(clock)

    def decision(self, name: str, treated: bool, share: float | None, unit: str | None = None) -> Decision:
        drawn = Assignment(experiment=name, unit=unit, treated=treated, probability=share)
        return replace(self._make.decision(), assignments=(drawn,))

    def end(
        self,
        decision: Decision,
        succeeded: bool = True,
        latency_ms: float = 100.0,
        cost_micros: int = 1000,
        quality: float | None = None,
    ) -> Execution:
        start = self._make.start(decision)
        end = self._make.end(start, Status.SUCCEEDED if succeeded else Status.FAILED, quality)
        return replace(end, latency_us=round(latency_ms * 1000), cost_micros=Micros(cost_micros), value=None)

    def task(
        self,
        name: str = "e",
        share: float = 0.3,
        control: float = 0.9,
        treatment: float = 0.9,
        slower: float = 1.0,
        units: int | None = None,
        lost: float = 0.0,
    ) -> list[Decision | Execution]:
        """A decision and its end; `lost` is the chance that the end of a treated one is never recorded."""
        self.clock.advance(0.1)
        draws = self.draws
        unit = None if units is None else f"{draws.randrange(units):016x}"
        treated = draws.random() < share if unit is None else Random(f"{name} {unit}").random() < share
        decision = self.decision(name, treated, share, unit)
        end = self.end(
            decision,
            draws.random() < (treatment if treated else control),
            100 * draws.lognormvariate(0, 1) * (slower if treated else 1.0),
        )
        return [decision] if treated and draws.random() < lost else [decision, end]

    def tasks(self, count: int, **law: Any) -> list[Decision | Execution]:
        return [fact for _ in range(count) for fact in self.task(**law)]


class Works:
    """A store in memory, unless it is told another one; a clock, and tasks that are drawn."""

    def __init__(self, store=None, clock=None, seed=1):
        self.clock = clock or ManualClock()
        self.store = store or MemoryStore(self.clock)
        self.traffic = Traffic(self.clock, seed)

    @classmethod
    async def opened(cls, seed=1):
        works = cls(seed=seed)
        await works.store.open()
        return works

    async def draft(self, name="e", **fields):
        return await create(self.store, self.clock, experiment(name, **fields))

    async def begin(self, name="e", **fields):
        await self.draft(name, **fields)
        return await start(self.store, self.clock, SETTINGS, name)

    async def run(self, count, **law):
        await self.store.record(self.traffic.tasks(count, **law))

    async def check(self):
        return await check(self.store, self.clock, SETTINGS)

    async def later(self):
        """When every task so far is old enough for its ratio to be read."""
        self.clock.advance(HOUR)
        return await self.check()

    async def stands(self, name="e"):
        return await self.store.experiment(name)

    async def same_again(self, name="e"):
        run = await self.stands(name)
        return (await recompute(self.store, run)).kept() == run.state


class Late:
    """A store whose answers about experiments are old by the time that they arrive."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def experiments(self):
        found = await self._store.experiments()
        for _ in range(5):
            await asyncio.sleep(0)
        return found
