"""schedule: serve, deploy, list, run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from mahavishnu.jobs.schedule import JOBS

COMMAND = Path(sys.executable).with_name("mahavishnu")
MARK = "MARK_OF_THE_TESTS"
WITHIN_S = 120.0
NOBODY = "http://127.0.0.1:9/api"


def test_a_job_is_run_here_and_tells_what_it_did(cli: Any):
    cli.add("shout")
    for text in ("a", "b", "c"):
        cli.ok("execute", text, "-t", "say")
    ran = cli.ok("schedule", "run", "recalculate")
    assert (ran["job"], ran["skipped"]) == ("recalculate", False)
    (row,) = ran["rows"]
    assert (row["task_type"], row["target"], row["samples"], row["rate"]) == ("say", "shout", 3, 1.0)
    people = cli("schedule", "run", "recalculate").out
    assert "snapshot 1" in people
    assert "shout" in people


@pytest.mark.parametrize("job", list(JOBS))
def test_every_job_runs_on_an_empty_store(cli: Any, job: str):
    assert cli.ok("schedule", "run", job)["job"] == job


def test_an_unknown_job_is_answered_with_the_nearest(cli: Any):
    ended = cli("schedule", "run", "recalculat")
    assert (ended.code, ended.sentence) == (2, 'There is no job "recalculat"; did you mean "recalculate"?')


def test_a_server_that_nobody_named_is_asked_for(cli: Any):
    ended = cli("schedule", "list")
    assert ended.code == 2
    assert "no Prefect server is known; name it" in ended.sentence


@pytest.mark.parametrize("command", [("list",), ("serve",), ("deploy", "--work-pool", "p")])
def test_a_server_that_does_not_answer_is_one_sentence_with_the_mend(cli: Any, command: tuple[str, ...]):
    ended = cli("schedule", *command, "--api-url", NOBODY)
    assert ended.code == 1
    assert "cannot be reached" in ended.sentence
    assert "prefect server start" in ended.sentence


def test_a_server_that_is_none_is_refused(cli: Any):
    ended = cli("schedule", "list", "--api-url", "localhost:4200")
    assert ended.code == 2
    assert "must begin with http" in ended.sentence


@pytest.mark.parametrize("command", [("list",), ("serve",), ("deploy", "--work-pool", "p")])
def test_a_store_in_memory_has_no_schedule(cli: Any, command: tuple[str, ...]):
    ended = cli("--store", "memory:", "schedule", *command)
    assert ended.code == 2
    assert "a store in memory is seen by one process only" in ended.sentence


def test_a_missing_library_is_one_sentence_with_the_extra(cli: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mahavishnu_flows.scheduler.find_spec", lambda _: None)
    ended = cli("schedule", "serve")
    assert ended.code == 2
    assert 'pip install "mahavishnu[prefect]"' in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("command", ["serve", "deploy", "list", "run"])
def test_every_command_has_an_example(cli: Any, command: str):
    assert "Example: mahavishnu schedule" in " ".join(cli("schedule", command, "--help").out.split())


def test_the_jobs_are_served_here_on_a_server_of_their_own(cli: Any, folder: Path):
    cli.add("shout")
    cli.ok("execute", "hello", "-t", "say")
    served, mark = serve(folder)
    try:
        assert served.stdout is not None
        ready = json.loads(served.stdout.readline())
        assert ready["jobs"] == list(JOBS)
        assert "recalculate" in ready["caught_up"]
        assert Path(ready["folder"]) == folder / "mahavishnu-schedule"
        listed = {each["job"]: each for each in cli.ok("schedule", "list")}
        assert all(each.endswith("T03:00:00.000000Z") for each in listed["recalculate"]["next"])
        assert len(listed["recalculate"]["next"]) == 3
        assert "recalculate" in cli("schedule", "list").out
        # What was missed has been run, by Prefect, without anybody asking.
        until(lambda: listed_last(cli, "recalculate") is not None)
        assert left(mark) != []
    finally:
        served.send_signal(signal.SIGTERM)
        out, err = served.communicate()
    assert served.returncode == 0, err
    assert out == ""
    assert left(mark) == []
    assert "no Prefect server is known" in cli("schedule", "list").err


def test_nothing_is_left_of_what_is_served_when_it_is_killed(folder: Path):
    served, mark = serve(folder)
    # Killed while its server comes up, of which nobody else knows yet.
    until(lambda: any("prefect" in each for each in left(mark)))
    served.kill()
    served.communicate()
    until(lambda: left(mark) == [])
    assert left(mark) == []


def serve(folder: Path) -> tuple[subprocess.Popen[str], str]:
    mark = uuid4().hex
    served = subprocess.Popen(
        [COMMAND, "schedule", "serve", "--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, MARK: mark},
    )
    return served, mark


def listed_last(cli: Any, job: str) -> str | None:
    (found,) = [each for each in cli.ok("schedule", "list") if each["job"] == job]
    last: str | None = found["last_succeeded"]
    return last


def left(mark: str) -> list[str]:
    """The commands of all processes that carry this mark."""
    found: list[str] = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (each / "environ").read_bytes():
                found.append((each / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def until(met: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + WITHIN_S
    while not met():
        assert time.monotonic() < ends_s, "waited in vain"
        time.sleep(0.2)
