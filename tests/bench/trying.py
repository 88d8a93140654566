"""Two equal agents of Agno tried against each other for 20,000 tasks, and one that is worse by five points.

What the agents say is simulated by a model that needs no network; Agno runs them, the engine chooses, SQLite keeps all
of it, and the check looks after every thousand tasks. `python -m tests.bench.trying 3` tries so many seeds.
"""

import asyncio
import json
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

from mahavishnu import Task
from mahavishnu.app import open_app
from mahavishnu.engine.clock import SystemClock
from mahavishnu.jobs import experiments
from mahavishnu.jobs.experiments.evidence import Simulations
from mahavishnu.model.experiment import Change, Experiment
from mahavishnu.settings import load_settings

TASKS = 20_000
AT_ONCE = 1_000
SOURCE = """
import os, random
from agno.agent import Agent
from mahavishnu_agno.offline import OfflineModel

rng = random.Random(int(os.environ["TRYING_SEED"]))

def sometimes(rate):
    def answer(text):
        if rng.random() >= rate:
            raise ConnectionResetError("simulated")
        return text
    return answer

old, equal, worse = (
    Agent(id=name, model=OfflineModel(answer=sometimes(rate)), telemetry=False)
    for name, rate in (("old", 0.9), ("equal", 0.9), ("worse", 0.85))
)
"""


def settings_in(folder, module):
    (folder / f"{module}.py").write_text(SOURCE)
    agents = {
        name: {"adapter": "agno", "run": f"{module}:{name}", "task_types": kinds}
        for name, kinds in (("old", ["equal", "worse"]), ("equal", ["equal"]), ("worse", ["worse"]))
    }
    tables = {
        "store": {"url": f"sqlite:///{folder}/store.db"},
        "attempts": {"retries": 0},
        "experiments": {"reports": ""},
        "adapters": {"agno": {"paths": [str(folder)], "max_concurrent": 16}},
        "targets": agents,
    }
    return load_settings(None, {}, tables)


async def tried(app, treatment, tasks):
    """How the experiment stood after so many tasks, or when it was over."""
    experiment = Experiment(
        name=treatment,
        treatment=Change(instead=(("old", treatment),)),
        share=0.1,
        task_types=frozenset({treatment}),
    )
    await experiments.create(app.store, SystemClock(), experiment)
    await experiments.start(app.store, SystemClock(), app.settings, experiment.name)
    await asyncio.sleep(2 * app.settings.routing.refresh_s)
    began = time.perf_counter()
    done = 0
    while done < tasks:
        done += AT_ONCE
        await app.orchestrator.execute_many([Task(type=treatment, text="x")] * AT_ONCE, concurrency=16)
        checked = await experiments.check(app.store, SystemClock(), app.settings)
        (run,) = (each for each in checked.runs if each.name == treatment)
        if run.status.over:
            break
    again = await experiments.recompute(app.store, run)
    return run, done, round(time.perf_counter() - began, 1), again.kept() == run.state


async def measure(seed):
    os.environ["TRYING_SEED"] = str(seed)
    with tempfile.TemporaryDirectory() as folder:
        async with open_app(settings_in(Path(folder), f"agents_of_seed_{seed}")) as app:
            for treatment in ("equal", "worse"):
                run, tasks, seconds, same = await tried(app, treatment, TASKS)
                reading = Simulations.resumed(run.experiment, run.state).reading()
                figures = {
                    "bar": "experiments on Agno",
                    "treatment": treatment,
                    "seed": seed,
                    "tasks": tasks,
                    "status": run.status.value,
                    "treated": reading.treatment.outcomes,
                    "treated_success": reading.treatment.success,
                    "control_success": reading.control.success,
                    "e_value_worse": round(reading.worse, 3),
                    "recomputed_equal": same,
                    "seconds": seconds,
                }
                print(json.dumps(figures), flush=True)


def main(seeds=1):
    logging.disable(logging.ERROR)
    for seed in range(seeds):
        asyncio.run(measure(seed))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
