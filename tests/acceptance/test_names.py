"""Names that a command is given: one that nothing carries is refused, and one that is known and has nothing says so."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from mahavishnu.model import registry


@pytest.fixture
def history(cli: Any) -> None:
    """One execution of "say" on shout; whisper and its task type "sing" are declared and have done nothing."""
    cli.add("shout")
    cli.add("whisper", task_type="sing")
    cli.ok("execute", "one", "-t", "say", "--tag", "team=search")


TASK_TYPE = 'There is no task type "sya"; did you mean "say"?'
TARGET = 'There is no target "shuot"; did you mean "shout"?'

READING = [
    (["routing", "stats", "-t", "sya"], TASK_TYPE),
    (["routing", "stats", "--target", "shuot"], TARGET),
    (["routing", "stats", "-t", "nosuch"], 'There is no task type "nosuch"; mahavishnu targets list shows what there'),
    (["routing", "stats", "-t", "sya", "--window", "7d"], TASK_TYPE),
    (["routing", "orders", "-t", "sya"], TASK_TYPE),
    (["routing", "frontier", "-t", "sya"], TASK_TYPE),
    (["routing", "plan", "--what-if", "sarch=5"], 'There is no budget "sarch"; did you mean "search"?'),
    (["routing", "plan", "--volume", "sya=5"], TASK_TYPE),
    (["routing", "plan", "--capacity", "shuot=5"], TARGET),
    (["routing", "plan", "--max-latency-ms", "sya=5"], TASK_TYPE),
    (["routing", "plan", "--min-success-rate", "sya=0.5"], TASK_TYPE),
    (["routing", "release", "shuot"], TARGET),
    (["routing", "release", "shout", "-t", "sya"], TASK_TYPE),
    (["decisions", "-t", "sya"], TASK_TYPE),
    (["executions", "-t", "sya"], TASK_TYPE),
    (["executions", "--target", "shuot"], TARGET),
    (["executions", "--decision", "foo"], 'There is no decision "foo"; mahavishnu decisions shows what there is.'),
    (["costs", "--by", "tag:taem"], 'There is no label "taem"; did you mean "team"?'),
    (["experiments", "power", "-t", "sya"], TASK_TYPE),
]


def test_a_reading_command_refuses_a_name_that_nothing_carries(cli: Any, history: None):
    cli.ok("budgets", "set", "search", "--limit", "5", "--period", "day")
    for arguments, words in READING:
        refused = cli(*arguments, "--json")
        assert (arguments, refused.code, refused.out) == (arguments, 2, "")
        assert refused.sentence.startswith(words)
        assert "--force" not in refused.sentence


def test_a_known_name_that_has_nothing_yet_says_so_by_name(cli: Any, history: None):
    assert cli("executions", "--target", "whisper").out == "No execution on target whisper yet.\n"
    assert cli("executions", "-t", "sing").out == "No execution for task type sing yet.\n"
    assert cli("executions", "--target", "shout", "--status", "lost").out == (
        "No execution on target shout with status lost yet.\n"
    )
    assert cli("decisions", "-t", "sing").out == "No decision for task type sing yet.\n"
    assert cli("routing", "stats", "-t", "sing").out == "Nothing has been run for task type sing yet.\n"
    assert cli("routing", "stats", "--target", "whisper", "--window", "7d").out == (
        "Nothing has been run on target whisper in the last 7 days.\n"
    )
    assert cli("routing", "orders", "-t", "sing").out.startswith("No order for task type sing yet; run:")
    assert cli.ok("executions", "--target", "whisper") == []


def test_what_was_removed_and_what_a_module_declares_are_known(cli: Any, folder: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(registry, "_registered", {})
    # Put back to what it was, which is absent: no other test sees the module or what it declares.
    monkeypatch.setitem(sys.modules, "declared", None)
    del sys.modules["declared"]
    (folder / "declared.py").write_text(
        "from mahavishnu import target\n\n@target(task_types=['greet'])\ndef hello(text):\n    return text\n"
    )
    (folder / "mahavishnu.toml").write_text('[adapters.local]\nmodules = ["declared"]\n')
    cli.add("shout")
    cli.ok("execute", "one", "-t", "say")
    cli.ok("targets", "remove", "shout")
    config = ("--config", "mahavishnu.toml")
    assert cli("executions", "--target", "hello", *config).out == "No execution on target hello yet.\n"
    assert cli("routing", "orders", "-t", "greet", *config).out.startswith("No order for task type greet yet")
    assert cli("executions", "--target", "shout", "--status", "lost").code == 0
    assert cli("executions", "-t", "say", "--status", "lost").code == 0


WRITING = [
    (["routing", "set-strategy", "sya", "cost"], TASK_TYPE),
    (["budgets", "set", "b", "--limit", "1", "--target", "shuot"], TARGET),
    (["budgets", "set", "b", "--limit", "1", "-t", "sya"], TASK_TYPE),
    (["budgets", "set", "b", "--limit", "1", "--adapter", "locl"], 'There is no adapter "locl"; did you mean "local"?'),
    (["routing", "set-budget", "b", "--limit", "1", "--target", "shuot"], TARGET),
    (["experiments", "start", "e", "-t", "sya", "--swap", "shout=whisper"], TASK_TYPE),
    (["experiments", "start", "e", "-t", "sya", "--swap", "shout=whisper", "--draft"], TASK_TYPE),
    (["experiments", "start", "e", "--swap", "shout=shuot"], TARGET),
]


def test_a_writing_command_refuses_a_name_that_nothing_carries(cli: Any, history: None):
    for arguments, words in WRITING:
        refused = cli(*arguments)
        assert (arguments, refused.code) == (arguments, 2)
        assert refused.sentence == f"{words} Where it is to come later, add --force."
    assert (cli.ok("budgets", "list"), cli.ok("routing", "strategies")) == ([], [])
    assert cli.ok("experiments", "list", "--all") == []


def test_a_writing_command_accepts_a_name_that_is_to_come_when_it_is_forced(cli: Any, history: None):
    forced = [
        ["routing", "set-strategy", "sya", "cost"],
        ["budgets", "set", "b", "--limit", "1", "--target", "shuot", "--adapter", "locl"],
        ["experiments", "start", "e", "-t", "sya", "--swap", "whisper=wisper"],
    ]
    for arguments in forced:
        assert (arguments, cli(*arguments, "--force").code) == (arguments, 0)


def test_a_name_that_was_forced_is_known_from_then_on(cli: Any, history: None):
    assert cli("routing", "set-strategy", "later", "cost", "--force").code == 0
    assert cli("routing", "set-strategy", "later", "--clear").code == 0
    assert cli("budgets", "set", "b", "--limit", "1", "--target", "tomorrow", "--force").code == 0
    assert cli("budgets", "set", "b", "--limit", "2").code == 0, "what stays as it was is not asked for again"
    assert cli("executions", "--target", "tomorrow").out == "No execution on target tomorrow yet.\n"


def test_a_refused_experiment_leaves_its_name_free(cli: Any, history: None):
    swap = ("--swap", "shout=whisper")
    assert cli("experiments", "start", "e", "-t", "nosuch", *swap).code == 2
    assert cli("experiments", "start", "first", "-t", "say", *swap).code == 0
    full = cli("experiments", "start", "e", "-t", "say", *swap)
    assert (full.code, "% of the units left" in full.sentence) == (2, True)
    assert cli("experiments", "start", "e", "-t", "say", "--layer", "other", *swap).code == 0
