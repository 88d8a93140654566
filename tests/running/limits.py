"""A pytest plugin: every run has a watchdog, which knows what each worker runs, and a folder that its workers share."""

from __future__ import annotations

import faulthandler
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.running import watchdog
from tests.running.place import RUN_FOLDER, make_run_folder

# Longer than a run takes on a busy machine. A test's own limit stands in pyproject.toml.
RUN_LIMIT_S = float(os.environ.get("TESTS_RUN_LIMIT_S", "1800"))
STALL_S = float(os.environ.get("TESTS_STALL_S", "900"))
DEFAULT_TEST_LIMIT_S = 120.0


def pytest_configure(config: pytest.Config) -> None:
    # The processes that tests start would compile everything that they import, each time.
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if is_worker(config):
        folder = Path(config.workerinput["run_folder"])  # type: ignore[attr-defined]
    else:
        folder = make_run_folder()
        os.environ[watchdog.RUN] = str(folder)
        _start_watchdog(config, folder)
    config.stash[RUN_FOLDER] = folder
    if not config.getoption("collectonly"):
        config.pluginmanager.register(Running(config, folder), "running")


def is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _start_watchdog(config: pytest.Config, folder: Path) -> None:
    command = [sys.executable, "-I", "-S", watchdog.__file__, folder, os.getpid(), RUN_LIMIT_S, STALL_S]
    # A session of its own, so that what is sent to the run's group does not end the one that clears up after it. The
    # pipe is never closed here: the system closes it when this process is gone, or `pytest_unconfigure` does.
    process = subprocess.Popen(
        [str(argument) for argument in command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )

    def finish() -> None:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)

    config.add_cleanup(finish)


class Running:
    """Keeps written down which test this process runs, since when, and how long it may take."""

    def __init__(self, config: pytest.Config, folder: Path) -> None:
        self._config = config
        self._folder = folder
        worker = getattr(config, "workerinput", {}).get("workerid", "main")
        self._path = folder / f"{worker}.worker"
        self._name = worker
        self._last: str | None = None
        # Where nothing captures what is written; a worker's own output leads nowhere.
        self._stderr = os.dup(2)

    def pytest_sessionstart(self) -> None:
        self._write(None, 0.0)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[Any]:
        self._write(item.nodeid, _limit(item))
        result = yield
        self._last = item.nodeid
        self._write(None, 0.0)
        return result

    def pytest_sessionfinish(self) -> None:
        # Taking down what a worker keeps open may take as long as a test.
        self._write("the end of the session", DEFAULT_TEST_LIMIT_S)

    def pytest_unconfigure(self) -> None:
        self._path.unlink(missing_ok=True)

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: Any) -> bool | None:
        """In a worker, a thread in C ends a test that is over its limit: pytest-timeout's own needs the interpreter,
        which a test that hangs in C holds, and writes the stacks where xdist does not read."""
        if not is_worker(self._config):
            return None
        faulthandler.dump_traceback_later(settings.timeout, exit=True, file=self._stderr)
        item.cancel_timeout = faulthandler.cancel_dump_traceback_later  # type: ignore[attr-defined]
        return True

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["run_folder"] = str(self._folder)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        (self._folder / f"{node.gateway.id}.worker").unlink(missing_ok=True)

    def _write(self, test: str | None, limit: float) -> None:
        running = {
            "name": self._name,
            "pid": os.getpid(),
            "test": test,
            "since": time.monotonic(),
            "limit": limit,
            "last": self._last,
        }
        # Renamed, so that it is read whole or as it was before.
        fresh = self._path.with_suffix(".fresh")
        fresh.write_text(json.dumps(running), encoding="utf-8")
        fresh.replace(self._path)


def _limit(item: pytest.Item) -> float:
    """What pytest-timeout holds the test to; 0 means no limit, and there is always one here."""
    marker = item.get_closest_marker("timeout")
    if marker is not None:
        given = marker.args[0] if marker.args else marker.kwargs.get("timeout")
        if given:
            return float(given)
    default = item.config.getini("timeout") if item.config.pluginmanager.hasplugin("timeout") else None
    return float(item.config.getoption("timeout", None) or default or DEFAULT_TEST_LIMIT_S)
