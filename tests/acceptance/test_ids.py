"""An id may be typed by its last letters, as narrow tables show it, wherever a command takes one."""

from __future__ import annotations

from typing import Any


def test_every_command_that_takes_an_id_takes_its_last_letters(cli: Any):
    cli.add("shout", cost_per_run="0.01")
    cli.ok("budgets", "set", "b", "--limit", "25")
    done = cli.ok("execute", "hello", "-t", "say")
    execution, decision = done["execution_id"], done["decision_id"]
    assert cli.ok("status", execution[-8:])["execution_id"] == execution
    assert cli.ok("status", execution[-9:].lower())["execution_id"] == execution
    assert cli.ok("executions", "--decision", decision[-8:])[0]["execution_id"] == execution
    assert cli.ok("outcome", decision[-8:], "--quality", "0.5")["decision_id"] == decision
    assert cli.ok("budgets", "bill", execution[-8:], "0.02")["entries"][0]["execution_id"] == execution
    assert cli.ok("store", "get", f"exec:{execution[-8:]}")["execution_id"] == execution
    assert cli.ok("store", "get", f"routing:{decision[-8:]}")["decision_id"] == decision
    assert decision in cli("cancel", decision[-8:]).sentence


def test_letters_that_end_no_id_are_unknown_as_they_were_typed(cli: Any):
    assert '"0123456789"' in cli("status", "0123456789").sentence
    assert cli("workflow", "status", "0123456789").code == cli("alerts", "ack", "0123456789").code == 2


def test_the_store_that_is_named_after_the_id_is_the_one_that_is_looked_into(cli: Any):
    cli.add("shout", store="sqlite:///other.db")
    done = cli.ok("execute", "hello", "-t", "say", "--store", "sqlite:///other.db")
    assert cli("status", done["execution_id"][-8:], "--store", "sqlite:///other.db").code == 0


def test_a_narrow_table_shows_ids_that_commands_take(cli: Any, monkeypatch: Any):
    cli.add("shout")
    for text in ("one", "two"):
        cli.ok("execute", text, "-t", "say")
    monkeypatch.setenv("COLUMNS", "60")
    ended = cli("executions")
    shown = [line.split()[0] for line in ended.out.splitlines()[2:]]
    assert ended.err.startswith("Not shown: started_at")
    assert all(len(each) >= 8 and cli("status", each).code == 0 for each in shown)
    assert "started_at" in cli("executions", "--wide").out
