"""Processes that die, that work side by side, and that learn from each other."""

import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from mahavishnu import Task
from mahavishnu.app import open_app
from mahavishnu.model import Status
from mahavishnu.ports import ExecutionQuery
from tests.integration import workers

ROOT = Path(__file__).parents[2]


def start(*arguments):
    path = os.pathsep.join([str(ROOT), str(ROOT / "adapters"), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "tests.integration.workers", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
    )


def finish(process):
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return out.split("\n")[:-1]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    return request.getfixturevalue("postgres")()


async def everything(app):
    return await app.store.executions(ExecutionQuery(last=None))


@pytest.mark.parametrize("kills", [6, pytest.param(20, marks=pytest.mark.soak)])
async def test_killed_at_any_moment_nothing_that_was_handed_back_is_missing_and_the_rest_is_lost(tmp_path, kills):
    path = tmp_path / "store.db"
    chance = random.Random(20)
    handed_back = []
    for _ in range(kills):
        process = start("loop", f"sqlite:///{path}", "-")
        handed_back.append(process.stdout.readline().strip())
        time.sleep(chance.uniform(0.0, 0.3))
        process.kill()
        handed_back += process.stdout.read().split()
        process.wait()
        process.stdout.close()
    async with open_app(workers.settings(f"sqlite:///{path}")) as app:
        executions = await everything(app)
    counted = Counter(each.id for each in executions)
    assert set(counted.values()) == {1}
    status = {each.id: each.status for each in executions}
    assert len(handed_back) > 5 * kills
    assert {status[each] for each in handed_back} == {Status.SUCCEEDED}
    assert Status.LOST in status.values()
    assert Status.RUNNING not in status.values()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


async def test_four_processes_at_once_lose_double_and_mix_nothing(url):
    processes = [start("many", url, name) for name in "abcd"]
    reported = [line for process in processes for line in finish(process)]
    async with open_app(workers.settings(url)) as app:
        stored = {each.id: each.value for each in await everything(app)}
        counted = sum(stat.estimate.samples for stat in app.orchestrator.stats())
    assert stored == dict(line.split(" ", 1) for line in reported)
    assert len(stored) == counted == 800
    assert {value.split(" ", 1)[1] for value in stored.values()} == {f"{n}-{i}" for n in "abcd" for i in range(200)}


async def test_changed_evidence_changes_the_choice_here_elsewhere_and_after_a_restart(url):
    async with open_app(workers.settings(url)) as app:
        orchestrator = app.orchestrator
        before = await orchestrator.route(Task(type="t", text="x"), seed=1)
        assert before.selected == "first"
        for _ in range(200):
            decision = await orchestrator.route(Task(type="t", text="x", target="first"))
            await orchestrator.record_outcome(decision.id, completed=False)
        assert (await orchestrator.route(Task(type="t", text="x"))).selected == "second"
        assert finish(start("route", url, "-")) == ["second"]
    async with open_app(workers.settings(url)) as app:
        assert (await app.orchestrator.route(Task(type="t", text="x"))).selected == "second"


async def test_one_key_in_four_processes_runs_once(url):
    processes = [start("keyed", url, "k") for _ in range(4)]
    ids = {line for process in processes for line in finish(process)}
    assert len(ids) == 1
    async with open_app(workers.settings(url)) as app:
        assert len(await everything(app)) == 1
