"""What the command line shows of rows that this version cannot read: each as such, and everything else as ever."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

FILE = "mahavishnu.db"


def by_hand(statement: str, *values: object) -> None:
    with closing(sqlite3.connect(FILE)) as connection, connection:
        connection.execute(statement, values)


def test_a_budget_that_cannot_be_read_is_shown_refuses_what_it_covers_and_can_be_set_anew(cli: Any):
    cli.add("shout")
    cli.ok("budgets", "set", "team", "--limit", "1", "--target", "shout")
    cli.ok("budgets", "set", "well", "--limit", "2")
    by_hand("UPDATE budgets SET body = replace(body, 'total', 'fortnight') WHERE name = 'team'")
    team, well = cli.ok("budgets", "list")
    assert (team["budget"], team["target"], team["unreadable"]) == (
        "team", "shout", "'fortnight' is not a valid Period",
    )  # fmt: skip
    assert (well["unreadable"], well["limit_usd"]) == (None, "2")
    shown = cli("budgets", "list")
    assert shown.code == 0
    assert "unreadable" in shown.out
    assert "set it anew: mahavishnu budgets set team --limit USD" in shown.err
    assert cli("budgets", "show", "team").code == 0
    refused = cli("execute", "hello", "-t", "say")
    assert refused.code != 0
    assert "budget team cannot be read by this version" in refused.err
    row = next(each for each in cli("doctor", "--json").json if each["check"] == "budget team")
    assert (row["status"], "budgets set team" in row["mend"]) == ("broken", True)
    cli.ok("budgets", "set", "team", "--limit", "3")
    team, _ = cli.ok("budgets", "list")
    assert (team["target"], team["limit_usd"], team["unreadable"]) == ("shout", "3", None)
    assert cli("execute", "hello", "-t", "say").code == 0


def test_a_target_that_cannot_be_read_is_listed_as_such_and_can_be_removed(cli: Any):
    cli.add("shout", "whisper")
    by_hand("UPDATE targets SET body = '{}' WHERE name = 'shout'")
    whisper, shout = cli.ok("targets", "list")
    assert (whisper["name"], whisper["health"]) == ("whisper", "healthy")
    assert (shout["name"], shout["health"]) == ("shout", "unreadable")
    assert (whisper["put_aside"], shout["put_aside"]) == ([], [])
    assert 'it lacks the field "' in shout["detail"]
    assert cli("targets", "list").code == 0
    assert cli("execute", "hello", "-t", "say").code == 0
    assert any(each["check"] == "target shout" for each in cli("doctor", "--json").json)
    assert cli("targets", "remove", "shout").code == 0
    assert [each["name"] for each in cli.ok("targets", "list")] == ["whisper"]


def test_an_experiment_that_cannot_be_read_is_listed_as_such(cli: Any):
    cli.add("shout", "whisper")
    for name in ("one", "two"):
        made = cli("experiments", "start", name, "--swap", "shout=whisper", "--layer", name)
        assert made.code == 0, made.err
    by_hand("UPDATE experiments SET body = ? WHERE name = 'one'", json.dumps({"name": "one"}))
    two, one = cli.ok("experiments", "list")
    assert (two["name"], two["status"]) == ("two", "running")
    assert (one["name"], one["status"]) == ("one", "unreadable")
    listed = cli("experiments", "list")
    assert (listed.code, "experiment one cannot be read" in listed.err) == (0, True)
