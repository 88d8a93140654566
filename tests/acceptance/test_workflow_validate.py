"""workflow validate: all that workflow run would refuse, and nothing is run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

VALID = """
[workflow]
name = "digest"
inputs = { tone = "plain" }
[steps.find]
type = "say"
text = "{{ inputs.topic }} {{ inputs.tone }}"
[steps.write]
type = "say"
needs = ["find"]
text = "{{ find.value }}"
"""


def test_a_valid_workflow_is_said_to_be_so_and_nothing_is_run_or_recorded(cli: Any):
    cli.add("write_down")
    Path("w.toml").write_text(VALID)
    ended = cli("workflow", "validate", "w.toml", "--input", "topic=bridges")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "w.toml is valid: workflow digest with 2 steps (find, write) and the inputs tone, topic.\n"
    assert cli.ok("workflow", "validate", "w.toml", "--inputs", '{"topic": 1}') == {
        "file": "w.toml", "valid": True, "workflow": "digest", "steps": ["find", "write"],
        "inputs": {"tone": "plain", "topic": 1},
    }  # fmt: skip
    assert cli.ok("workflow", "list") == []
    assert cli.ok("executions") == []
    assert not Path("written").exists()


@pytest.mark.parametrize(
    ("before", "after", "flags"),
    [
        ('name = "digest"', 'nam = "digest"', ()),
        ('type = "say"\ntext', 'type = "sya"\ntext', ()),
        ('type = "say"\ntext', 'type = "say"\nneeds = ["write"]\ntext', ()),
        ('needs = ["find"]', 'needs = ["fnid"]', ()),
        ("", "", ("--input", "tpoic=x")),
        (VALID, "[", ()),
    ],
)
def test_what_a_run_would_refuse_is_refused_in_the_same_words_with_the_same_code(
    cli: Any, before: str, after: str, flags: tuple[str, ...]
):
    cli.add("shout")
    Path("w.toml").write_text(VALID.replace(before, after))
    given = ("w.toml", *(flags or ("--input", "topic=x")), "--json")
    ran = cli("workflow", "run", *given)
    validated = cli("workflow", "validate", *given)
    said = [
        json.loads(each.err)["error"]["message"].replace(" run --help", " validate --help") for each in (ran, validated)
    ]
    assert said[0] == said[1]
    assert (validated.code, validated.out) == (ran.code, "") == (2, "")


def test_an_input_that_a_run_would_miss_is_missed(cli: Any):
    cli.add("shout")
    Path("w.toml").write_text(VALID)
    ended = cli("workflow", "validate", "w.toml")
    assert ended.code == 2
    assert 'needs the input "topic"; give it with --input topic=…' in ended.sentence


def test_a_file_that_is_not_there_is_refused(cli: Any):
    assert cli("workflow", "validate", "nosuch.toml").sentence == cli("workflow", "run", "nosuch.toml").sentence
