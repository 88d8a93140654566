"""What this process publishes, it goes by at once."""

import pytest

from mahavishnu.app import open_app
from mahavishnu.compat.cost_optimizer import CostOptimizer
from mahavishnu.errors import StoreUnavailable
from mahavishnu.jobs import scores
from mahavishnu.jobs.experiments import create, start, stop
from mahavishnu.model import Task
from mahavishnu.model.experiment import Change, Experiment
from mahavishnu.model.objective import objective_of
from mahavishnu.settings import Settings

TASK = Task(type="t", text="x")


@pytest.fixture
async def app(tmp_path):
    target = {"run": "builtins:str", "task_types": frozenset({"t"})}
    settings = Settings.model_validate(
        {
            "store": {"url": f"sqlite:///{tmp_path}/s.db"},
            "targets": {"a": target, "b": target},
            # No turn of the background comes in between.
            "routing": {"refresh_s": 3600},
            "experiments": {"reports": ""},
        }
    )
    async with open_app(settings) as app:
        yield app


async def test_a_strategy_is_gone_by_at_the_next_choice_of_the_same_process(app):
    version = await CostOptimizer(app).set_strategy("t", "interactive")
    decision = await app.orchestrator.route(TASK)
    assert decision.snapshot_version == version
    assert str(objective_of("interactive")) in decision.reason


async def test_an_experiment_assigns_from_its_start_and_no_more_from_its_stop(app):
    await create(app.store, app.clock, Experiment(name="e", treatment=Change(instead=(("a", "b"),))))
    await start(app.store, app.clock, app.settings, "e")
    assert [drawn.experiment for drawn in (await app.orchestrator.route(TASK)).assignments] == ["e"]
    await stop(app.store, app.clock, "e")
    assert (await app.orchestrator.route(TASK)).assignments == ()


async def test_a_publication_stands_although_the_store_is_away_when_it_is_to_be_taken_up(app, monkeypatch):
    async def away():
        raise StoreUnavailable(url="sqlite:", problem="gone")

    monkeypatch.setattr(app.store, "newest", away)
    monkeypatch.setattr(app.store, "newest_version", away)
    version = await CostOptimizer(app).set_strategy("t", "interactive")
    monkeypatch.undo()
    assert (await app.store.latest()).version == version
    await scores.recalculate(app.store, app.clock, app.settings)
