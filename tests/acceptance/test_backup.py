"""store backup, restore and verify: a store as one file, and whole again somewhere else."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest


@pytest.fixture
def used(cli):
    """A store with a budget, some tasks that were run, and one day's aggregates."""
    cli.add("shout", cost_per_run="0.01")
    assert cli("budgets", "set", "team", "--limit", "1").code == 0
    for text in ("a", "b", "c"):
        assert cli("execute", text, "--task-type", "say").code == 0
    assert cli("execute", "d", "--task-type", "say", "--idempotency-key", "once").code == 0
    assert cli("routing", "recalculate").code == 0


def test_a_store_is_backed_up_checked_and_restored_somewhere_else(cli, used):
    said = cli("store", "backup", "monday.backup")
    assert said.code == 0
    assert said.err == ""
    assert said.out.startswith("monday.backup: ")
    assert "rows up to position" in said.out
    restored = cli("store", "restore", "monday.backup", "--store", "sqlite:///copy.db")
    assert restored.code == 0
    assert "count as lost" in restored.out
    assert "mahavishnu store verify" in restored.out
    checked = cli("store", "verify", "--store", "sqlite:///copy.db")
    assert checked.code == 0
    lines = checked.out.splitlines()
    assert all(line.startswith("ok      ") for line in lines[:-1])
    assert lines[-1].startswith(f"{len(lines) - 1} of {len(lines) - 1} checks passed")
    asked = ("executions", "--last", "10")
    assert cli.ok(*asked, "--store", "sqlite:///copy.db") == cli.ok(*asked)
    assert (
        cli("execute", "d", "--task-type", "say", "--idempotency-key", "once", "--store", "sqlite:///copy.db").out
        == "D\n"
    )
    assert len(cli.ok(*asked, "--store", "sqlite:///copy.db")) == 4


def test_the_json_names_every_file_with_its_hash(cli, used):
    manifest = cli.ok("store", "backup", "monday.backup")
    assert set(manifest["members"]) == {"store.db"}
    assert manifest["tables"]["executions"] == 4
    restored = cli.ok("store", "restore", "monday.backup", "--store", "sqlite:///copy.db")
    assert restored["manifest"] == manifest
    assert (restored["aside"], restored["upgraded_from"]) == (None, None)
    checked = cli.ok("store", "verify", "--store", "sqlite:///copy.db")
    assert (checked["ok"], checked["position"]) == (True, manifest["position"])
    assert {"name", "ok", "looked_at", "failures", "examples", "mend"} == set(checked["checks"][0])


def test_a_promise_that_is_broken_is_named_with_the_mend_and_ends_with_1(cli, used):
    with closing(sqlite3.connect("mahavishnu.db")) as connection, connection:
        connection.execute("UPDATE balances SET spent = spent + 1")
        connection.execute("DELETE FROM dailies")
    said = cli("store", "verify")
    assert said.code == 1
    failed = [line for line in said.out.splitlines() if line.startswith("FAILED")]
    assert failed[0].startswith("FAILED  balances equal the ledger: 1 wrong: team ")
    assert failed[1].endswith("To mend it, work them out again: mahavishnu routing recalculate --full")
    shown = cli("store", "verify", "--json")
    assert (shown.code, json.loads(shown.out)["ok"]) == (1, False)
    assert cli("routing", "recalculate", "--full").code == 0
    checks = json.loads(cli("store", "verify", "--json").out)["checks"]
    assert [check["name"] for check in checks if not check["ok"]] == ["balances equal the ledger"]


def test_what_is_in_the_way_is_refused_in_one_sentence(cli, used):
    Path("taken").write_text("precious")
    for arguments, code, sentence in (
        (
            ("backup", "taken"),
            2,
            "No backup is written to taken: it exists already; name another file, or",
        ),
        (("restore", "taken"), 4, "The backup taken cannot be restored: it is no backup of mahavishnu"),
        (("restore", "absent"), 4, "The backup absent cannot be restored: it cannot be opened"),
        (("backup", "x", "--store", "memory:"), 4, "gone with its process"),
        (("verify", "--store", "sqlite:///absent.db"), 4, "there is no file"),
    ):
        said = cli("store", *arguments)
        assert said.code == code
        assert sentence in said.sentence
    assert cli("store", "backup", "x.backup").code == 0
    assert "it is not empty; name another store, or add --force" in cli("store", "restore", "x.backup").sentence
    forced = cli("store", "restore", "x.backup", "--force")
    assert forced.code == 0
    assert "The store that was there before is now mahavishnu.replaced-" in forced.out


def test_progress_is_not_shown_where_no_person_looks(cli, used):
    ended = cli.process("store", "backup", "x.backup")
    assert (ended.code, ended.err) == (0, "")
