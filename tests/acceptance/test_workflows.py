"""workflow run, status, list, cancel and resume."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import CONSOLE_SCRIPT

FUNCTIONS = '''
import asyncio
from pathlib import Path

def note(text):
    """Leaves a trace of every run; is ill until there is a file that says otherwise."""
    with open("written", "a") as file:
        file.write(text.split()[0] + "\\n")
    if text.startswith("ill") and not Path("well").exists():
        raise ValueError("it is ill")
    return {"said": text, "rows": [1, 2]}

async def hang(text):
    """Says through a pipe that it has begun, and goes on once there is a file of that name."""
    Path("begun").write_text(text)
    while not Path(text).exists():
        await asyncio.sleep(0.02)
    return text
'''

TRIANGLE = """
[workflow]
name = "triangle"
[workflow.inputs]
topic = "bridges"
[steps.load]
type = "say"
text = "load {{ inputs.topic }}"
[steps.left]
type = "say"
needs = ["load"]
text = "left {{ load.value.rows.1 }}"
[steps.wait]
type = "wait"
needs = ["left"]
text = "go-on"
[steps.join]
type = "say"
needs = ["left", "wait"]
text = "join {{ left.value.said }} and {{ wait.value }}"
"""

BRANCHES = """
[workflow]
name = "branches"
[steps.good]
type = "say"
text = "good"
[steps.bad]
type = "say"
text = "ill"
[steps.worse]
type = "say"
needs = ["bad", "good"]
text = "worse"
[steps.better]
type = "say"
needs = ["good"]
text = "better"
"""

TYPES = {"note": "say", "hang": "wait"}


@pytest.fixture(autouse=True)
def targets(folder: Path, cli: Any) -> None:
    (folder / "functions.py").write_text(FUNCTIONS)
    (folder / "triangle.toml").write_text(TRIANGLE)
    (folder / "branches.toml").write_text(BRANCHES)
    for name, task_type in TYPES.items():
        cli.add(name, task_type=task_type)


@contextmanager
def waiting_in_the_middle(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """The triangle in a process of its own, which waits in one of its steps; ended the hard way at the latest."""
    os.mkfifo("begun")
    command = [CONSOLE_SCRIPT, "workflow", "run", "triangle.toml", "--run-id", "r1", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        try:
            assert Path("begun").read_text() == "go-on"
            Path("begun").unlink()
            yield running
        finally:
            running.kill()


def statuses(report: Any) -> dict[str, str]:
    return {each["step"]: each["status"] for each in report["steps"]}


def plain(shown: bytes) -> str:
    """Without what moves the cursor and gives colours."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode(errors="replace"))


def written() -> Counter[str]:
    return Counter(Path("written").read_text().split())


# -- running -----------------------------------------------------------------------------------------------------------


def test_only_the_file_is_needed_and_what_nothing_else_needs_is_printed(cli: Any, folder: Path):
    (folder / "go-on").touch()
    ended = cli("workflow", "run", "triangle.toml")
    assert ended.code == 0
    assert '"said": "join left 2 and go-on"' in ended.out
    assert '"said": "left' not in ended.out
    told = ended.err.splitlines()
    assert told[0].startswith("Run ")
    assert told[0].endswith(" of triangle.")
    assert told[1] == "load running"
    assert any(line.startswith("join succeeded on note in ") for line in told)
    run_id = told[0].split()[1]
    assert f"Run {run_id} of triangle succeeded" in ended.out
    assert statuses(cli.ok("workflow", "status", run_id)) == dict.fromkeys(
        ("load", "left", "wait", "join"), "succeeded"
    )


def test_the_json_says_of_every_step_where_it_ran_and_what_it_brought(cli: Any, folder: Path):
    (folder / "go-on").touch()
    report = cli.ok("workflow", "run", "triangle.toml", "--run-id", "r1", "--input", "topic=tunnels")
    assert {name: report[name] for name in ("run_id", "workflow", "place", "status", "reason")} == {
        "run_id": "r1",
        "workflow": "triangle",
        "place": "here",
        "status": "succeeded",
        "reason": None,
    }
    load = report["steps"][0]
    assert (load["step"], load["target"], load["attempts"], load["cost_usd"]) == ("load", "note", 1, 0)
    assert load["value"] == {"said": "load tunnels", "rows": [1, 2]}
    (decision,) = [each for each in cli.ok("decisions") if each["decision_id"] == load["decision_id"]]
    assert decision["task"]["tags"] == {"workflow": "triangle", "workflow_run": "r1", "step": "load"}
    assert cli.ok("workflow", "status", "r1") == report


