"""Workflows: what they may be, how a file says them, and what is said of one that cannot be meant."""

from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.engine.workflows.definitions import definition_of, read_workflow, workflow_of
from mahavishnu.errors import InputError
from mahavishnu.model.workflow import Step, Workflow

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
HEAD = '[workflow]\nname = "w"\n'


def refused(text: str) -> str:
    with pytest.raises(InputError) as raised:
        read_workflow(HEAD + text, "w.toml")
    sentence = str(raised.value)
    assert sentence.endswith((".", "?"))
    assert "\n" not in sentence
    return sentence


def steps(**needs: list[str]) -> str:
    return "".join(f'[steps.{name}]\ntype = "t"\ntext = "x"\nneeds = {each}\n' for name, each in needs.items())


def test_a_file_says_everything_that_a_workflow_can_be():
    workflow = read_workflow(
        """
        [workflow]
        name = "nightly"
        deadline_ms = 60_000
        inputs = { day = "Monday", most = 3 }
        tags = { team = "data" }
        [steps.load]
        type = "etl"
        text = "{{ inputs.day }}"
        [steps.store]
        type = "etl"
        needs = ["load"]
        payload = { rows = "{{ load.value.rows }}", most = "{{ inputs.most }}" }
        capabilities = ["vision"]
        target = "warehouse"
        exclude = ["laptop"]
        max_latency_ms = 500
        deadline_ms = 1000
        repeatable = false
        """
    )
    assert workflow == Workflow(
        name="nightly",
        deadline_ms=60_000,
        inputs={"day": "Monday", "most": 3},
        tags={"team": "data"},
        steps=(
            Step(name="load", type="etl", text="{{ inputs.day }}"),
            Step(
                name="store",
                type="etl",
                needs=("load",),
                payload={"rows": "{{ load.value.rows }}", "most": "{{ inputs.most }}"},
                capabilities=frozenset({"vision"}),
                target="warehouse",
                exclude=frozenset({"laptop"}),
                max_latency_ms=500,
                deadline_ms=1000,
                repeatable=False,
            ),
        ),
    )


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.name)
def test_the_examples_are_workflows_that_come_back_from_their_definitions(path):
    workflow = read_workflow(path.read_text(), str(path))
    assert len(workflow.steps) >= 4
    assert workflow_of(definition_of(workflow)) == workflow


NAMES = st.lists(st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,9}", fullmatch=True), min_size=1, max_size=8, unique=True)


@given(NAMES.filter(lambda names: "inputs" not in names), st.data())
def test_every_workflow_comes_back_from_its_definition(names, data):
    def step(place: int, name: str) -> Step:
        needs = data.draw(st.lists(st.sampled_from(names[:place]), unique=True)) if place else []
        payload = data.draw(st.dictionaries(st.text(), st.integers() | st.none()))
        known = {"max_latency_ms": None, "deadline_ms": data.draw(st.none() | st.integers(1, 10**6))}
        return Step(name=name, type="t", text="x", needs=tuple(needs), payload=payload, **known)

    workflow = Workflow(name="w", steps=tuple(step(*each) for each in enumerate(names)))
    assert workflow_of(definition_of(workflow)) == workflow


def test_a_step_can_say_all_that_a_definition_keeps_of_it():
    kept = definition_of(
        Workflow(name="w", steps=(Step(name="a", type="t", text="x", max_latency_ms=1, repeatable=False),))
    )
    assert kept["steps"]["a"] == {"type": "t", "text": "x", "max_latency_ms": 1, "repeatable": False}
    assert {each.name for each in fields(Step)} >= set(kept["steps"]["a"])


def test_a_need_that_is_no_step_is_named_with_the_nearest():
    assert refused(steps(load=[], use=["laod"])) == 'step "use": needs "laod", which is no step; did you mean "load"?'
    assert refused(steps(a=["zzz"], b=[])) == 'step "a": needs "zzz", which is no step; there are a, b.'


