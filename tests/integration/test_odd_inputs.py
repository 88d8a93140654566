"""Whatever odd value a noun takes, both databases keep it and give it back equal."""

from dataclasses import fields, replace

import pytest

from mahavishnu.engine.clock import SystemClock
from mahavishnu.errors import InputError
from mahavishnu.model import Budget, Outcome, Target, Task
from mahavishnu.storage import open_store
from mahavishnu.testing.samples import Samples
from tests import hostile

SOUND = {
    Task: {"type": "t", "text": "x"},
    Target: {"name": "a", "adapter": "local", "run": "m:f", "task_types": {"t"}},
    Budget: {"name": "b", "hard_micros": 5},
    Outcome: {"id": "O", "decision_id": "D", "at_us": 0, "quality": 0.5},
}


def taken(noun):
    """Every noun that can be made with one odd value in it."""
    for each in fields(noun):
        # What cannot be read of a budget is the store's to say.
        if each.name == "unreadable":
            continue
        for value in hostile.ODD:
            try:
                yield noun(**{**SOUND[noun], each.name: value})
            except InputError:
                continue


@pytest.fixture(params=["sqlite", "postgres"])
async def store(request, tmp_path):
    url = f"sqlite:///{tmp_path}/x.db" if request.param == "sqlite" else request.getfixturevalue("postgres")()
    store = open_store(url, SystemClock())
    await store.open()
    yield store
    await store.close()


async def test_every_task_and_outcome_that_can_be_made_is_read_back_equal(store):
    make = Samples(SystemClock())
    decisions = [replace(make.decision(), task=task) for task in taken(Task)]
    await store.record(decisions)
    outcomes = [
        replace(outcome, id=f"O{number}", decision_id=decisions[number].id)
        for number, outcome in enumerate(taken(Outcome))
    ]
    await store.record(outcomes)
    assert len(decisions) > 100
    assert len(outcomes) > 30
    for decision in decisions:
        assert await store.decision(decision.id) == decision
    for outcome in outcomes:
        assert await store.outcomes(outcome.decision_id) == [outcome]


async def test_every_target_and_budget_that_can_be_made_is_read_back_equal(store):
    targets = [replace(target, name=f"t{number}") for number, target in enumerate(taken(Target))]
    for target in targets:
        await store.add_target(target)
    budgets = [replace(budget, name=f"b{number}") for number, budget in enumerate(taken(Budget))]
    for budget in budgets:
        await store.set_budget(budget)
    assert {each.name: each for each in await store.targets()} == {each.name: each for each in targets}
    now_us = SystemClock().now_us()
    assert {each.budget.name: each.budget for each in await store.balances(now_us)} == {
        each.name: each for each in budgets
    }