def test_inputs_keep_their_json_types(cli: Any, folder: Path):
    step = '[steps.one]\ntype = "say"\ntext = "{{ inputs.n }} {{ inputs.words.1 }}"\n'
    (folder / "w.toml").write_text(f'[workflow]\nname = "w"\n{step}')
    given = ("--inputs", '{"n": 1, "words": ["a", "b"]}', "--input", "n=two=2")
    report = cli.ok("workflow", "run", "w.toml", *given)
    assert report["steps"][0]["value"]["said"] == "two=2 b"


def test_a_failed_step_stops_only_what_needs_it_and_a_resumed_run_does_the_rest(cli: Any, folder: Path):
    ended = cli("workflow", "run", "branches.toml", "--run-id", "r1", "--json")
    assert ended.code == 1
    report = ended.json
    assert (report["status"], report["reason"]) == ("failed", "bad did not succeed")
    assert statuses(report) == {"good": "succeeded", "bad": "failed", "worse": "skipped", "better": "succeeded"}
    assert "it is ill" in report["steps"][1]["reason"]
    assert report["steps"][2]["reason"] == 'needs "bad", which failed'
    assert json.loads(ended.err.splitlines()[-1])["error"]["mend"] == "mahavishnu workflow resume r1"
    assert cli("workflow", "status", "r1").out.count("skipped") == 1

    (folder / "well").touch()
    before = written()
    resumed = cli.process("workflow", "resume", "r1", "--json")
    assert resumed.code == 0, resumed.err
    assert set(statuses(resumed.json).values()) == {"succeeded"}
    assert resumed.json["steps"][0] == report["steps"][0]
    assert written() - before == Counter({"ill": 1, "worse": 1})
    assert [(each["run_id"], each["status"], each["steps"]) for each in cli.ok("workflow", "list")] == [
        ("r1", "succeeded", 4)
    ]


def test_a_resumed_run_shows_finished_steps_as_kept_and_not_as_run_again(cli: Any, folder: Path):
    cli("workflow", "run", "branches.toml", "--run-id", "r1")
    (folder / "well").touch()
    resumed = cli("workflow", "resume", "r1")
    assert resumed.code == 0, resumed.err
    first, *told = resumed.err.splitlines()
    assert first == "Run r1 of branches."
    assert [line.partition(" on ")[0] for line in told[:2]] == ["good kept: succeeded", "better kept: succeeded"]
    assert Counter(line.split()[0] for line in told) == Counter({"good": 1, "better": 1, "bad": 2, "worse": 2})
    rows = dict(line.split()[:2] for line in resumed.out.splitlines()[2:6])
    assert rows == {"good": "kept", "bad": "succeeded", "worse": "succeeded", "better": "kept"}
    again = cli("workflow", "run", "branches.toml", "--run-id", "r1")
    assert [line.split()[1] for line in again.err.splitlines()[1:]] == ["kept:"] * 4


def test_the_deadline_of_the_whole_ends_it(cli: Any, folder: Path):
    (folder / "triangle.toml").write_text(TRIANGLE.replace('"triangle"', '"triangle"\ndeadline_ms = 1500'))
    (folder / "begun").touch()
    ended = cli("workflow", "run", "triangle.toml", "--json")
    assert ended.code == 1
    assert (ended.json["status"], ended.json["reason"]) == ("timed_out", "the workflow's deadline passed")
    assert statuses(ended.json) == {"load": "succeeded", "left": "succeeded", "wait": "failed", "join": "skipped"}


