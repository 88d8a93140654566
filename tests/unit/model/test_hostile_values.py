"""Nouns: one that can be made can be stored and is read back equal; everything else is an error with the mend."""

import json
import pickle
import re
from dataclasses import fields
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mahavishnu.errors import InputError, InvalidOutcome, InvalidTask
from mahavishnu.model import Budget, CostModel, Outcome, Target, Task
from mahavishnu.model.experiment import Change, Experiment, Guardrail, Step
from mahavishnu.model.objective import Objective
from mahavishnu.model.workflow import Step as WorkflowStep
from mahavishnu.model.workflow import Workflow
from mahavishnu.storage.sql.experiments.documents import experiment_document, experiment_of
from mahavishnu.storage.sql.facts.documents import target_json, target_of, task_json, task_of
from mahavishnu.storage.sql.facts.fact_rows import outcome_of, outcome_row
from mahavishnu.storage.sql.money.rows import budget_json, budget_of
from tests import hostile


def again(noun):
    """The noun after a round trip through the form in which a store keeps it."""
    match noun:
        case Task():
            return task_of(task_json(noun))
        case Target():
            return target_of(target_json(noun))
        case Budget():
            return budget_of(noun.name, budget_json(noun), noun.hard_micros)
        case Outcome():
            return outcome_of(outcome_row(0, noun, None, 0))
        case Experiment():
            return experiment_of(json.loads(json.dumps(experiment_document(noun))))
        case CostModel():
            return again(target(cost_model=noun)).cost_model
        case Objective():
            return again(Task(type="t", text="x", objective=noun)).objective
        case _:
            return pickle.loads(pickle.dumps(noun))


def target(**given):
    return Target(**{"name": "a", "adapter": "local", "run": "m:f", "task_types": {"t"}, **given})


SOUND = {
    Task: {"type": "t", "text": "x"},
    Target: {"name": "a", "adapter": "local", "run": "m:f", "task_types": {"t"}},
    CostModel: {},
    Budget: {"name": "b", "hard_micros": 5},
    Outcome: {"id": "O", "decision_id": "D", "at_us": 0, "completed": True},
    Objective: {"success": 1},
    Guardrail: {"measure": "success"},
    Change: {},
    Step: {"after_s": 1, "share": 0.5},
    Experiment: {"name": "e", "treatment": Change(policy="statistical")},
    WorkflowStep: {"name": "s", "type": "t", "text": "x"},
    Workflow: {"name": "w", "steps": [WorkflowStep(name="s", type="t", text="x")]},
}
NOUNS = sorted(SOUND, key=lambda noun: noun.__name__)
# What cannot be read of a budget is the store's to say.
NAMES = {noun: [each.name for each in fields(noun) if each.name != "unreadable"] for noun in NOUNS}


def judge(noun, wrong):
    """Either an InputError that can be printed and sent to another process, or a noun that survives being stored."""
    try:
        made = noun(**{**SOUND[noun], **wrong})
    except InputError as error:
        sentence, carried = str(error), str(pickle.loads(pickle.dumps(error)))
    else:
        assert again(made) == made
        return
    assert carried == sentence
    assert len(sentence) < 1000


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: f"{noun.__module__.rpartition('.')[2]}-{noun.__name__}")
def test_a_field_takes_what_can_be_stored_and_refuses_the_rest(noun):
    for name in NAMES[noun]:
        for value in [*hostile.ODD, *(make() for make in hostile.MADE_ANEW), None]:
            judge(noun, {name: value})


@settings(deadline=None, max_examples=150)
@given(noun=st.sampled_from(NOUNS), data=st.data())
def test_what_is_made_of_anything_is_sound_or_refused(noun, data):
    judge(noun, data.draw(hostile.fields(NAMES[noun], most=4)))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            {"tags": ["search"]},
            """The task's tags must be a dict of texts by texts such as {"team": "search"}, not ['search'].""",
        ),
        ({"tags": {"a": 5}}, "an entry must be text, not 5"),
        ({"idempotency_key": 5}, "The task's idempotency_key must be text, not 5."),
        ({"payload": [1]}, """The task's payload must be a dict such as {"rows": 3}, not [1]."""),
        ({"payload": {1: "a", "1": "b"}}, "written alike"),
        ({"payload": hostile.deep(5000)}, "must be a dict"),
        ({"payload": {"a": hostile.deep(5000)}}, "nested "),
        ({"payload": {"a": hostile.deep(100)}}, "nested more than 100 deep"),
        ({"payload": hostile.circle()}, "Circular reference"),
        ({"capabilities": hostile.endless()}, "one of more than 10000"),
        ({"exclude": 5}, """must be a set of names such as {"etl"}, not 5"""),
        ({"repeatable": "no"}, "must be True or False, not 'no'"),
        ({"max_cost_usd": True}, "is not an amount of dollars: True; give a Decimal"),
        ({"max_cost_usd": 10**5000}, "is more than a ledger can hold"),
        ({"objective": {"success": 10**400}}, "is not a number of 0 or more"),
        ({"min_quality": hostile.OddFloat("nan")}, "must lie between 0 and 1"),
        ({"deadline_ms": hostile.OddNumber(2**70)}, "must be a whole number of milliseconds"),
        ({"text": hostile.Disguised()}, "must be text"),
    ],
)
def test_a_task_says_which_field_is_wrong_and_what_to_give(wrong, sentence):
    with pytest.raises(InvalidTask) as caught:
        Task(**{"type": "t", "text": "x", **wrong})
    assert sentence in str(caught.value)
    assert caught.value.field == next(iter(wrong))


def test_an_outcome_says_what_its_note_must_be():
    with pytest.raises(InvalidOutcome, match=re.escape("has a field note that must be text, not ValueError('x')")):
        Outcome(id="O", decision_id="D", at_us=0, completed=False, note=ValueError("x"))
    with pytest.raises(InvalidOutcome, match="has a field completed that must be True or False, not 'yes'"):
        Outcome(id="O", decision_id="D", at_us=0, completed="yes")


def test_what_a_caller_does_to_its_own_dict_later_does_not_reach_the_task():
    payload, tags = {"rows": [1]}, {"team": "search"}
    task = Task(type="t", payload=payload, tags=tags)
    payload["rows"].append(object())
    tags["team"] = object()
    assert (task.payload, task.tags) == ({"rows": [1]}, {"team": "search"})


def test_a_payload_is_kept_as_it_is_read_back():
    task = Task(type="t", payload={"pair": (1, 2), 3: hostile.OddText("x")})
    assert task.payload == {"pair": [1, 2], "3": "x"}
    assert type(task.payload["3"]) is str
    assert task.fingerprint() == again(task).fingerprint()


def test_a_run_never_costs_more_than_a_ledger_holds():
    from mahavishnu.model import Usage

    dear = CostModel(per_output_token_usd=Decimal(1_000_000))
    assert dear.cost(Usage(output_tokens=2**63 - 1)) == 10**15


@example("\ud83d\ude00")
@given(st.text(st.characters(), max_size=10))
def test_any_text_is_read_back_equal(text):
    task = Task(type="t", text=f"x{text}", tags={text: text}, idempotency_key=f"k{text}", payload={text: text})
    assert again(task) == task
