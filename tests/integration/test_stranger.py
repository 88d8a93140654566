"""An adapter of a stranger's package is found by its entry point once it is installed, and keeps the promises."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
EXAMPLE = EXAMPLES / "third_party_adapter"
POLICY = EXAMPLES / "third_party_policy"

FOUND = """
import asyncio
from mahavishnu.plugins import available_adapters, load_adapter, make
from mahavishnu.model import Target, Task
from mahavishnu.ports import Call

async def announce(run_id): ...

async def main():
    entry = available_adapters()["command"]
    adapter = make(load_adapter("command"), {"folder": "/"}, "[adapters.command]")
    target = Target(name="where", adapter="command", run="pwd", task_types={"any"})
    result = await adapter.run(Task(type="any", text="x"), target, Call(
        execution_id="e", deadline_s=None, idempotency_key=None, announce=announce))
    print(entry.dist.name, entry.dist.version, result.value)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples, built and installed without any network."""
    folder = tmp_path_factory.mktemp("site")
    offline = ["--no-index", "--no-build-isolation", "--no-deps", "--disable-pip-version-check", "--quiet"]
    install = [sys.executable, "-m", "pip", "install", *offline, "--target", str(folder), str(EXAMPLE), str(POLICY)]
    ended = subprocess.run(install, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return folder


def python(installed: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=installed, env=environment, capture_output=True, text=True, timeout=120
    )


def test_an_installed_adapter_is_found_by_its_entry_point_built_from_settings_and_runs(installed):
    ended = python(installed, "-c", FOUND)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == ["mahavishnu-command", "0.1.0", "/"]


def test_an_installed_adapter_proves_itself_with_the_promises_that_mahavishnu_ships(installed):
    ended = python(
        installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(EXAMPLE / "pyproject.toml"), str(EXAMPLE)
    )
    assert ended.returncode == 0, ended.stdout
    assert "11 passed" in ended.stdout


CHOSEN = """
from mahavishnu import Task, open, target
from mahavishnu.settings import load_settings

@target(task_types=["t"], cost_per_run="0.5")
def dear(text): return text

@target(task_types=["t"])
def free(text): return text

settings = {"store": {"url": "memory:"}, "routing": {"policy": "thrifty"}, "policies": {"thrifty": {"explore": 0}}}
with open(load_settings(None, {}, settings)) as app:
    for _ in range(3):
        report = app.execute(Task(type="t", text="x"))
    print(report.decision.policy, report.decision.selected, report.decision.reason)
"""


def test_an_installed_policy_is_found_built_from_settings_and_chooses(installed):
    ended = python(installed, "-c", CHOSEN)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == "thrifty free Chose free: the cheapest reliable target"


def test_an_installed_policy_proves_itself(installed):
    ended = python(
        installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(POLICY / "pyproject.toml"), str(POLICY)
    )
    assert ended.returncode == 0, ended.stdout
    assert "24 passed" in ended.stdout


def test_a_misspelt_name_of_an_installed_adapter_is_answered_with_the_right_one(installed):
    ended = python(installed, "-c", "from mahavishnu.plugins import load_adapter; load_adapter('comand')")
    assert 'There is no adapter "comand"; did you mean "command"?' in ended.stderr
