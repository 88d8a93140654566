"""Experiments on a store: what was drawn is read, acted on once, and the same whatever happens in between."""

import asyncio
import logging
from dataclasses import replace

import pytest

from mahavishnu.errors import (
    ExperimentExists,
    ExperimentMoved,
    InvalidExperiment,
    UnknownName,
)
from mahavishnu.jobs import scores
from mahavishnu.jobs.experiments import create, pause, resume, start, stop
from mahavishnu.jobs.monitoring import alerts
from mahavishnu.jobs.schedule import run_job
from mahavishnu.model.alert import AlertKind, Severity
from mahavishnu.model.aside import Aside, AsideReason
from mahavishnu.model.experiment import Change, ExperimentStatus, Guardrail, Measure
from mahavishnu.model.objective import Objective
from mahavishnu.settings import ExperimentSettings
from mahavishnu.storage.memory.store import MemoryStore
from tests.experimenting import BENEFIT, DAY, HARM, HOUR, SETTINGS, SUCCESS, Late, Works, experiment, put_aside

HARMFUL = Aside(experiment="x", reason=AsideReason.HARM)


@pytest.fixture
async def works():
    return await Works.opened()


# -- from a draft to its end -------------------------------------------------------------------------------------------


async def test_a_draft_gets_a_salt_and_is_published_when_it_starts(works):
    run = await create(works.store, works.clock, experiment(salt=""))
    assert (run.status, bool(run.experiment.salt)) == (ExperimentStatus.DRAFT, True)
    assert (await works.store.latest()).experiments == ()
    started = await start(works.store, works.clock, SETTINGS, "e")
    assert started.status is ExperimentStatus.RUNNING
    snapshot = await works.store.latest()
    assert snapshot.experiments == (started.underway,)
    assert snapshot.notes == ("experiment e is on its way, with 30 % treated",)


async def test_harm_is_rolled_back_by_the_next_check_and_its_owner_is_told(works, caplog):
    await works.begin(owner="ann")
    await works.run(1_500, **HARM)
    with caplog.at_level(logging.WARNING, logger="mahavishnu.experiments"):
        checked = await works.check()
    (run,) = checked.ended
    assert (run.status, run.ended_at_us) == (ExperimentStatus.ROLLED_BACK, works.clock.now_us())
    assert "experiment e is over (rolled_back): success got worse" in caplog.text
    snapshot = await works.store.latest()
    assert (snapshot.experiments, put_aside(snapshot)) == ((), {"*": {"b": "e"}})
    (alert,) = [each for each in await works.store.alerts() if each.condition.kind is AlertKind.EXPERIMENT]
    assert (alert.severity, alert.condition.about) == (Severity.CRITICAL, "e")
    assert alert.summary.startswith("experiment e of ann was rolled back: success got worse")


async def test_an_alert_about_an_experiment_is_not_opened_again_and_is_over_after_a_day(works):
    await works.begin()
    await works.begin("f", layer="other")
    await works.run(1_500, **HARM)
    await works.run(1_500, name="f", **HARM)
    await works.check()
    first = [each for each in await works.store.alerts(unresolved=True) if each.condition.about]
    assert sorted(each.condition.about for each in first) == ["e", "f"]
    await works.store.resolve_alert(first[0].id, works.clock.now_us())
    await alerts.check(works.store, works.clock, SETTINGS.alerts)
    assert [each.id for each in await works.store.alerts(unresolved=True) if each.condition.about] == [first[1].id]
    works.clock.advance(DAY)
    await alerts.check(works.store, works.clock, SETTINGS.alerts)
    assert [each for each in await works.store.alerts(unresolved=True) if each.condition.about] == []
    assert len([each for each in await works.store.alerts() if each.condition.about]) == 2


@pytest.mark.soak
async def test_an_equal_treatment_stays_for_twenty_thousand_tasks(works):
    await check_that_equals_stay(works, 20_000)


async def test_an_equal_treatment_stays_for_four_thousand_tasks(works):
    await check_that_equals_stay(works, 4_000)


