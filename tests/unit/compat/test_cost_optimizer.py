"""The seed's recommendation: the same twice, in no experiment, and nothing is recorded of it."""

import pytest

from mahavishnu.app import open_app
from mahavishnu.compat.cost_optimizer import CostOptimizer
from mahavishnu.errors import NothingEligible
from mahavishnu.jobs.experiments import create, start
from mahavishnu.model import Task
from mahavishnu.model.experiment import Change, Experiment
from mahavishnu.settings import Settings

TASK = Task(type="t", text="x")


@pytest.fixture
async def app(tmp_path):
    target = {"run": "builtins:str", "task_types": frozenset({"t"})}
    settings = Settings.model_validate(
        {"store": {"url": f"sqlite:///{tmp_path}/s.db"}, "targets": {"a": target, "b": target, "c": target}}
    )
    async with open_app(settings) as app:
        yield app


async def test_a_recommendation_is_the_same_twice_is_in_no_experiment_and_is_not_recorded(app):
    await create(app.store, app.clock, Experiment(name="e", treatment=Change(instead=(("a", "b"),)), share=0.5))
    await start(app.store, app.clock, app.settings, "e")
    optimizer = CostOptimizer(app)
    found = [await optimizer.get_optimal_adapter(TASK) for _ in range(20)]
    assert {(one.adapter, tuple(one.alternatives)) for one in found} == {("a", ("c",))}
    assert await app.store.decisions(10) == []


async def test_it_is_the_best_expected_of_those_that_the_constraints_leave(app):
    for _ in range(8):
        await app.orchestrator.execute(Task(type="t", text="x", target="c"))
    optimizer = CostOptimizer(app)
    best = await optimizer.get_optimal_adapter(TASK)
    assert best.adapter == "c"
    assert best.reasoning.startswith("Recommended c: 100 % success")
    assert (await optimizer.get_optimal_adapter(TASK, {"excluded_targets": ["c"]})).adapter == "a"
    with pytest.raises(NothingEligible, match="excluded by the task"):
        await optimizer.get_optimal_adapter(TASK, {"excluded_targets": ["a", "b", "c"]})
