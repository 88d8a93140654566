"""With --json an error is JSON on stderr, whichever error it is; the exit code is the same as without."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("decisions", "--nope"), 2, {"code": "usage", "mend": "see: mahavishnu decisions --help"}),
        (("execute", "hello", "-t", "say"), 2, {"code": "unknown-name", "kind": "task type", "name": "say"}),
        (("targets", "show", "nope"), 2, {"code": "unknown-name", "name": "nope", "nearest": None}),
        (("budgets", "set", "b"), 2, {"code": "invalid-budget", "budget": "b"}),
        (("store", "info", "--store", "nowhere://x"), 4, {"code": "store-unavailable"}),
    ],
)
def test_an_error_is_json_where_json_was_asked_for(cli: Any, arguments: tuple[str, ...], code: int, expected: Any):
    plain, told = cli(*arguments), cli(*arguments, "--json")
    assert plain.code == told.code == code
    assert told.out == ""
    error = json.loads(told.err)["error"]
    assert {name: error[name] for name in expected} == expected
    assert error["message"] == plain.sentence
    assert error["mend"] is None or error["mend"] in plain.sentence


def test_what_stands_after_two_dashes_is_text_and_asks_for_no_json(cli: Any):
    assert cli("execute", "-t", "say", "--", "--json").sentence.startswith("There is no task type")


def test_a_task_that_failed_says_so_as_json_beside_its_report(cli: Any):
    cli.add("broken")
    ended = cli("execute", "hello", "-t", "say", "--json")
    assert ended.code == 1
    error = json.loads(ended.err)["error"]
    assert error["code"] == "task-failed"
    assert error["decision_id"] == ended.json["decision_id"]
    assert error["mend"] == f"mahavishnu executions --decision {error['decision_id']}"


def test_every_command_that_changes_something_can_say_it_as_json(cli: Any):
    cli.add("shout")
    assert cli.ok("init") == {"file": "config/mahavishnu.toml"}
    assert Path("config/mahavishnu.toml").exists()
    assert cli.ok("targets", "disable", "shout") == {"target": "shout", "enabled": False}
    assert cli.ok("targets", "enable", "shout") == {"target": "shout", "enabled": True}
    assert cli.ok("targets", "remove", "shout") == {"target": "shout", "removed": True}
    assert set(cli.ok("store", "upgrade", "--store", "sqlite:///other.db")) == {"url", "schema"}


def test_numbers_in_json_are_numbers(cli: Any):
    cli.add("shout")
    detail = cli.ok("store", "info")["detail"]
    assert isinstance(detail["size_bytes"], int)
    assert isinstance(detail["cursor_lag"], int)
