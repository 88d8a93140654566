"""Experiments under a running engine: what a decision says of them, and what can be read off it afterwards."""

import asyncio
from dataclasses import replace

from mahavishnu.model import Snapshot, Task
from mahavishnu.model.experiment import Change, Experiment, Underway
from tests.unit.engine.scripted import ScriptedAdapter, fine

SWAP = Experiment(name="swap", treatment=Change(instead=(("a", "b"),)), share=0.5, unit="user")


def of_users(count):
    return [Task(type="t", text="x", tags={"user": f"u{number}"}) for number in range(count)]


async def fails(task, call):
    raise ConnectionResetError("simulated")


async def published(orchestrator, store, *experiments):
    newest = await store.latest()
    underway = tuple(Underway(experiment=each, started_at_us=0) for each in experiments)
    await store.publish(replace(newest, version=newest.version + 1, experiments=underway))
    await asyncio.sleep(0.2)


async def test_the_treated_go_where_they_are_sent_and_their_decisions_say_so(engine):
    async with engine(ScriptedAdapter(a=fine, b=fine)) as (orchestrator, store):
        await published(orchestrator, store, SWAP)
        for report in await orchestrator.execute_many(of_users(60)):
            decision = await store.decision(report.decision.id)
            (assignment,) = decision.assignments
            assert (assignment.experiment, assignment.probability) == ("swap", 0.5)
            assert decision.selected == ("b" if assignment.treated else "a")
            arm = "treatment" if assignment.treated else "control"
            assert decision.reason.endswith(f"; in experiment swap ({arm})")
            other = next(each for each in decision.considered if not each.eligible)
            replaced, stand_in = "in reserve: replaced by experiment swap", "left out by experiment swap"
            assert other.why_not == (replaced if assignment.treated else stand_in)


async def test_only_what_was_drawn_is_read_and_of_it_the_first_attempt(engine):
    patient = {"consecutive_failures": 1_000, "window": 1_000}
    async with engine(ScriptedAdapter(a=fails, b=fine, c=fine), breaker=patient) as (orchestrator, store):
        await published(orchestrator, store, SWAP)
        reports = await orchestrator.execute_many(of_users(20))
        asked_for = Task(type="t", text="x", tags={"user": "u1"}, target="c")
        by_hand = await orchestrator.execute(asked_for)
        assert (await store.decision(by_hand.decision.id)).assignments[0].probability is None
        observations = await store.observations("swap", 0, 1_000)
        assert {each.decision_id for each in observations} == {report.decision.id for report in reports}
        assert {(each.treated, each.target, each.succeeded) for each in observations} == {
            (True, "b", True),
            (False, "a", False),
        }
        assert len({each.unit for each in observations}) == 20


async def test_what_the_stand_in_fails_at_the_one_that_it_replaces_is_there_for(engine):
    async with engine(ScriptedAdapter(a=fine, b=fails)) as (orchestrator, store):
        await published(orchestrator, store, SWAP)
        reports = await orchestrator.execute_many(of_users(60))
        assert all(report.error is None for report in reports)
        treated = [report for report in reports if report.decision.assignments[0].treated]
        # Until its breaker opens the stand-in has the first try; from then on it is as if it were not there.
        first = {report.executions[0].target for report in treated}
        assert first == {"a", "b"}
        assert {report.executions[-1].target for report in treated} == {"a"}
        assert {report.executions[-1].target for report in reports if report not in treated} == {"a"}
        observations = await store.observations("swap", 0, 1_000)
        assert sum(each.treated for each in observations) == len(treated), "each of them counts, whoever ran it first"
        assert {(each.target, each.succeeded) for each in observations if each.treated} == {("a", True), ("b", False)}


async def test_whoever_has_no_stand_in_that_may_run_waits_for_nothing(engine):
    async with engine(ScriptedAdapter(a=fine, b=fine)) as (orchestrator, store):
        await orchestrator.switch_target("b", enabled=False)
        await published(orchestrator, store, SWAP)
        reports = await orchestrator.execute_many(of_users(20))
        assert {report.decision.selected for report in reports} == {"a"}
        await orchestrator.switch_target("b", enabled=True)
        await orchestrator.switch_target("a", enabled=False)
        for report in [await orchestrator.perform(replace(each, deadline_ms=200)) for each in of_users(20)]:
            # The control never has the stand-in, as without the experiment it never would have had it.
            treated = report.decision.assignments[0].treated
            assert report.decision.selected == ("b" if treated else None)


async def test_one_that_is_over_leaves_the_next_choice_alone(engine):
    async with engine(ScriptedAdapter(a=fine, b=fine)) as (orchestrator, store):
        await published(orchestrator, store, SWAP)
        await published(orchestrator, store)
        assert (await store.latest()) == replace(Snapshot(), version=2)
        reports = await orchestrator.execute_many(of_users(20))
        assert {report.decision.assignments for report in reports} == {()}
        assert {report.decision.selected for report in reports} == {"a"}
