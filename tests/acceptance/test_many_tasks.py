"""run: many tasks from a file, resumable."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest


def results(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_results_stand_in_the_order_of_the_tasks(cli: Any, tasks: Any, folder: Path):
    cli.add("shout", cost_per_run="0.001")
    texts = [f"text {number}" for number in range(50)]
    summary = cli.ok("run", tasks(*texts), "--out", "results.jsonl")
    assert summary == {
        "tasks": 50,
        "done": 50,
        "resumed": 0,
        "failed": 0,
        "queued": 0,
        "cost_usd": 0.05,
        "targets": {"shout": {"succeeded": 50, "failed": 0}},
    }
    written = results(folder / "results.jsonl")
    assert [each["line"] for each in written] == list(range(1, 51))
    assert [each["value"] for each in written] == [text.upper() for text in texts]
    assert set(written[0]) == {
        "line", "decision_id", "execution_id", "target", "status", "value", "latency_ms", "cost_usd", "replayed",
        "error_code", "error", "budget", "queued_id",
    }  # fmt: skip


def test_tasks_may_come_on_stdin_where_only_a_key_of_their_own_keeps_them_from_running_again(cli: Any, folder: Path):
    cli.add("write_down")
    lines = b'{"type": "say", "text": "a"}\n\n{"type": "say", "text": "b", "idempotency_key": "b"}\n'
    first = cli("run", "-", "--out", "results.jsonl", "--json", stdin=lines)
    assert (first.code, first.json["done"]) == (0, 2)
    assert [(each["line"], each["value"]) for each in results(folder / "results.jsonl")] == [(1, "a"), (3, "b")]
    again = cli("run", "-", "--json", stdin=lines).json
    assert (again["done"], again["resumed"]) == (1, 1)
    assert sorted(Path("written").read_text().split()) == ["a", "a", "b"]


def test_what_is_wrong_on_stdin_is_told_by_its_line_and_a_failure_does_not_advise_to_repeat_all(cli: Any):
    cli.add("broken")
    wrong = cli("run", "-", stdin=b'{"type": "say", "text": "a"}\n{"type": "say", "txt": "a"}\n')
    assert wrong.code == 2
    assert "stdin, line 2: has the unknown key" in wrong.sentence
    assert cli("run", "-", stdin=b"\xff\n").code == 2
    failed = cli("run", "-", stdin=b'{"type": "say", "text": "a"}\n')
    assert failed.code == 1
    assert failed.sentence.startswith("1 of 1 tasks failed; give each task an idempotency_key")


def test_the_same_command_again_repeats_nothing_that_succeeded(cli: Any, tasks: Any, folder: Path):
    cli.add("write_down")
    path = tasks("a", "b", "a")
    first = cli.ok("run", path, "--out", "results.jsonl")
    before = results(folder / "results.jsonl")
    second = cli.ok("run", path, "--out", "results.jsonl")
    after = results(folder / "results.jsonl")
    assert (first["done"], first["resumed"]) == (3, 0)
    assert (second["done"], second["resumed"], second["cost_usd"]) == (0, 3, 0)
    assert sorted((folder / "written").read_text().split()) == ["a", "a", "b"]
    assert [each["replayed"] for each in after] == [True] * 3
    assert [{**each, "replayed": False} for each in after] == before


def test_a_line_that_was_added_runs_alone(cli: Any, tasks: Any, folder: Path):
    cli.add("write_down")
    cli.ok("run", tasks("a", "b"))
    path = tasks("new", "a", "b", "a")
    summary = cli.ok("run", path)
    assert (summary["done"], summary["resumed"]) == (2, 2)
    assert Counter((folder / "written").read_text().split()) == {"a": 2, "b": 1, "new": 1}


def test_again_runs_everything_anew(cli: Any, tasks: Any, folder: Path):
    cli.add("write_down")
    path = tasks("a")
    tasks("b", mode="a", idempotency_key="mine")
    cli.ok("run", path)
    summary = cli.ok("run", path, "--again")
    assert (summary["done"], summary["resumed"]) == (2, 0)
    assert Counter((folder / "written").read_text().split()) == {"a": 2, "b": 2}


def test_what_failed_is_tried_again_by_the_same_command(cli: Any, tasks: Any, folder: Path):
    cli.add("shout")
    cli.add("broken", task_type="other")
    path = tasks("a")
    tasks("b", mode="a", type="other")
    ended = cli("run", path, "--out", "results.jsonl", "--json")
    assert ended.code == 1
    assert ended.sentence == "1 of 2 tasks failed; run the same command to try them again."
    assert (ended.json["done"], ended.json["failed"]) == (1, 1)
    failed = results(folder / "results.jsonl")[1]
    assert (failed["status"], failed["value"], failed["error_code"]) == ("failed", None, "task-failed")
    (folder / "functions.py").write_text("def shout(text): return 1\ndef broken(text): return 2\n")
    mended = cli.process("run", path, "--json")
    assert mended.code == 0
    assert (mended.json["done"], mended.json["resumed"]) == (1, 1)


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_run_that_was_killed_goes_on_where_it_was(cli: Any, tasks: Any, folder: Path, concurrency: int):
    cli.add("write_down")
    texts = [f"t{number}" for number in range(30)]
    path = tasks(*texts[:12], "die", *texts[12:])
    command = ("run", path, "--concurrency", concurrency, "--out", "results.jsonl", "--json")
    killed = cli.process(*command)
    assert killed.code == -9
    kept = results(folder / "results.jsonl")
    assert [each["line"] for each in kept] == list(range(1, len(kept) + 1))
    ended = cli.process(*command)
    assert ended.code == 0
    assert ended.json["done"] + ended.json["resumed"] == 31
    assert ended.json["resumed"] >= len(kept)
    finished = results(folder / "results.jsonl")
    assert [each["value"] for each in finished] == [*texts[:12], "die", *texts[12:]]
    assert [each["execution_id"] for each in finished[: len(kept)]] == [each["execution_id"] for each in kept]
    # What was in flight may have left its trace and not its record; nothing else ran twice.
    twice = [text for text, count in Counter((folder / "written").read_text().split()).items() if count > 1]
    assert len(twice) < concurrency
    lost = [each["execution_id"] for each in cli.ok("executions", "--status", "lost")]
    assert 1 <= len(lost) <= concurrency


def test_ctrl_c_stops_cleanly_and_loses_nothing(cli: Any, tasks: Any):
    cli.add("shout", task_type="quick")
    cli.add("interrupt")
    path = tasks("a", "b", type="quick")
    tasks("c", mode="a")
    ended = cli.process("run", path, "--concurrency", "1")
    assert (ended.code, ended.out) == (130, "")
    assert ended.sentence == "Stopped; run the same command again to run what is left."
    statuses = [(each["target"], each["status"]) for each in cli.ok("executions")]
    assert statuses == [("interrupt", "cancelled"), ("shout", "succeeded"), ("shout", "succeeded")]


def test_people_get_a_summary(cli: Any, tasks: Any):
    cli.add("shout")
    ended = cli("run", tasks("a", "b"))
    assert ended.out.startswith("2 done, 0 done before, 0 failed of 2 tasks, $0.\n")
    assert "shout" in ended.out
    assert ended.err == ""


def test_a_line_may_say_everything_that_execute_can(cli: Any, folder: Path):
    cli.add("shout", "whisper")
    line = {
        "task_type": "say",
        "text": "Hello",
        "payload": {"n": 1},
        "capabilities": [],
        "target": None,
        "exclude": ["shout"],
        "deadline_ms": 5000,
        "max_latency_ms": None,
        "idempotency_key": "k",
        "repeatable": False,
        "tags": {"who": "me"},
    }
    (folder / "t.jsonl").write_text(f"\n{json.dumps(line)}\r\n  \n", encoding="utf-8-sig")
    assert cli.ok("run", "t.jsonl")["targets"] == {"whisper": {"succeeded": 1, "failed": 0}}
    (decision,) = cli.ok("decisions")
    kept = decision["task"]
    assert (kept["type"], set(line) - set(kept)) == ("say", {"task_type"})
    assert {key: kept[key] for key in line if key != "task_type"} == {
        key: line[key] for key in line if key != "task_type"
    }


def test_a_file_without_tasks_is_done_at_once(cli: Any, tasks: Any):
    assert cli.ok("run", tasks())["tasks"] == 0


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("nonsense", "line 2: is not JSON: Expecting value at column 1"),
        ("[1]", "line 2: must be an object such as"),
        ("[" * 100_000, "line 2: is not JSON that can be read: it is nested too deeply"),
        ('{"text": "x"}', 'line 2: lacks the key "type"'),
        ('{"type": "say", "txt": "x"}', 'line 2: has the unknown key "txt" (did you mean "text"?)'),
        ('{"type": "say", "text": 5}', 'line 2: "text" must be a text in quotes, not 5'),
        ('{"type": "say", "text": ""}', "line 2: The task's text is empty"),
        ('{"type": "say", "text": "x", "deadline_ms": -1}', "line 2: The task's deadline_ms must be"),
        ('{"type": "sai", "text": "x"}', 'line 2: There is no task type "sai"; did you mean "say"'),
        ('{"type": "say", "text": "x", "target": "shuot"}', 'line 2: There is no target "shuot"; did you mean "shout"'),
        ('{"type": "say", "text": "x", "exclude": ["nobody"]}', 'line 2: There is no target "nobody"'),
        ('{"type": "say", "text": "x", "idempotency_key": "k"}', "belongs to a different task above; use another"),
        (json.dumps({"type": "say", "text": "x" * 1_000_001}), "has 1000001 bytes, above limits.max_text_bytes"),
    ],
)  # fmt: skip
def test_a_bad_line_is_named_and_nothing_is_run(cli: Any, folder: Path, line: str, sentence: str):
    cli.add("write_down")
    cli.add("shout")
    good = '{"type": "say", "text": "good", "idempotency_key": "k"}'
    (folder / "t.jsonl").write_text(f"{good}\n{line}\n")
    ended = cli("run", "t.jsonl", "--out", "results.jsonl")
    assert ended.code == 2
    assert sentence in ended.sentence
    assert ended.sentence.endswith("; nothing was run; see: mahavishnu run --help")
    assert not (folder / "written").exists()
    assert not (folder / "results.jsonl").exists()


def test_only_the_first_bad_lines_are_named(cli: Any, folder: Path):
    (folder / "t.jsonl").write_text("x\n" * 100)
    sentence = cli("run", "t.jsonl").sentence
    assert "line 3: is not JSON" in sentence
    assert "line 4" not in sentence
    assert "; and 97 more; nothing was run" in sentence


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere.jsonl"], "nowhere.jsonl cannot be read: No such file or directory"),
        (["."], "cannot be read: Is a directory"),
        (["latin.jsonl"], "latin.jsonl is not UTF-8 (byte 0)"),
        (["tasks.jsonl", "--out", "tasks.jsonl"], "is the file with the tasks; name another one"),
        (["tasks.jsonl", "--out", "no/where.jsonl"], "no/where.jsonl cannot be written: No such file or directory"),
        (["tasks.jsonl", "--concurrency", "0"], 'Invalid value for "--concurrency"'),
    ],
)
def test_files_that_cannot_be_used_exit_2(cli: Any, tasks: Any, folder: Path, arguments: list[str], sentence: str):
    cli.add("shout")
    before = tasks("a").read_text()
    (folder / "latin.jsonl").write_bytes(b"\xff\n")
    ended = cli("run", *arguments)
    assert ended.code == 2
    assert sentence in ended.sentence
    assert (folder / "tasks.jsonl").read_text() == before
    assert cli.ok("executions") == []