def test_the_same_run_id_again_repeats_nothing_and_belongs_to_one_workflow(cli: Any, folder: Path):
    (folder / "go-on").touch()
    first = cli.ok("workflow", "run", "triangle.toml", "--run-id", "r1")
    assert cli.ok("workflow", "run", "triangle.toml", "--run-id", "r1")["steps"] == first["steps"]
    assert set(written().values()) == {1}
    ended = cli("workflow", "run", "triangle.toml", "--run-id", "r1", "--input", "topic=other")
    assert ended.code == 2
    assert ended.sentence.startswith('run "r1": it belongs to another workflow or to other inputs; choose another id')


def test_on_a_terminal_a_tree_shows_the_steps_while_it_runs(folder: Path):
    (folder / "begun").touch()
    ours, its = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "30"}
    command = [CONSOLE_SCRIPT, "workflow", "run", "triangle.toml", "--json"]
    shown = b""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=its, env=environ) as running:
        os.close(its)
        with suppress(OSError):  # how a terminal says that nobody writes to it any more
            while piece := os.read(ours, 65536):
                shown += piece
                if "▸ wait  running" in plain(shown):
                    (folder / "go-on").touch()
        os.close(ours)
    assert running.returncode == 0
    assert "triangle  run 01" in plain(shown)
    assert "✓ load  succeeded on note in " in plain(shown)
    assert "· join  waiting, after left too" in plain(shown)


# -- from another process ----------------------------------------------------------------------------------------------


def test_another_process_sees_how_it_stands_and_stops_it(cli: Any):
    with waiting_in_the_middle("--json") as running:
        seen = cli.process("workflow", "status", "r1", "--json").json
        assert (seen["status"], seen["ended_at"]) == ("running", None)
        assert statuses(seen) == {"load": "succeeded", "left": "succeeded", "wait": "running", "join": "waiting"}
        assert cli.ok("workflow", "list")[0]["status"] == "running"
        again = cli.process("workflow", "resume", "r1")
        assert (again.code, again.sentence) == (
            2,
            'run "r1": it is still running; wait for its end, or cancel it first.',
        )
        assert cli.process("workflow", "cancel", "r1").out == "Asked run r1 to stop.\n"
        out, err = running.communicate(timeout=60)
    assert running.returncode == 1
    report = json.loads(out)
    assert (report["status"], report["reason"]) == ("cancelled", "it was cancelled")
    assert statuses(report) == {"load": "succeeded", "left": "succeeded", "wait": "cancelled", "join": "cancelled"}
    assert json.loads(err.decode().splitlines()[-1])["error"]["mend"] == "mahavishnu workflow resume r1"
    assert [each["status"] for each in cli.ok("executions", "--target", "hang")] == ["cancelled"]
    ended = cli("workflow", "cancel", "r1", "--json")
    assert (ended.code, ended.json) == (1, {"run_id": "r1", "asked_to_stop": False})
    assert ended.sentence == "Run r1 has ended already; see: mahavishnu workflow status r1"


def test_killed_in_the_middle_and_resumed_no_finished_step_runs_twice(cli: Any, folder: Path):
    with waiting_in_the_middle() as running:
        running.kill()
        running.communicate()
    assert running.returncode == -signal.SIGKILL
    lost = cli.ok("workflow", "status", "r1")
    assert (lost["status"], statuses(lost)["load"], statuses(lost)["join"]) == ("lost", "succeeded", "waiting")
    (folder / "go-on").touch()
    (folder / "begun").touch()
    resumed = cli.process("workflow", "resume", "r1", "--json")
    assert resumed.code == 0, resumed.err
    assert set(statuses(resumed.json).values()) == {"succeeded"}
    assert resumed.json["steps"][3]["value"]["said"] == "join left 2 and go-on"
    assert written() == Counter({"load": 1, "left": 1, "join": 1})
    assert resumed.json["started_at"] == lost["started_at"]


def test_one_that_lost_its_process_can_be_cancelled_for_good(cli: Any):
    with waiting_in_the_middle() as running:
        running.kill()
    assert cli.ok("workflow", "cancel", "r1") == {"run_id": "r1", "asked_to_stop": True}
    report = cli.ok("workflow", "status", "r1")
    assert (report["status"], report["reason"]) == ("cancelled", "it was cancelled after its process was gone")