def test_a_circle_is_named_from_step_to_step():
    sentence = refused(steps(a=["c"], b=["a"], c=["b"], d=[]))
    circle = sentence.removeprefix('workflow "w": goes in a circle: ').split(" (")[0].split(" → ")
    assert circle[0] == circle[-1]
    assert sorted(circle[:-1]) == ["a", "b", "c"]
    # Each needs the one before it, as the sentence says.
    assert set(pairwise(circle)) == {("a", "b"), ("b", "c"), ("c", "a")}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "lacks the table [steps]"),
        ("[steps]", 'workflow "w": has no step; add one, such as [steps.first].'),
        (steps(a=["a"]), 'step "a": needs itself.'),
        (steps(a=[], b=["a", "a"]), 'step "b": names a step in needs twice.'),
        ('[steps."two words"]\ntype = "t"\ntext = "x"', "cannot be called that"),
        ('[steps.inputs]\ntype = "t"\ntext = "x"', "cannot be called that"),
        ('[steps.a]\ntype = "t"\ntxt = "x"', 'w.toml: unknown key "txt" in [steps.a]; did you mean "text"?'),
        ('[steps.a]\ntext = "x"', 'w.toml: [steps.a] lacks the key "type".'),
        ('[steps.a]\ntype = "t"', 'step "a": The task\'s text'),
        ('[steps.a]\ntype = "t"\ntext = "x"\nneeds = "b"', 'w.toml: "needs" in [steps.a]'),
        ('[steps.a]\ntype = "t"\ntext = "x"\ndeadline_ms = 0', "The task's deadline_ms"),
        ("[step.a]\n", 'w.toml: unknown key "step"; did you mean "steps"?'),
        (
            '[steps.a]\ntype = "t"\ntext = "{{ b.value }}"',
            'step "a": uses "b.value" and does not need "b"; add "b" to its',
        ),
        (
            '[steps.load]\ntype = "t"\ntext = "x"\n[steps.a]\ntype = "t"\nneeds = ["load"]\ntext = "{{ laod.value }}"',
            'does not need "laod"; did you mean "load"?',
        ),
        (
            steps(b=[]) + '[steps.a]\ntype = "t"\nneeds = ["b"]\ntext = "{{ b.text }}"',
            'what a step brought is "b.value".',
        ),
        ('[steps.a]\ntype = "t"\ntext = "{{ b"', 'step "a": opens "{{" and does not close it: {{ b.'),
        ('[steps.a]\ntype = "t"\npayload = { x = ["{{ b.value }}"] }', 'uses "b.value" and does not need "b"'),
        ("[steps.a", "w.toml: is not TOML: "),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_sentence_that_says_where(text, words):
    assert words in refused(text)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": "two words"}, "has a name that must be one word"),
        ({"deadline_ms": 0}, "deadline_ms must be a whole number of milliseconds"),
        ({"deadline_ms": True}, "deadline_ms must be a whole number of milliseconds"),
        ({"inputs": {"two words": 1}}, "has an input 'two words'"),
        ({"inputs": {"a": object()}}, "has inputs that cannot be written as JSON"),
        (
            {"steps": (Step(name="a", type="t", text="x"), Step(name="a", type="t", text="y"))},
            'two steps "a"; rename one',
        ),
    ],
)
def test_what_is_made_in_python_is_checked_as_well(wrong, words):
    with pytest.raises(InputError) as raised:
        Workflow(**{"name": "w", "steps": (Step(name="a", type="t", text="x"),), **wrong})
    assert words in str(raised.value)


def test_inputs_are_given_or_have_been_and_none_is_given_for_nothing():
    step = Step(name="a", type="t", text="{{ inputs.day }} {{ inputs.rows.0 }}")
    workflow = Workflow(name="w", steps=(step,), inputs={"day": "Monday", "spare": 1})
    assert workflow.with_inputs({"rows": [3]}) == {"day": "Monday", "spare": 1, "rows": [3]}
    assert workflow.with_inputs({"rows": [], "day": "Sunday"})["day"] == "Sunday"
    for given_, words in (
        ({}, 'needs the input "rows"; give it with --input rows=…, or a value for all runs in [workflow.inputs].'),
        ({"rows": [], "dya": ""}, 'takes no input "dya"; did you mean "day"?'),
        ({"rows": [], "zzz": ""}, 'takes no input "zzz"; it takes day, rows, spare.'),
        ({"rows": float("nan")}, "has inputs that cannot be written as JSON"),
    ):
        with pytest.raises(InputError) as raised:
            workflow.with_inputs(given_)
        assert words in str(raised.value)
