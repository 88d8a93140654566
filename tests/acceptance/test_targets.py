"""targets: add, list, show, enable, disable, remove."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

CONFIGURED = '[targets.filed]\nrun = "functions:whisper"\ntask_types = "say"\ncost_per_run = 0.5\nmax_concurrent = 3\n'


def test_a_target_that_was_added_can_be_listed_and_shown(cli: Any):
    added = cli.ok(
        "targets", "add", "shout", "--run", "functions:shout", "--task-type", "say", "--task-type", "sing",
        "--capability", "loud", "--cost-per-run", "0.002", "--timeout-ms", "500",
        "--cost", "per_second_usd=0.5", "--max-cost-usd", "0.01", "--options", '{"isolated": true}',
    )  # fmt: skip
    (listed,) = cli.ok("targets", "list")
    assert listed == added
    assert listed == {
        "name": "shout",
        "adapter": "local",
        "run": "functions:shout",
        "task_types": ["say", "sing"],
        "capabilities": ["loud"],
        "cost_per_run_usd": 0.002,
        "cost": {"per_second_usd": 0.5},
        "price_version": listed["price_version"],
        "deployment": "local",
        "timeout_ms": 500,
        "max_concurrent": None,
        "max_cost_usd": 0.01,
        "options": {"isolated": True},
        "enabled": True,
        "source": "store",
        "health": "healthy",
        "detail": "",
        "breaker": "closed",
        "put_aside": [],
    }
    assert len(listed["price_version"]) == 12
    assert cli.ok("targets", "show", "shout") == {**listed, "stats": []}
    cli.ok("execute", "la", "-t", "sing")
    (stat,) = cli.ok("targets", "show", "shout")["stats"]
    assert (stat["task_type"], stat["n"]) == ("sing", 1)
    people = cli("targets", "show", "shout").out
    assert "functions:shout" in people
    assert "sing" in people
    assert "functions:shout" in cli("targets", "list").out


ADD = "mahavishnu targets add NAME --run MODULE:FUNCTION --task-type TYPE"


def test_where_there_is_no_target_yet_the_command_that_adds_one_is_named(cli: Any):
    sentence = f"There is no target yet; add one: {ADD}\n"
    assert cli("targets", "list").out == sentence
    assert cli("targets", "check").out == sentence
    for command in ("execute", "route"):
        ended = cli(command, "hello", "-t", "say")
        assert ended.code == 2
        assert ended.sentence == f'There is no task type "say"; there is no target yet, add one: {ADD}'
    assert (
        cli("targets", "show", "shout").sentence
        == f'There is no target "shout"; there is no target yet, add one: {ADD}'
    )


def test_a_disabled_target_stays_disabled_until_it_is_enabled(cli: Any):
    cli.add("shout")
    assert cli("targets", "disable", "shout").out == "Disabled shout.\n"
    assert cli.ok("targets", "list")[0]["enabled"] is False
    assert cli("execute", "hello", "-t", "say").code == 3
    assert cli("targets", "enable", "shout").out == "Enabled shout.\n"
    assert cli("execute", "hello", "-t", "say").code == 0


def test_a_removed_target_is_gone_and_its_history_is_not(cli: Any):
    cli.add("shout")
    cli.ok("execute", "hello", "-t", "say")
    assert cli("targets", "remove", "shout").out == "Removed shout.\n"
    assert cli.ok("targets", "list") == []
    assert len(cli.ok("executions")) == 1
    assert cli("targets", "list").out == f"There is no target yet; add one: {ADD}\n"


def test_a_target_of_the_file_can_be_disabled_and_only_the_file_can_take_it_away(cli: Any):
    Path("mahavishnu.toml").write_text(CONFIGURED)
    (listed,) = cli.ok("targets", "list")
    assert (listed["name"], listed["source"]) == ("filed", "configuration")
    assert (listed["cost_per_run_usd"], listed["max_concurrent"]) == (0.5, 3)
    refused = cli("targets", "remove", "filed")
    assert refused.code == 2
    assert "mahavishnu targets disable filed" in refused.sentence
    assert cli("targets", "disable", "filed").code == 0
    assert cli.ok("targets", "show", "filed")["enabled"] is False


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["shout", "--run", "functions:shout", "--task-type", "t"], 'Target "shout" already exists in the store'),
        (["a b", "--run", "functions:shout", "--task-type", "t"], "name must be one word"),
        (["x", "--run", " ", "--task-type", "t"], "run is empty"),
        (["x", "--run", "functions:shout", "--task-type", "a b"], "task_types holds 'a b'"),
        (["x", "--run", "functions:shout", "--task-type", "t", "--cost-per-run", "-1"], "cost_per_run is negative: -1"),
        (["x", "--run", "functions:shout", "--task-type", "t", "--cost-per-run", "inf"], "is not an amount of dollars"),
        (["x", "--run", "functions:shout", "--task-type", "t", "--timeout-ms", "0"], "timeout_ms must be at least 1"),
        (["x", "--run", "functions:shout", "--task-type", "t", "--options", "1"], "must be a JSON object"),
        (["x", "--run", "functions:shout", "--task-type", "t", "--adapter", "locl"], 'no adapter "locl"; did you mean'),
        (["x", "--run", "functions:shuot", "--task-type", "t"], "run cannot be used ("),
        (
            ["x", "--run", "functions:shout", "--task-type", "t", "--options", '{"isolatd": true}'],
            'has an unknown option "isolatd"; did you mean "isolated"?); mend that',
        ),
        (
            ["x", "--run", "functions:shout", "--task-type", "t", "--options", '{"foo": 1}'],
            'has an unknown option "foo"; it takes isolated); mend that',
        ),
        (["x", "--run", "nowhere:f", "--task-type", "t"], "or do it all the same with --no-check."),
        (["x", "--run", "functions:shout"], "Missing option"),
    ],
)  # fmt: skip
def test_a_target_that_cannot_work_is_not_added(cli: Any, arguments: list[str], sentence: str):
    cli.add("shout")
    ended = cli("targets", "add", *arguments)
    assert ended.code == 2
    assert sentence in ended.sentence
    assert [each["name"] for each in cli.ok("targets", "list")] == ["shout"]


def test_without_a_check_a_target_may_be_added_before_its_code_is_there(cli: Any):
    assert cli("targets", "add", "later", "--run", "nowhere:f", "--task-type", "t", "--no-check").code == 0
    (listed,) = cli.ok("targets", "list")
    assert listed["health"] == "misconfigured"
    assert "nowhere" in listed["detail"]
    assert cli("route", "hello", "-t", "t").code == 3


@pytest.mark.parametrize("command", ["show", "enable", "disable", "remove"])
def test_an_unknown_target_exits_2_and_offers_the_nearest(cli: Any, command: str):
    cli.add("shout")
    ended = cli("targets", command, "shuot")
    assert ended.code == 2
    assert ended.sentence == 'There is no target "shuot"; did you mean "shout"?'
