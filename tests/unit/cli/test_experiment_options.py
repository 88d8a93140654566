"""Experiments as they are typed: the options, the file, and both together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer

from mahavishnu.cli.experiments.options import read_experiment
from mahavishnu.errors import InvalidExperiment
from mahavishnu.model.experiment import Change, Experiment, Guardrail, Measure, Step
from mahavishnu.model.objective import OBJECTIVES, Objective

FILE = """
hypothesis = "b is as good, and cheaper"
owner = "team"
task_types = ["say"]
share = 0.2
ramp = { "1h" = 0.3, "2d" = 0.5 }
primary = "cost"
promote = true

[treatment]
policy = "adaptive"
objective = { success = 3, cost = 1 }
instead = { a = "b" }

[control]
objective = "cost"

[[guardrails]]
measure = "cost"
margin = 0.1
limit = 0.5
"""


def typed(**options: Any) -> Experiment:
    return read_experiment("e", None, options)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "experiment.toml"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_what_is_not_typed_is_what_an_experiment_begins_with():
    assert typed(swap=["a=b"]) == Experiment(name="e", treatment=Change(instead=(("a", "b"),)))


def test_an_order_without_a_policy_goes_by_the_statistical_one():
    found = typed(order="a, b", task_types=["say"], control_policy="adaptive")
    assert found.treatment == Change(order=("a", "b"), policy="statistical")
    assert found.control == Change(policy="adaptive")
    assert typed(order="a,b", policy="adaptive", task_types=["say"]).treatment.policy == "adaptive"


def test_guardrails_have_a_margin_and_a_limit_and_the_primary_one_is_always_there():
    found = typed(policy="adaptive", guardrails=["latency:0.2:2000"])
    assert found.guardrails == (
        Guardrail(measure=Measure.SUCCESS),
        Guardrail(measure=Measure.LATENCY, margin=0.2, limit=2000),
    )
    assert typed(policy="adaptive", guardrails=["success:0.02"]).guardrails == (
        Guardrail(measure=Measure.SUCCESS, margin=0.02),
    )


def test_shares_ramp_in_steps_and_objectives_are_words_or_weights():
    found = typed(task_types=["say"], weights="success=3,cost=1", ramp="1h=.2,1d=.5", unit="user")
    assert found.ramp == (Step(after_s=3600, share=0.2), Step(after_s=86_400, share=0.5))
    assert found.treatment.objective == Objective(success=3, cost=1)
    assert typed(task_types=["say"], objective="batch").treatment.objective == OBJECTIVES["cost"]


def test_a_file_says_the_same_and_what_is_typed_beside_it_wins(file: Path):
    found = read_experiment("e", file, {"share": 0.4, "policy": "statistical", "owner": "me"})
    assert found == Experiment(
        name="e",
        hypothesis="b is as good, and cheaper",
        owner="me",
        task_types=frozenset({"say"}),
        share=0.4,
        ramp=(Step(after_s=3600, share=0.3), Step(after_s=172_800, share=0.5)),
        primary=Measure.COST,
        promote=True,
        treatment=Change(policy="statistical", objective=Objective(success=3, cost=1), instead=(("a", "b"),)),
        control=Change(objective=OBJECTIVES["cost"]),
        guardrails=(Guardrail(measure=Measure.COST, margin=0.1, limit=0.5),),
    )
    assert read_experiment("e", file, {"promote": False}).promote is False


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"swap": ["a"]}, "must look like a=b"),
        ({"control_swap": ["=b"], "policy": "adaptive"}, "must look like a=b"),
        ({"order": "a,,b"}, "names with commas"),
        ({"policy": "adaptive", "ramp": "1h"}, "key=value"),
        ({"policy": "adaptive", "ramp": "1h=many"}, "numbers such as 0.02"),
        ({"policy": "adaptive", "ramp": "soon=0.2"}, "with s, m, h or d"),
        ({"policy": "adaptive", "guardrails": ["latncy"]}, 'did you mean "latency"'),
        ({"policy": "adaptive", "guardrails": ["cost:1:2:3"]}, "measure:margin:limit"),
        ({"policy": "adaptive", "primary": "speed"}, '"speed" is none of success, latency'),
        ({"objective": "cost", "weights": "cost=1"}, "either --objective or --weights"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(options: dict[str, Any], words: str):
    with pytest.raises(typer.BadParameter, match=words):
        typed(**options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "say what the treatment changes"),
        ({"policy": "adaptive", "share": 1.5}, "below 1, not 1.5"),
        ({"policy": "adaptive", "ramp": "1d=.5,1h=.2"}, "one after the other"),
        ({"order": "a,b"}, "say which task types"),
        ({"policy": "adaptive", "guardrails": ["success:0.5"]}, "between 0 and 0.3"),
        ({"policy": "adaptive", "guardrails": ["success:0.1:3"]}, "one of latency or cost"),
    ],
)
def test_what_no_experiment_can_be_is_said_by_the_experiment(options: dict[str, Any], words: str):
    with pytest.raises(InvalidExperiment, match=words):
        typed(**options)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("share = ", "is not valid TOML"),
        ("shares = 0.1", 'unknown key "shares"; did you mean "share"'),
        ('[treatment]\npolicies = "a"', 'unknown key "treatment.policies"; did you mean "policy"'),
        ('share = "much"', '"share" must be a number'),
    ],
)
def test_a_file_that_says_something_else_is_refused_with_the_place(tmp_path: Path, text: str, words: str):
    path = tmp_path / "experiment.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(typer.BadParameter, match=words):
        read_experiment("e", path, {})


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path):
    with pytest.raises(typer.BadParameter, match="cannot be read: No such file"):
        read_experiment("e", tmp_path / "none.toml", {})
