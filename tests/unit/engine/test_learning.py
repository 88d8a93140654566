"""What is learnt, and how it changes the next choice."""

import pytest

from mahavishnu.errors import UnknownName
from tests.unit.engine.scripted import ScriptedAdapter, failing, fine, task


async def test_changed_evidence_changes_the_choice(engine):
    adapter = ScriptedAdapter(a=fine, b=fine)
    async with engine(
        adapter,
        routing={"policy": "statistical"},
        breaker={"consecutive_failures": 1000, "failure_rate": 1.0, "window": 1000},
    ) as (
        orchestrator,
        _,
    ):
        assert (await orchestrator.route(task())).selected == "a"
        adapter.behaviours["a"] = failing(ValueError("bad"))
        await orchestrator.execute_many([task(target="a")] * 200)
        decision = await orchestrator.route(task())
        assert decision.selected == "b"
        assert decision.considered[1].note.startswith("known to fail")


async def test_outcomes_count_and_contradictions_converge(engine):
    async with engine(ScriptedAdapter(a=fine)) as (orchestrator, _):
        report = await orchestrator.execute(task())
        for completed in (False, False, True, False):
            await orchestrator.record_outcome(report.decision.id, completed=completed, quality=0.25)
        (stat,) = orchestrator.stats()
        assert (stat.estimate.samples, stat.estimate.successes, stat.estimate.quality) == (1, 0, 0.25)


async def test_an_outcome_on_a_routed_decision_is_a_sample(engine):
    async with engine(ScriptedAdapter(a=fine)) as (orchestrator, _):
        decision = await orchestrator.route(task())
        await orchestrator.record_outcome(decision.id, completed=True)
        (stat,) = orchestrator.stats()
        assert (stat.estimate.samples, stat.estimate.successes) == (1, 1)


async def test_an_outcome_on_nothing_is_refused(engine):
    async with engine(ScriptedAdapter(a=fine)) as (orchestrator, _):
        with pytest.raises(UnknownName):
            await orchestrator.record_outcome("01ARYZ6S410000000000000000", completed=True)
        decision = await orchestrator.route(task())
        with pytest.raises(UnknownName):
            await orchestrator.record_outcome(decision.id, correct=False, corrected_to="nobody")


async def test_the_seed_makes_a_decision_repeatable(engine):
    adapter = ScriptedAdapter(a=fine, b=fine, c=fine)
    async with engine(adapter) as (orchestrator, _):
        first = await orchestrator.route(task(), policy="statistical", seed=7)
        again = await orchestrator.route(task(), policy="statistical", seed=7)
        assert (first.seed, first.considered, first.reason) == (7, again.considered, again.reason)
