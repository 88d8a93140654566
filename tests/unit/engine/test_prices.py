"""What a run costs: the target's own rates, else its adapter's for where it is deployed."""

import asyncio
from decimal import Decimal

import pytest

from mahavishnu.errors import InvalidTarget
from mahavishnu.model import CostModel, Target
from tests.unit.engine.scripted import ScriptedAdapter, fine, task


def target(**fields):
    return Target(**{"name": "x", "adapter": "scripted", "run": "a", "task_types": {"t"}, **fields})


class ByRun(ScriptedAdapter):
    """Runs the behaviour that the target's `run` names."""

    def targets(self):
        return []

    async def run(self, task, target, call):
        await asyncio.sleep(0.01)
        return await super().run(task, Target(name="a", adapter="scripted", run="a", task_types={"t"}), call)


async def test_where_no_rate_is_given_the_adapters_price_for_the_deployment_counts(engine):
    async with engine(ByRun(a=fine)) as (orchestrator, store):
        await orchestrator.add_target(target(deployment="cloud"))
        report = await orchestrator.execute(task())
        assert report.cost_micros == pytest.approx(report.last.latency_us, abs=1)
        assert report.last.price_version == ScriptedAdapter.prices["cloud"].version
        (kept,) = await store.targets()
        assert kept.cost_model == CostModel()


async def test_a_rate_of_its_own_wins_over_the_deployments_price(engine):
    own = CostModel(per_run_usd=Decimal("0.5"))
    async with engine(ByRun(a=fine)) as (orchestrator, _):
        await orchestrator.add_target(target(deployment="cloud", cost_model=own))
        report = await orchestrator.execute(task())
        assert (report.cost_micros, report.last.price_version) == (500_000, own.version)


async def test_a_deployment_without_a_price_is_refused(engine):
    async with engine(ByRun(a=fine)) as (orchestrator, _):
        with pytest.raises(InvalidTarget, match="it knows cloud, local"):
            await orchestrator.add_target(target(deployment="clud"))
