"""An adapter of a stranger's package is found by its entry point once it is installed, and keeps the promises."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "third_party_adapter"

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
    """The example, built and installed without any network."""
    folder = tmp_path_factory.mktemp("site")
    offline = ["--no-index", "--no-build-isolation", "--no-deps", "--disable-pip-version-check", "--quiet"]
    install = [sys.executable, "-m", "pip", "install", *offline, "--target", str(folder), str(EXAMPLE)]
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


def test_a_misspelt_name_of_an_installed_adapter_is_answered_with_the_right_one(installed):
    ended = python(installed, "-c", "from mahavishnu.plugins import load_adapter; load_adapter('comand')")
    assert 'There is no adapter "comand"; did you mean "command"?' in ended.stderr