def test_ctrl_c_stops_it_cleanly_and_it_can_be_resumed(cli: Any, folder: Path):
    with waiting_in_the_middle() as running:
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert (running.returncode, out, err.decode().splitlines()[-1]) == (
        130,
        b"",
        "Stopped; to run what is left: mahavishnu workflow resume r1",
    )
    stopped = cli.ok("workflow", "status", "r1")
    assert (stopped["status"], stopped["reason"]) == ("cancelled", "the process that ran it was stopped")
    assert statuses(stopped) == {"load": "succeeded", "left": "succeeded", "wait": "cancelled", "join": "cancelled"}
    for file in ("go-on", "begun"):
        (folder / file).touch()
    assert cli.process("workflow", "resume", "r1").code == 0
    assert written() == Counter({"load": 1, "left": 1, "join": 1})


# -- what cannot be meant ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "nowhere.toml"], "nowhere.toml: cannot be read (No such file or directory); name another file."),
        (["run", "."], ".: cannot be read (Is a directory); name another file."),
        (["run", "functions.py"], "functions.py: is not TOML: "),
        (["run", "latin.toml"], "latin.toml: is not UTF-8 (byte "),
        (["run", "circle.toml"], 'workflow "w": goes in a circle: '),
        (["run", "typed.toml"], 'step "a": There is no task type "sya"; did you mean "say"?'),
        (
            ["run", "triangle.toml", "--input", "topci=x"],
            'workflow "triangle": takes no input "topci"; did you mean "topic"?',
        ),
        (["run", "triangle.toml", "--input", "topic"], "must look like key=value"),
        (["run", "triangle.toml", "--inputs", "[1]"], "must be a JSON object"),
        (["run", "triangle.toml", "--run-id", "two words"], "run 'two words': its id must be one word"),
        (["run", "triangle.toml", "--on", "perfect"], 'There is no adapter "perfect"; did you mean "prefect"?'),
        (["run", "triangle.toml", "--on", "prefect/"], "must be an adapter, or an adapter and its work pool"),
        (["run", "triangle.toml", "--on", "agno/x"], 'the adapter "agno" cannot carry out workflows'),
        (["run", "triangle.toml", "--folder", "x"], "is where workers work; name them with --on"),
        (["run", "triangle.toml", "--concurrency", "0"], 'Invalid value for "--concurrency"'),
        (["status", "nobody"], 'There is no workflow run "nobody"; mahavishnu workflow list shows what there is.'),
        (["cancel", "nobody"], 'There is no workflow run "nobody"; mahavishnu workflow list shows what there is.'),
        (["resume", "nobody"], 'There is no workflow run "nobody"; mahavishnu workflow list shows what there is.'),
    ],
)
def test_what_cannot_be_meant_exits_2_with_one_sentence_before_anything_runs(
    cli: Any, folder: Path, arguments: list[str], sentence: str
):
    head = '[workflow]\nname = "w"\n'
    (folder / "circle.toml").write_text(
        head + "".join(f'[steps.{a}]\ntype = "say"\ntext = "x"\nneeds = ["{b}"]\n' for a, b in ("ab", "ba"))
    )
    (folder / "typed.toml").write_text(f'{head}[steps.a]\ntype = "sya"\ntext = "x"\n')
    (folder / "latin.toml").write_bytes('name = "é"'.encode("latin-1"))
    ended = cli("workflow", *arguments)
    assert ended.code == 2, ended.err
    assert sentence in ended.sentence
    assert not (folder / "written").exists()
    assert cli.ok("workflow", "list") == []


def test_a_store_in_memory_cannot_be_shared_with_workers(cli: Any, folder: Path):
    Path("mahavishnu.toml").write_text(
        '[targets.note]\nrun = "functions:note"\ntask_types = ["say", "wait"]\n[store]\nurl = "memory:"\n'
    )
    ended = cli("workflow", "run", "triangle.toml", "--on", "prefect")
    assert ended.code == 2
    assert "the workers could not see a store in memory; name another one with --store" in ended.sentence


def test_without_a_run_the_list_says_so(cli: Any):
    assert cli("workflow", "list").out == "No workflow was run yet.\n"
    assert cli.ok("workflow", "list") == []
