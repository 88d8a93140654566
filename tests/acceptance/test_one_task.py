"""route, execute and outcome."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest


def test_route_decides_and_says_why(cli: Any):
    cli.add("shout", "whisper", "broken")
    made = cli.ok("route", "hello", "--task-type", "say", "--seed", "7", "--exclude", "broken", "--policy=statistical")
    assert made["selected"] == "shout"
    assert made["reason"].startswith("Chose shout: ")
    assert made["alternatives"] == ["whisper"]
    assert made["seed"] == 7
    assert made["confidence"] == 0.0
    by_name = {each["target"]: each for each in made["candidates"]}
    assert [by_name[name]["eligible"] for name in ("shout", "whisper", "broken")] == [True, True, False]
    assert by_name["broken"]["why_not"] == "excluded by the task"
    assert sum(each["probability"] for each in made["candidates"]) == pytest.approx(1)
    assert by_name["shout"]["components"]["samples"] == 0
    assert cli.ok("executions") == []


def test_the_same_seed_makes_the_same_choice(cli: Any):
    cli.add("shout", "whisper")
    chosen = [cli.ok("route", "x", "-t", "say", "--seed", seed)["selected"] for seed in (1, 2, 3) for _ in "ab"]
    assert chosen[::2] == chosen[1::2]


def test_route_can_be_read_by_people_too(cli: Any):
    cli.add("shout", "whisper")
    ended = cli("route", "hello", "-t", "say", "--policy", "preference")
    assert ended.code == 0
    assert ended.out.startswith("Chose shout: ")
    assert re.search(r"^whisper ", ended.out, re.MULTILINE)
    assert "by preference" in ended.out


def test_execute_runs_and_answers(cli: Any):
    cli.add("shout", cost_per_run="0.002")
    made = cli.ok("execute", "hello", "-t", "say", "--payload", '{"n": 1}', "--tag", "who=me", "--tag", "why=")
    assert made["status"] == "succeeded"
    assert made["value"] == "HELLO"
    assert made["target"] == "shout"
    assert made["cost_usd"] == 0.002
    assert made["latency_ms"] > 0
    assert made["error"] is None
    (attempt,) = made["attempts"]
    assert attempt["execution_id"] == made["execution_id"]
    assert attempt["decision_id"] == made["decision_id"]
    started = datetime.fromisoformat(attempt["started_at"])
    assert started.utcoffset().total_seconds() == 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", attempt["started_at"])
    (decision,) = cli.ok("decisions")
    assert decision["task"]["payload"] == {"n": 1}
    assert decision["task"]["tags"] == {"who": "me", "why": ""}


def test_execute_prints_the_value_and_nothing_else_on_stdout(cli: Any):
    cli.add("shout", "whisper")
    text = cli("execute", "hello", "-t", "say", "--target", "shout")
    assert (text.code, text.out) == (0, "HELLO\n")
    assert re.fullmatch(r"shout succeeded in [\d.]+ ms, \$0, decision \w{26}\.", text.sentence)
    value = cli("execute", "HELLO", "-t", "say", "--target", "whisper")
    assert value.json == {"quietly": "hello"}


def test_a_stream_is_printed_piece_by_piece(cli: Any):
    cli.add("shout", "broken")
    text = cli("execute", "hello", "-t", "say", "--target", "shout", "--stream")
    assert (text.code, text.out) == (0, "HELLO\n")
    first, last = cli("execute", "hello", "-t", "say", "--target", "shout", "--stream", "--json").out.splitlines()
    assert json.loads(first) == {"text": "HELLO"}
    assert json.loads(last)["value"] == "HELLO"
    assert cli("execute", "hello", "-t", "say", "--target", "broken", "--stream").code == 1


def test_a_failing_target_is_followed_by_the_next(cli: Any):
    cli.add("broken", "shout")
    made = cli.ok("execute", "hello", "-t", "say", "--policy", "preference")
    assert made["target"] == "shout"
    assert [(each["target"], each["status"], each["fallback"]) for each in made["attempts"]] == [
        ("broken", "failed", False),
        ("shout", "succeeded", True),
    ]


def test_the_same_key_never_runs_twice(cli: Any):
    cli.add("write_down")
    first = cli.ok("execute", "once", "-t", "say", "--idempotency-key", "k")
    second = cli.ok("execute", "once", "-t", "say", "--idempotency-key", "k")
    assert second["execution_id"] == first["execution_id"]
    assert (first["replayed"], second["replayed"]) == (False, True)
    assert Path("written").read_text() == "once\n"
    other = cli("execute", "other", "-t", "say", "--idempotency-key", "k")
    assert other.code == 2
    assert "already belongs to a different task" in other.sentence


def test_a_dash_reads_the_text_from_stdin(cli: Any):
    cli.add("shout")
    ended = cli("execute", "-", "-t", "say", stdin="grüß dich".encode())
    assert (ended.code, ended.out) == (0, "GRÜSS DICH\n")
    wrong = cli("execute", "-", "-t", "say", stdin=b"\xff")
    assert wrong.code == 2
    assert "is not UTF-8" in wrong.sentence


def test_an_outcome_counts(cli: Any):
    cli.add("shout", "whisper")
    decision = cli.ok("execute", "hello", "-t", "say", "--target", "shout")["decision_id"]
    recorded = cli.ok(
        "outcome", decision, "--failed", "--wrong", "--corrected-to", "whisper", "--quality", "0.25", "--note", "why"
    )
    assert recorded["decision_id"] == decision
    assert (recorded["completed"], recorded["correct"], recorded["corrected_to"]) == (False, False, "whisper")
    (stat,) = cli.ok("routing", "stats")
    assert (stat["n"], stat["successes"], stat["quality"]) == (1, 0, 0.25)
    kept = cli.ok("store", "get", f"routing:{decision}")["outcomes"]
    assert [each["note"] for each in kept] == ["why"]
    assert cli("outcome", decision, "--completed").out.startswith("Recorded outcome ")
    assert cli.ok("routing", "stats")[0]["successes"] == 1


# -- what goes wrong, and its exit code --------------------------------------------------------------------------------


def test_a_task_that_fails_everywhere_exits_1_and_still_prints_its_result(cli: Any):
    cli.add("broken")
    ended = cli("execute", "hello", "-t", "say", "--json")
    assert ended.code == 1
    assert (ended.json["status"], ended.json["value"], ended.json["error_code"]) == ("failed", None, "task-failed")
    assert ended.sentence.startswith(
        "The task failed, no target is left to try: broken failed (ValueError: it is broken)"
    )
    assert cli("execute", "hello", "-t", "say").out == ""


def test_what_a_target_refuses_exits_2(cli: Any):
    cli.add("picky")
    ended = cli("execute", "hello", "-t", "say", "--json")
    assert ended.code == 2
    assert (ended.json["status"], ended.json["error_code"]) == ("refused", "refused")
    decision = ended.json["decision_id"]
    assert ended.sentence == f"picky refused the task (decision {decision}): I do not take that."


@pytest.mark.parametrize("command", ["route", "execute"])
def test_when_nothing_is_eligible_it_exits_3_and_says_why_for_each(cli: Any, command: str):
    cli.add("shout", "whisper")
    assert cli("targets", "disable", "whisper").code == 0
    ended = cli(command, "hello", "-t", "say", "--exclude", "shout", "--json")
    assert ended.code == 3
    assert "shout: excluded by the task" in ended.sentence
    assert "whisper: disabled" in ended.sentence
    (decision,) = cli.ok("decisions")
    assert decision["selected"] is None
    assert ended.json["decision_id"] == decision["decision_id"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["hello", "-t", "say", "--target", "shuot"], 'There is no target "shuot"; did you mean "shout"?'),
        (["hello", "-t", "say", "--exclude", "nobody"], 'There is no target "nobody"; mahavishnu targets list shows'),
        (["hello", "-t", "sai"], 'There is no task type "sai"; did you mean "say"?'),
        (["hello", "-t", "say", "--policy", "dice"], 'There is no policy "dice"; mahavishnu doctor shows'),
        (["", "-t", "say"], "The task's text is empty and there is no payload; say what is to be done."),
        (["hello", "-t", "say", "--deadline-ms", "-5"], "deadline_ms must be a whole number of milliseconds, from 1"),
        (["hello", "-t", "say", "--payload", "{"], 'Invalid value for "--payload": not valid JSON'),
        (["hello", "-t", "say", "--payload", "[1]"], 'must be a JSON object such as {"key": 1}, not [1]'),
        (["hello", "-t", "say", "--tag", "who"], 'Invalid value for "--tag": must look like key=value, not who'),
        (["hello", "-t", "say", "--seed", "-1"], 'Invalid value for "--seed": must lie between 0 and'),
        (["hel\udcfflo", "-t", "say"], 'Invalid value for "TEXT": it is not UTF-8'),
        (["hello"], "Missing option"),
        ([], "Missing argument"),
        (["hello", "-t", "say", "--nonsense"], "No such option"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["route", "execute"])
def test_bad_input_exits_2_with_one_sentence(cli: Any, command: str, arguments: list[str], sentence: str):
    cli.add("shout")
    ended = cli(command, *arguments)
    assert ended.code == 2
    assert ended.out == ""
    assert sentence in ended.sentence
    assert cli.ok("decisions") == []


def test_a_text_of_10_mb_is_refused_in_one_sentence(cli: Any):
    cli.add("shout")
    ended = cli("execute", "-", "-t", "say", stdin=b"x" * 10_000_000)
    assert ended.code == 2
    assert "has 10000000 bytes, above limits.max_text_bytes 1000000" in ended.sentence


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["01KB2Q7YV0S3J4N5P6R7T8V9WX", "--completed"], "There is no decision"),
        (["nonsense", "--completed"], "There is no decision"),
        (["DECISION"], "The outcome says nothing"),
        (["DECISION", "--quality", "1.5"], "has quality 1.5; it must lie between 0 and 1"),
        (["DECISION", "--correct", "--corrected-to", "shout"], 'says "correct" and also corrects'),
        (["DECISION", "--wrong", "--corrected-to", "nobody"], 'There is no target "nobody"'),
    ],
)
def test_an_outcome_that_cannot_be_meant_exits_2(cli: Any, arguments: list[str], sentence: str):
    cli.add("shout")
    decision = cli.ok("execute", "hello", "-t", "say")["decision_id"]
    ended = cli("outcome", *(each.replace("DECISION", decision) for each in arguments))
    assert ended.code == 2
    assert sentence in ended.sentence


def test_what_a_target_says_cannot_move_the_cursor_of_a_terminal(cli: Any, folder: Path):
    (folder / "functions.py").write_text("def broken(text):\n    raise ValueError('\\x1b[2Jgone\\r\\n')\n")
    cli.add("broken")
    ended = cli("execute", "hello", "-t", "say")
    assert ended.code == 1
    assert "\x1b" not in ended.sentence
    assert "\x1b" not in cli("executions").out
    assert json.loads(cli("executions", "--json").out)[0]["error"].startswith("ValueError: \x1b[2J")