async def check_that_equals_stay(works, tasks):
    await works.begin()
    for _ in range(4):
        await works.run(tasks // 4)
        assert (await works.later()).ended == []
    run = await works.stands()
    assert run.status is ExperimentStatus.RUNNING
    assert sum(run.state[arm]["assigned"] for arm in ("treatment", "control")) == tasks
    assert run.cursor == run.assigned_cursor == await works.store.newest()
    assert await works.same_again()


async def test_a_better_treatment_becomes_what_everybody_has(works):
    change = Change(
        policy="statistical",
        order=("b", "a"),
        objective=Objective(cost=1.0),
        instead=(("a", "b"),),
    )
    await works.begin(treatment=change, control=Change(instead=(("a", "c"),)), task_types={"etl"}, promote=True)
    await works.store.publish(
        replace(
            await works.store.latest(),
            version=2,
            policies={"*": "adaptive"},
            put_aside={"etl": {"b": HARMFUL, "d": HARMFUL}},
        )
    )
    await works.run(3_000, **BENEFIT)
    (run,) = (await works.check()).ended
    assert run.status is ExperimentStatus.PROMOTED
    snapshot = await works.store.latest()
    assert snapshot.orders == {"etl": ("b", "a")}
    assert snapshot.strategies == {"etl": Objective(cost=1.0)}
    assert snapshot.policies == {"*": "adaptive", "etl": "statistical"}
    assert put_aside(snapshot) == {"etl": {"a": "e", "c": "e", "d": "x"}}
    assert {"etl: policy statistical", "etl: order b, a", "etl: a is replaced by experiment e"} <= set(snapshot.notes)


async def test_a_policy_that_is_promoted_for_every_type_is_that_of_all_of_them(works):
    await works.begin(treatment=Change(policy="statistical"), promote=True)
    before = await works.store.latest()
    await works.store.publish(replace(before, version=before.version + 1, policies={"etl": "adaptive"}))
    await works.run(3_000, **BENEFIT)
    await works.check()
    assert (await works.store.latest()).policies == {"*": "statistical"}


@pytest.mark.parametrize(("promote", "status"), [(True, "inconclusive"), (False, "completed")])
async def test_an_experiment_that_has_run_its_time_is_over(works, promote, status):
    await works.begin(max_days=2, promote=promote)
    await works.run(600)
    for _ in range(2):
        works.clock.advance(DAY * 0.7)
        assert (await works.check()).ended == []
    works.clock.advance(DAY * 0.7)
    (run,) = (await works.check()).ended
    assert run.status.value == status
    assert run.note.startswith("ran for its 2 days and did no harm that could be told")
    assert put_aside(await works.store.latest()) == {}


async def test_the_time_of_a_pause_does_not_count_and_of_a_long_sleep_only_a_day(works):
    await works.begin(max_days=2)
    works.clock.advance(HOUR)
    await pause(works.store, works.clock, "e")
    works.clock.advance(30 * DAY)
    await works.check()
    await resume(works.store, works.clock, "e")
    assert (await works.stands()).ran_us == HOUR * 1e6
    works.clock.advance(30 * DAY)
    await works.check()
    assert (await works.stands()).ran_us == (HOUR + DAY) * 1e6


async def test_records_of_the_treatment_that_get_lost_break_it_and_it_is_not_read_as_a_result(works):
    await works.begin()
    for _ in range(8):
        await works.run(1_000, lost=0.2)
        if (await works.later()).ended:
            break
    run = await works.stands()
    assert run.status is ExperimentStatus.BROKEN
    assert "records of one arm are lost, doubled or misrouted" in run.note
    (alert,) = [each for each in await works.store.alerts() if each.condition.about == "e"]
    assert "experiment e is broken" in alert.summary
    assert await works.same_again()


async def test_a_task_that_may_still_be_on_its_way_is_not_taken_for_lost(works):
    await works.begin(share=0.5)
    await works.run(400, share=0.5, lost=1.0)
    works.clock.advance(60 + 15 + 60 - 41)
    await works.check()
    run = await works.stands()
    assert (run.state["treatment"]["assigned"], run.status) == (0, ExperimentStatus.RUNNING)
    works.clock.advance(60)
    assert (await works.check()).ended[0].status is ExperimentStatus.BROKEN


# -- by hand -----------------------------------------------------------------------------------------------------------


async def test_it_is_paused_and_goes_on_and_is_stopped_and_each_is_published(works):
    await works.begin()
    assert (await pause(works.store, works.clock, "e")).status is ExperimentStatus.PAUSED
    assert [each.paused for each in (await works.store.latest()).experiments] == [True]
    assert (await resume(works.store, works.clock, "e")).status is ExperimentStatus.RUNNING
    assert [each.paused for each in (await works.store.latest()).experiments] == [False]
    stopped = await stop(works.store, works.clock, "e", "we have seen enough")
    assert (stopped.status, stopped.note) == (ExperimentStatus.COMPLETED, "we have seen enough")
    snapshot = await works.store.latest()
    assert (snapshot.experiments, put_aside(snapshot)) == ((), {})
    assert "experiment e is over (completed): we have seen enough" in snapshot.notes


async def test_what_is_over_never_moves_again(works):
    await works.begin()
    await stop(works.store, works.clock, "e")
    over = await works.stands()
    for move in (pause, resume, stop):
        with pytest.raises(ExperimentMoved, match="is completed and cannot become"):
            await move(works.store, works.clock, "e")
    with pytest.raises(ExperimentMoved):
        await start(works.store, works.clock, SETTINGS, "e")
    await works.run(1_500, **HARM)
    assert (await works.check()).runs == []
    assert await works.stands() == over
    with pytest.raises(ExperimentExists, match="never used again"):
        await create(works.store, works.clock, experiment())


async def test_one_that_is_on_its_way_is_not_started_again_and_a_draft_is_not_resumed(works):
    await create(works.store, works.clock, experiment())
    for move in (pause, resume):
        with pytest.raises(ExperimentMoved, match="is draft"):
            await move(works.store, works.clock, "e")
    await start(works.store, works.clock, SETTINGS, "e")
    await pause(works.store, works.clock, "e")
    with pytest.raises(ExperimentMoved, match="is paused and cannot become running"):
        await start(works.store, works.clock, SETTINGS, "e")


async def test_a_paused_one_still_hears_and_is_over_as_soon_as_it_goes_on(works):
    await works.begin()
    await works.run(100, **HARM)
    await pause(works.store, works.clock, "e")
    await works.run(1_500, **HARM)
    for _ in range(2):
        checked = await works.check()
        assert (checked.ended, checked.runs[0].status) == ([], ExperimentStatus.PAUSED)
    waited = await works.stands()
    assert (await resume(works.store, works.clock, "e")).status is ExperimentStatus.ROLLED_BACK
    assert (await works.stands()).state == waited.state
    assert (await works.store.latest()).experiments == ()
    unpaused = await Works.opened()
    await unpaused.begin()
    await unpaused.run(1_600, **HARM)
    await unpaused.check()
    assert (await unpaused.stands()).state == waited.state


async def test_a_name_that_nobody_knows_is_refused_with_the_nearest_one(works):
    for missing in (pause, resume, stop):
        with pytest.raises(UnknownName, match="mahavishnu experiments list"):
            await missing(works.store, works.clock, "e")
    with pytest.raises(UnknownName, match=r'target "bb".*did you mean "b"'):
        await works.begin("one", treatment=Change(instead=(("a", "bb"),)))
    with pytest.raises(UnknownName, match=r'policy "statistic".*did you mean "statistical"'):
        await works.begin("two", treatment=Change(policy="statistic"))
    assert [run.status for run in await works.store.experiments()] == [ExperimentStatus.DRAFT] * 2


async def test_a_baseline_is_that_of_the_newest_snapshot_when_it_starts(works):
    await works.run(2_000, name="nothing")
    await scores.fold(works.store, works.clock, SETTINGS.evidence)
    run = await works.begin(guardrails=(SUCCESS, Guardrail(measure=Measure.LATENCY)))
    assert list(run.state["baselines"]["edges"]["latency"]) == ["etl"]
    assert run.state["baselines"]["since"] == run.cursor == await works.store.newest()


# -- layers ------------------------------------------------------------------------------------------------------------


async def test_experiments_of_a_layer_have_places_of_their_own_and_a_full_layer_says_so(works):
    first = await works.begin("one", traffic=0.5)
    second = await works.begin("two", traffic=0.3)
    assert (first.offset, second.offset) == (0.0, 0.5)
    with pytest.raises(
        InvalidExperiment, match=r"20 % of the units left in one piece beside one, two, and it needs 40"
    ):
        await works.begin("three", traffic=0.4)
    assert (await works.begin("four", traffic=0.4, layer="other")).offset == 0.0
    await stop(works.store, works.clock, "one")
    assert (await start(works.store, works.clock, SETTINGS, "three")).offset == 0.0


async def test_those_on_other_tasks_need_no_room_in_the_layer_and_other_units_need_a_layer_of_their_own(works):
    await works.begin("e", task_types={"etl"})
    await works.begin("other", task_types={"ask"})
    assert (await works.stands("other")).offset == 0.0
    await works.draft("by-user", task_types={"etl"}, unit="user")
    with pytest.raises(InvalidExperiment, match="it assigns by user, and e of its layer routing by task"):
        await start(works.store, works.clock, SETTINGS, "by-user")


async def test_two_that_are_started_at_once_never_share_a_place(works):
    for name in ("one", "two", "three"):
        await create(works.store, works.clock, experiment(name, traffic=0.4))
    other = Works(MemoryStore(works.clock, works.store._all), works.clock)
    await other.store.open()
    runs = await asyncio.gather(
        start(Late(works.store), works.clock, SETTINGS, "one"),
        start(Late(other.store), works.clock, SETTINGS, "two"),
        start(Late(works.store), works.clock, SETTINGS, "three"),
    )
    assert sorted(run.status.value for run in runs) == ["completed", "running", "running"]
    underway = (await works.store.latest()).experiments
    assert sorted(each.offset for each in underway) == [0.0, 0.4]
    (left_out,) = [run for run in runs if run.status is ExperimentStatus.COMPLETED]
    assert "another experiment took its place" in left_out.note


# -- beside it -------------------------------------------------------------------------------------------------------


async def test_going_back_to_an_earlier_snapshot_brings_no_experiment_to_life_and_ends_none(works):
    await works.begin("one", traffic=0.5)
    with_one = await works.store.newest_version()
    await stop(works.store, works.clock, "one")
    await works.begin("two", traffic=0.5)
    await scores.roll_back(works.store, works.clock, with_one)
    snapshot = await works.store.latest()
    assert [each.experiment.name for each in snapshot.experiments] == ["two"]
    assert put_aside(snapshot) == {}
    assert (await works.check()).published.news is False


async def test_the_job_says_what_it_looked_at_and_what_came_to_an_end_and_leaves_its_report(works, tmp_path):
    await works.begin()
    await works.run(1_500, **HARM)
    there = SETTINGS.model_copy(update={"experiments": ExperimentSettings(reports=str(tmp_path))})
    report = await run_job("experiments", works.store, works.clock, there)
    assert "success got worse" in report.documents["experiment e"]
    assert {each.name for each in tmp_path.iterdir()} == {"e.md", "e.html"}
    assert report.did.startswith("Looked at 1 experiment, by ")
    assert report.did.endswith("1 came to an end.")
    assert report.changes[0].startswith("e is over (rolled_back): success got worse")
    assert report.rows[0]["status"] == "rolled_back"
    assert (await run_job("experiments", works.store, works.clock, SETTINGS)).rows == []
