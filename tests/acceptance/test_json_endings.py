"""A command that ends badly without an exception says so as JSON too, where --json was given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

WORKFLOW = """
[workflow]
name = "two"

[steps.one]
type = "break"
text = "x"
"""


def told(ended: Any) -> Any:
    """The error, which is the last line of stderr; what went on before it is told in lines."""
    return json.loads(ended.err.splitlines()[-1])["error"]


def test_tasks_of_a_file_that_failed_are_an_error_as_json(cli: Any, tasks: Any):
    cli.add("shout")
    cli.add("broken", task_type="break")
    tasks("a", "b")
    tasks("c", mode="a", type="break")
    plain, ended = cli("run", "tasks.jsonl", "--again"), cli("run", "tasks.jsonl", "--again", "--json")
    assert plain.code == ended.code == 1
    sentence = "1 of 3 tasks failed; run the same command to try them again."
    assert plain.err.splitlines()[-1] == sentence
    assert told(ended) == {
        "code": "tasks-failed",
        "message": sentence,
        "mend": "run the same command to try them again",
        "failed": 1,
        "tasks": 3,
    }
    assert ended.json["failed"] == 1


def test_a_workflow_that_failed_is_an_error_as_json_with_the_command_that_resumes_it(cli: Any):
    cli.add("broken", task_type="break")
    Path("two.toml").write_text(WORKFLOW)
    ended = cli("workflow", "run", "two.toml", "--run-id", "r1", "--json")
    assert (ended.code, ended.json["status"]) == (1, "failed")
    error = told(ended)
    assert (error["code"], error["run_id"]) == ("workflow-not-done", "r1")
    assert error["mend"] == "mahavishnu workflow resume r1"
    assert cli("workflow", "run", "two.toml", "--run-id", "r1").err.splitlines()[-1] == error["message"]


def test_what_could_not_be_stopped_is_an_error_as_json(cli: Any):
    cli.add("shout")
    cli.add("broken", task_type="break")
    Path("two.toml").write_text(WORKFLOW)
    cli("workflow", "run", "two.toml", "--run-id", "r1")
    decision_id = cli.ok("execute", "x", "-t", "say")["decision_id"]
    for words, code in ((("workflow", "cancel", "r1"), "already-ended"), (("cancel", decision_id), "not-stopped")):
        plain, ended = cli(*words), cli(*words, "--json")
        assert plain.code == ended.code == 1
        error = told(ended)
        assert (error["code"], error["message"]) == (code, " ".join(plain.err.split()))
        assert error["mend"].startswith("see: mahavishnu ")


def test_the_steps_of_a_run_are_shown_wide_where_that_is_asked_for(cli: Any, monkeypatch: pytest.MonkeyPatch):
    cli.add("broken", task_type="break")
    Path("two.toml").write_text(WORKFLOW)
    monkeypatch.setenv("COLUMNS", "40")
    narrow = cli("workflow", "run", "two.toml", "--run-id", "r1").out
    for words in (("run", "two.toml", "--run-id", "r1"), ("resume", "r1")):
        wide = cli("workflow", *words, "--wide").out
        assert "attempts" in wide
        assert "attempts" not in narrow.partition("Not shown")[0]
