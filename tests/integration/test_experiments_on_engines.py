"""Experiments over a Prefect server and Agno agents: harm is rolled back, what is equal stays, what is better is kept.

What the agents say is simulated, by a model that needs no network; Prefect and Agno run for real.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from mahavishnu import Task
from mahavishnu.app import App, open_app
from mahavishnu.engine.clock import SystemClock
from mahavishnu.jobs import experiments
from mahavishnu.model.experiment import Change, Experiment, ExperimentRun, ExperimentStatus
from mahavishnu.settings import load_settings
from tests.integration.conftest import Engines

COMMAND = Path(sys.executable).with_name("mahavishnu")
MODULE = "engines_of_the_experiments"
SOURCE = """
import random
from agno.agent import Agent
from mahavishnu_agno.offline import OfflineModel
from prefect import flow

rng = random.Random(11)

def sometimes(share):
    def answer(text):
        if rng.random() >= share:
            raise ConnectionResetError("simulated")
        return text
    return answer

@flow
def shaky(text: str):
    return sometimes(0.77)(text)

good = Agent(id="good", model=OfflineModel(answer=sometimes(0.97)), telemetry=False)
equal = Agent(id="equal", model=OfflineModel(answer=sometimes(0.97)), telemetry=False)
bad = Agent(id="bad", model=OfflineModel(answer=sometimes(0.77)), telemetry=False)
"""
WITHIN_S = 150.0

TARGETS = {
    "agent": {"adapter": "agno", "run": f"{MODULE}:good", "task_types": ["careful", "equal", "better"]},
    # A Prefect server on SQLite refuses changes when many come at once.
    "shaky-flow": {"adapter": "prefect", "run": f"{MODULE}:shaky", "task_types": ["careful"], "max_concurrent": 2},
    "equal-agent": {"adapter": "agno", "run": f"{MODULE}:equal", "task_types": ["equal"]},
    "bad-agent": {"adapter": "agno", "run": f"{MODULE}:bad", "task_types": ["better"]},
}


@pytest.fixture
def house(engines: Engines, tmp_path: Path) -> Path:
    """A configuration with a flow on Prefect and two agents of Agno."""
    (tmp_path / f"{MODULE}.py").write_text(SOURCE)
    written = tmp_path / "mahavishnu.toml"
    tables = {
        "store": {"url": f"sqlite:///{tmp_path}/store.db"},
        "attempts": {"retries": 0, "timeout_ms": 60_000},
        "breaker": {"consecutive_failures": 10_000, "window": 10_000},
        "experiments": {"reports": str(tmp_path / "reports")},
    }
    lines = [f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
             for name, table in tables.items()]  # fmt: skip
    lines += [f'[adapters.prefect]\napi_url = "{engines.url("prefect")}"\npaths = ["{tmp_path}"]\n']
    lines += [f'[adapters.agno]\npaths = ["{tmp_path}"]\n']
    lines += [f"[targets.{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
              for name, table in TARGETS.items()]  # fmt: skip
    written.write_text("\n".join(lines))
    return written


def of(name: str, control: str, treatment: str, **fields) -> Experiment:
    """The treatment is tried, on tasks of a type of their own, where without it the control is."""
    experiment = Experiment(
        name=name,
        hypothesis=f"{treatment} is as good as {control}",
        treatment=Change(instead=((control, treatment),)),
        share=0.5,
        task_types=frozenset({name}),
        min_evidence=30,
        owner="ann",
    )
    return replace(experiment, **fields)


async def begun(app: App, experiment: Experiment) -> None:
    await experiments.create(app.store, SystemClock(), experiment)
    await experiments.start(app.store, SystemClock(), app.settings, experiment.name)
    await asyncio.sleep(2 * app.settings.routing.refresh_s)


async def some(app: App, kind: str, count: int) -> set[str | None]:
    """The targets that so many tasks go to."""
    reports = await app.orchestrator.execute_many([Task(type=kind, text="x")] * count, concurrency=4)
    return {report.decision.selected for report in reports if report.decision is not None}


async def standing(app: App, name: str) -> ExperimentRun:
    run = await app.store.experiment(name)
    assert run is not None
    return run


@contextmanager
def schedule_served(config: Path, folder: Path) -> Iterator[Path]:
    """`mahavishnu schedule serve`, and what it says."""
    said = folder / "served.txt"
    with said.open("w") as output:
        serving = subprocess.Popen(
            [str(COMMAND), "--config", str(config), "schedule", "serve"],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            start_new_session=True,
        )
        try:
            yield said
            serving.send_signal(signal.SIGINT)
            assert serving.wait(60) == 0
        finally:
            serving.kill()
            serving.wait()


async def artifact(engines: Engines, key: str) -> str:
    """The newest page under a key on the Prefect server."""
    async with httpx.AsyncClient(base_url=engines.url("prefect"), timeout=30.0) as client:
        answer = await client.get(f"/artifacts/{key}/latest")
        return str(answer.raise_for_status().json()["data"])


async def test_harm_is_rolled_back_by_the_schedule_with_nobody_touching_anything(
    house: Path, tmp_path: Path, engines: Engines
):
    settings = load_settings(house, {}, {})
    with schedule_served(house, tmp_path) as said:
        async with open_app(settings) as app:
            await begun(app, of("careful", "agent", "shaky-flow", share=0.3))
            assert await some(app, "careful", 40) == {"agent", "shaky-flow"}
            give_up_s = time.monotonic() + WITHIN_S
            while not (await standing(app, "careful")).status.over and time.monotonic() < give_up_s:
                await some(app, "careful", 8)
            run = await standing(app, "careful")
            assert run.status is ExperimentStatus.ROLLED_BACK, f"{run.note} {said.read_text()}"
            await asyncio.sleep(2)
            assert await some(app, "careful", 24) == {"agent"}
            alert = next(each for each in await app.store.alerts() if each.condition.about == "careful")
            assert "ann" in alert.summary
            written = (tmp_path / "reports" / "careful.md").read_text()
            assert "It was rolled back" in written
            assert await artifact(engines, "mahavishnu-experiment-careful") == written


async def test_what_is_equal_goes_on_and_what_is_better_is_promoted(house: Path):
    settings = load_settings(house, {}, {})
    async with open_app(settings) as app:
        await begun(app, of("equal", "agent", "equal-agent", promote=True))
        for _ in range(5):
            assert await some(app, "equal", 200) == {"agent", "equal-agent"}
            await experiments.check(app.store, SystemClock(), settings)
        assert (await standing(app, "equal")).status is ExperimentStatus.RUNNING

        await begun(app, of("better", "bad-agent", "agent", promote=True))
        for _ in range(20):
            await some(app, "better", 100)
            await experiments.check(app.store, SystemClock(), settings)
            if (run := await standing(app, "better")).status.over:
                break
        assert run.status is ExperimentStatus.PROMOTED, run.note
        await asyncio.sleep(2)
        assert await some(app, "better", 50) == {"agent"}
