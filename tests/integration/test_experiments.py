"""Experiments over a database: killed while they are checked, checked twice at once, heard of late and twice."""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
import sys
from pathlib import Path

import pytest

from mahavishnu import Task
from mahavishnu.app import open_app
from mahavishnu.engine.clock import SystemClock
from mahavishnu.jobs import experiments
from mahavishnu.model.experiment import Change, Experiment, ExperimentRun, ExperimentStatus
from mahavishnu.ports import Store
from mahavishnu.settings import Settings, load_settings
from mahavishnu.storage import open_store
from tests.experimenting import put_aside
from tests.integration import newcomers
from tests.integration.experimenter import PLACES

EXPERIMENTER = Path(__file__).with_name("experimenter.py")
TASKS = 600
HARM = Experiment(
    name="newcomer",
    treatment=Change(instead=(("old", "new"),)),
    unit="user",
    share=0.3,
    task_types=frozenset({"tried"}),
    min_evidence=30,
)


def settings_at(url: str, **tables) -> Settings:
    quiet = {
        "store": {"url": url},
        "breaker": {"consecutive_failures": 10_000, "window": 10_000},
        "attempts": {"retries": 0},
        "experiments": {"reports": ""},
        "targets": newcomers.TARGETS,
    }
    return load_settings(None, {}, {**quiet, **tables})


@pytest.fixture
def rates(monkeypatch):
    """How often each of two targets succeeds."""
    changed = {"old": 0.95, "new": 0.6}
    monkeypatch.setattr(newcomers, "rates", changed)
    monkeypatch.setattr(newcomers, "rng", random.Random(3))
    return changed


async def tried(settings: Settings, experiment: Experiment = HARM, count: int = TASKS) -> None:
    """An experiment that has had so many tasks, some users with several, and has not been checked."""
    async with open_app(settings) as app:
        await experiments.create(app.store, SystemClock(), experiment)
        await experiments.start(app.store, SystemClock(), settings, experiment.name)
        await asyncio.sleep(2 * settings.routing.refresh_s)
        tasks = [Task(type="tried", text="x", tags={"user": f"u{number * 7 % 1000}"}) for number in range(count)]
        await app.orchestrator.execute_many(tasks, concurrency=16)


async def opened(url: str) -> Store:
    store = open_store(url, SystemClock())
    await store.open()
    return store


async def killed(url: str, place: str) -> int:
    """A process that checks, and is killed when it comes to that place."""
    process = await asyncio.create_subprocess_exec(sys.executable, str(EXPERIMENTER), url, place)
    return await process.wait()


async def checked(url: str, stores: int = 1) -> None:
    """Check, with so many stores at once, of which each is to the others what another process is."""
    opened_ones = [await opened(url) for _ in range(stores)]
    await asyncio.gather(*(experiments.check(each, SystemClock(), settings_at(url)) for each in opened_ones))
    for each in opened_ones:
        await each.close()


async def outcome(url: str) -> tuple[ExperimentRun, tuple[object, ...]]:
    """How the experiment stands, and what is published of it."""
    store = await opened(url)
    try:
        run, snapshot = await store.experiment("newcomer"), await store.latest()
        assert run is not None
        return run, (snapshot.experiments, put_aside(snapshot), snapshot.orders, snapshot.policies)
    finally:
        await store.close()


def told(run: ExperimentRun) -> tuple[object, ...]:
    """All of a verdict but the moment at which it was come to."""
    return run.status, run.note, run.cursor, run.state


async def test_killed_anywhere_and_checked_by_many_it_comes_to_the_same_and_acts_once(rates, tmp_path):
    file = tmp_path / "truth.db"
    await tried(settings_at(f"sqlite:///{file}"))
    undisturbed = tmp_path / "undisturbed.db"
    shutil.copy(file, undisturbed)
    await checked(f"sqlite:///{undisturbed}")
    expected, published = await outcome(f"sqlite:///{undisturbed}")
    assert expected.status is ExperimentStatus.ROLLED_BACK
    assert published[:2] == ((), {"tried": {"new": "newcomer"}})

    for place in PLACES:
        disturbed = tmp_path / "disturbed.db"
        shutil.copy(file, disturbed)
        url = f"sqlite:///{disturbed}"
        assert await killed(url, place) == -signal.SIGKILL, place
        store = await opened(url)
        await store.reap()
        version = await store.newest_version()
        await store.close()
        await checked(url, stores=2)
        run, after = await outcome(url)
        assert told(run) == told(expected), place
        assert after == published, place
        store = await opened(url)
        assert await store.newest_version() <= version + 1, "published once"
        await store.close()


async def test_two_that_check_at_once_on_postgres_act_once(rates, postgres):
    url = postgres()
    await tried(settings_at(url), count=600)
    before = await outcome(url)
    assert before[0].status is ExperimentStatus.RUNNING
    await checked(url, stores=3)
    run, published = await outcome(url)
    assert run.status is ExperimentStatus.ROLLED_BACK
    assert published[0] == ()
    store = await opened(url)
    snapshots = [each for each in await store.snapshots(20) if any("newcomer" in note for note in each.notes)]
    again = await experiments.recompute(store, run)
    await store.close()
    assert len(snapshots) == 2, "one that it began, one that it is over"
    assert again.kept() == run.state


async def test_every_process_follows_within_two_seconds(rates, tmp_path):
    url = f"sqlite:///{tmp_path}/store.db"
    settings = settings_at(url)
    await tried(settings)
    async with open_app(settings) as routing:

        async def targets() -> set[str | None]:
            tasks = [Task(type="tried", text="x", tags={"user": f"u{number}"}) for number in range(60)]
            reports = await routing.orchestrator.execute_many(tasks)
            return {report.decision.selected for report in reports if report.decision is not None}

        assert await targets() == {"old", "new"}
        await checked(url)
        await asyncio.sleep(2)
        assert await targets() == {"old"}


async def test_one_that_only_helps_is_promoted_and_what_it_replaced_is_left_out(rates, tmp_path):
    url = f"sqlite:///{tmp_path}/store.db"
    settings = settings_at(url)
    rates |= {"old": 0.6, "new": 0.95}
    better = Experiment(
        name="newcomer",
        treatment=HARM.treatment,
        share=0.5,
        task_types=HARM.task_types,
        min_evidence=30,
        promote=True,
    )
    await tried(settings, better)
    await checked(url)
    run, published = await outcome(url)
    assert (run.status, published[1]) == (ExperimentStatus.PROMOTED, {"tried": {"old": "newcomer"}})
