"""Ctrl-C: a command that was stopped says how to go on, and what is safe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def interrupting(cli: Any) -> None:
    cli.add("interrupt")


def stopped(ended: Any) -> str:
    assert (ended.code, ended.out) == (130, "")
    return str(ended.sentence)


@pytest.mark.usefixtures("interrupting")
def test_a_task_that_was_stopped_says_where_its_record_is(cli: Any):
    assert stopped(cli("execute", "a", "-t", "say")) == (
        "Stopped; what was recorded of the task: mahavishnu executions --last 1"
    )
    assert cli.ok("executions", "--last", "1")[0]["status"] == "cancelled"


@pytest.mark.usefixtures("interrupting")
def test_tasks_from_stdin_that_were_stopped_say_which_of_them_would_run_again(cli: Any):
    sentence = stopped(cli("run", "-", stdin=b'{"type": "say", "text": "a"}'))
    assert sentence == "Stopped; the same tasks, sent again, run again unless they have an idempotency_key."


@pytest.mark.usefixtures("interrupting")
def test_a_workflow_that_was_stopped_names_the_command_that_resumes_it_also_as_json(cli: Any):
    Path("one.toml").write_text('[workflow]\nname = "one"\n[steps.a]\ntype = "say"\ntext = "a"\n')
    ended = cli("workflow", "run", "one.toml", "--run-id", "r1", "--json")
    assert ended.code == 130
    error = json.loads(ended.err.splitlines()[-1])["error"]
    assert (error["code"], error["mend"]) == ("stopped", "to run what is left: mahavishnu workflow resume r1")


@pytest.mark.usefixtures("interrupting")
def test_what_was_drained_from_the_queue_when_it_was_stopped_is_run_by_the_next_drain(cli: Any):
    cli.ok("targets", "disable", "interrupt")
    cli.add("shout", cost_per_run="1")
    cli.ok("budgets", "set", "all", "--limit", "1", "--on-exhausted", "queue")
    assert cli("execute", "a", "-t", "say").code == 0
    assert cli("execute", "b", "-t", "say").code == 6
    cli.ok("budgets", "set", "all", "--limit", "5")
    cli.ok("targets", "disable", "shout")
    cli.ok("targets", "enable", "interrupt")
    sentence = stopped(cli("budgets", "drain"))
    assert sentence == "Stopped; the tasks that have not ended are run by the next: mahavishnu budgets drain"
    cli.ok("targets", "disable", "interrupt")
    cli.ok("targets", "enable", "shout")
    assert cli.ok("budgets", "drain") == {"ran": 1, "expired": 0, "waiting": 0}


def interrupt(*_: Any, **__: Any) -> Any:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("command", "module", "name", "how"),
    [
        (("schedule", "run", "fold"), "mahavishnu.jobs.schedule", "run_job", "what it wrote stays, and the next run"),
        (("store", "backup", "b"), "mahavishnu.storage.backup", "take_backup", "b was not written"),
        (("store", "restore", "b"), "mahavishnu.storage.backup", "restore_backup", "run the same command again"),
    ],
)
def test_a_job_and_a_command_on_the_store_say_what_is_safe(cli: Any, monkeypatch: Any, command, module, name, how):
    """The interruption comes where the work would be done."""
    monkeypatch.setattr(f"{module}.{name}", interrupt)
    assert how in stopped(cli(*command))
