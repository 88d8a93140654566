"""decisions, executions, routing stats and the store: what happened can be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

UNKNOWN = "01KB2Q7YV0S3J4N5P6R7T8V9WX"


@pytest.fixture
def history(cli: Any) -> list[dict[str, Any]]:
    """Three executions: shout, broken and then shout, and sing on shout; the oldest first."""
    cli.add("broken", "shout")
    cli.add("whisper", task_type="sing")
    first = cli.ok("execute", "one", "-t", "say", "--target", "shout")
    second = cli("execute", "two", "-t", "say", "--policy", "preference", "--json").json
    third = cli.ok("execute", "three", "-t", "sing")
    return [first, second, third]


def test_decisions_come_the_newest_first(cli: Any, history: list[dict[str, Any]]):
    made = cli.ok("decisions")
    assert [each["decision_id"] for each in made] == [each["decision_id"] for each in reversed(history)]
    assert [each["decision_id"] for each in cli.ok("decisions", "--last", "1")] == [history[2]["decision_id"]]
    assert [each["selected"] for each in cli.ok("decisions", "--task-type", "say")] == ["broken", "shout"]
    people = cli("decisions").out
    assert all(each["decision_id"] in people for each in history)


def test_executions_can_be_narrowed(cli: Any, history: list[dict[str, Any]]):
    def targets(*flags: str) -> list[str]:
        return [each["target"] for each in cli.ok("executions", *flags)]

    assert targets() == ["whisper", "shout", "broken", "shout"]
    assert targets("--last", "2") == ["whisper", "shout"]
    assert targets("--target", "shout") == ["shout", "shout"]
    assert targets("--task-type", "sing") == ["whisper"]
    assert targets("--status", "failed") == ["broken"]
    assert targets("--decision", history[1]["decision_id"]) == ["shout", "broken"]
    assert targets("--status", "lost") == []
    people = cli("executions", "--status", "failed").out
    assert "ValueError: it is broken" in people
    assert cli("executions", "--status", "lost").out == "No execution with status lost yet.\n"
    wrong = cli("executions", "--status", "fine")
    assert wrong.code == 2
    assert '"fine" is not one of' in wrong.sentence


def test_routing_stats_say_what_is_known(cli: Any, history: list[dict[str, Any]]):
    stats = cli.ok("routing", "stats")
    assert [(each["task_type"], each["target"], each["n"], each["successes"]) for each in stats] == [
        ("say", "broken", 1, 0),
        ("say", "shout", 2, 2),
        ("sing", "whisper", 1, 1),
    ]
    shout = stats[1]
    assert shout["rate"] == 1
    assert shout["wilson_lo"] == pytest.approx(0.3424, abs=1e-4)
    assert shout["wilson_hi"] == 1
    assert 0 < shout["p50_ms"] <= shout["p95_ms"] <= shout["p99_ms"]
    assert shout["mean_cost_usd"] == 0
    assert 0.95 < shout["score"] < 1, "a function of this process is fast, and nothing is as fast as can be"
    assert shout["trusted"] is False
    assert stats[0]["p50_ms"] is None
    assert [each["target"] for each in cli.ok("routing", "stats", "--task-type", "sing")] == ["whisper"]
    assert [each["target"] for each in cli.ok("routing", "stats", "--target", "shout")] == ["shout"]
    assert "wilson_lo" in cli("routing", "stats").out


def test_without_history_the_lists_are_empty(cli: Any):
    for command in (["decisions"], ["executions"], ["routing", "stats"], ["targets", "list"]):
        assert cli.ok(*command) == []
        assert "yet" in cli(*command).out


def test_every_record_can_be_had_by_its_key(cli: Any, history: list[dict[str, Any]]):
    def get(key: str) -> dict[str, Any]:
        return cli.ok("store", "get", key)

    (first,) = cli.ok("executions", "--decision", history[0]["decision_id"])
    assert first["value"] == "ONE"
    assert get(f"exec:{first['execution_id']}") == first
    assert get(f"routing:{history[2]['decision_id']}") == {**cli.ok("decisions", "--last", "1")[0], "outcomes": []}
    whole = get("adapter:local:stats")
    assert (whole["n"], whole["successes"], whole["targets"]) == (4, 3, ["broken", "shout", "whisper"])
    say = get("task_type:say:local")
    assert (say["n"], say["successes"], say["targets"]) == (3, 2, ["broken", "shout"])
    assert say["p50_ms"] > 0


@pytest.mark.parametrize("key", ["", "x", "exec:x", "routing:", "adapter::stats", "adapter:local", "cost:2026:local"])
def test_a_key_of_no_known_form_exits_2_and_lists_the_forms(cli: Any, key: str):
    ended = cli("store", "get", key)
    assert ended.code == 2
    assert "exec:{ulid}, routing:{ulid}, adapter:{adapter}:stats, task_type:{type}:{adapter}" in ended.sentence


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (f"exec:{UNKNOWN}", "execution"),
        (f"routing:{UNKNOWN}", "decision"),
        ("adapter:far:stats", "record"),
        ("task_type:say:local", "record"),
    ],
)
def test_a_key_that_nothing_has_exits_2(cli: Any, key: str, kind: str):
    ended = cli("store", "get", key)
    assert ended.code == 2
    assert ended.sentence.startswith(f"There is no {kind} ")


def test_the_store_says_what_it_is(cli: Any, folder: Path):
    cli.add("shout")
    cli.ok("execute", "x", "-t", "say")
    info = cli.ok("store", "info")
    assert info["url"] == "sqlite:///mahavishnu.db"
    assert (info["rows"]["decisions"], info["rows"]["executions"], info["rows"]["targets"]) == (1, 1, 1)
    assert info["detail"]["journal_mode"] == "wal"
    assert info["schema"] in cli("store", "info").out
    assert cli("store", "upgrade").out == f"The store has schema {info['schema']}, which is what this version needs.\n"
    assert (folder / "mahavishnu.db").is_file()


def test_an_empty_store_is_set_up_by_upgrade(cli: Any, folder: Path):
    assert cli("store", "upgrade", "--store", "sqlite:///fresh.db").code == 0
    assert (folder / "fresh.db").is_file()
    assert cli("store", "upgrade", "--store", "memory:").code == 0


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("sqlite:///no/where.db", "does not exist; create it, or name another file."),
        ("sqlite:///.", "cannot be used: "),
        ("sqlite:///functions.py", "cannot be used: "),
        ("mysql://me@host/db", 'there is no store for "mysql"'),
        ("nonsense", "cannot be used: "),
        ("postgresql://me:s3cret@127.0.0.1:1/db", "The store postgresql://me:***@127.0.0.1:1/db cannot be used: "),
    ],
)
@pytest.mark.parametrize("command", [["decisions"], ["execute", "x", "-t", "say"]])
def test_a_store_that_cannot_be_used_exits_4(cli: Any, url: str, sentence: str, command: list[str]):
    ended = cli(*command, "--store", url)
    assert ended.code == 4
    assert sentence in ended.sentence
    assert "s3cret" not in ended.err
    assert ended.out == ""


def test_a_read_only_store_exits_4(cli: Any, folder: Path):
    cli.add("shout")
    (folder / "mahavishnu.db").chmod(0o444)
    ended = cli("execute", "x", "-t", "say")
    assert ended.code == 4
    assert ended.sentence.startswith("The store sqlite:///mahavishnu.db cannot be used: ")


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_failures_of_the_first_choice_make_a_new_process_choose_another(
    cli: Any, tasks: Any, kind: str, request: pytest.FixtureRequest
):
    url = "sqlite:///mahavishnu.db" if kind == "sqlite" else request.getfixturevalue("postgres")()
    for name in ("broken", "shout"):
        cli("targets", "add", name, "--run", f"functions:{name}", "--task-type", "say", "--store", url)
    assert cli.ok("route", "x", "-t", "say", "--seed", "1", "--store", url)["selected"] == "broken"
    Path("mahavishnu.toml").write_text("[breaker]\nconsecutive_failures = 10000\nwindow = 10000\n")
    ended = cli("run", tasks(*map(str, range(200)), target="broken"), "--store", url, "--json")
    assert (ended.code, ended.json["failed"]) == (1, 200)
    made = cli.process("route", "x", "-t", "say", "--seed", "1", "--json", "--store", url).json
    assert made["selected"] == "shout"
    by_name = {each["target"]: each for each in made["candidates"]}
    assert by_name["broken"]["probability"] < 0.01
    assert by_name["broken"]["components"]["samples"] == 200
