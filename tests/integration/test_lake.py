"""The lake: what moves there is counted and found as before."""

import os
import shutil
import time
from dataclasses import replace

import duckdb
import pytest

from mahavishnu.engine.clock import SystemClock
from mahavishnu.errors import StoreUnavailable, UnknownName
from mahavishnu.model import DAY_US, Status, day_of
from mahavishnu.model.identity import IdKind
from mahavishnu.model.workflow_run import WorkflowEnd, WorkflowStart
from mahavishnu.ports import Between, ExecutionQuery, Settlement
from mahavishnu.testing.samples import Samples
from tests.history import decision_of, executions, outcome_on
from tests.integration.lakes import KEEPING, TODAY, WHOLE, check_days, clock_of, opened, publish, record, tidy


@pytest.fixture
async def store(tmp_path):
    opened_store = await opened(tmp_path)
    yield opened_store
    await opened_store.close()


# -- what is found -----------------------------------------------------------------------------------------------------


async def test_what_has_moved_is_found_as_before(store):
    runs = list(executions(300, TODAY - 5, 6, seed=4))
    await record(store, runs)
    newest = await store.decisions(250)
    within = Between(newest[200].at_us, newest[10].at_us)
    some = [await store.decisions(99, within=within), await store.executions(ExecutionQuery(last=99, within=within))]
    assert some[0] == newest[11:110]
    await publish(store)
    await tidy(store, WHOLE)
    assert (await store.info()).rows["executions"] < 150
    assert list(await store.decisions(99, within=within)) == some[0]
    assert list(await store.executions(ExecutionQuery(last=99, within=within))) == some[1]
    for run in runs[::17]:
        assert await store.execution(run.id) == run
        assert await store.decision(run.decision_id) == decision_of(run)
        assert list(await store.executions(ExecutionQuery(decision_id=run.decision_id, last=None))) == [run]
    assert await store.decisions(250) == newest
    by_id = sorted(runs, key=lambda run: run.id, reverse=True)
    assert list(await store.executions(ExecutionQuery(last=200))) == by_id[:200]
    query = ExecutionQuery(last=None, target="target-1", task_type="etl", status=Status.FAILED)
    wanted = [r for r in by_id if (r.target, r.task_type, r.status) == ("target-1", "etl", Status.FAILED)]
    assert list(await store.executions(query)) == wanted
    assert await store.execution("01JD0000000000000000000000") is None
    assert list(await store.ids_ending(IdKind.EXECUTION, runs[0].id[-12:])) == [runs[0].id]
    assert list(await store.ids_ending(IdKind.DECISION, runs[-1].decision_id[-12:])) == [runs[-1].decision_id]
    assert await store.decision("nothing") is None


async def test_odd_and_big_content_comes_back_from_the_lake_as_it_was(store):
    make = Samples(clock_of(TODAY - 4))
    decision = make.odd_decision()
    end, outcome = make.odd_end(make.start(decision)), make.odd_outcome(decision)
    await store.record([decision, end, outcome])
    expected = await publish(store)
    await tidy(store)
    assert (await store.info()).rows["executions"] == 0
    assert await store.decision(decision.id) == decision
    assert await store.execution(end.id) == end
    assert list(await store.outcomes(decision.id)) == [outcome]
    await check_days(store, expected)


async def test_what_is_out_of_the_ordinary_is_kept_and_the_rest_stands_for_itself(tmp_path, store):
    runs = list(executions(6000, TODAY - 4, 1, seed=5))
    await record(store, runs)
    learnt = runs[::300]
    await store.record([outcome_on(run, 0) for run in learnt])
    expected = await publish(store)
    await tidy(store)
    await check_days(store, expected)
    (file,) = (tmp_path / "lake").glob("*/*/executions.parquet")
    kept = duckdb.sql(f"SELECT id, weight FROM '{file}'").fetchall()
    weights = dict(kept)
    odd = {run.id for run in runs if run.status is not Status.SUCCEEDED or run.fallback} | {run.id for run in learnt}
    healthy = sorted((run for run in runs if run.status is Status.SUCCEEDED), key=lambda run: run.latency_us)
    slowest = {(run.target, run.task_type): run.id for run in healthy}
    odd |= set(slowest.values())
    assert odd <= weights.keys()
    assert {weights[id_] for id_ in odd} == {1.0}
    # Three in ten of the ordinary ones, each for ten thirds: the weights add up to all of them, but for chance.
    assert len(weights) < 0.65 * len(runs)
    assert abs(sum(weights.values()) - len(runs)) < 4 * (len(runs) * 0.7 / 0.3) ** 0.5


async def test_sampling_saves_nine_tenths_of_what_a_frequent_healthy_task_type_takes(tmp_path, store):
    runs = [replace(run, status=Status.SUCCEEDED, fallback=False) for run in executions(4000, TODAY - 4, 1, seed=6)]
    await record(store, runs)
    await publish(store)
    await tidy(store, replace(KEEPING, frequent_rate=0.1))
    (file,) = (tmp_path / "lake").glob("*/*/executions.parquet")
    kept = len(duckdb.sql(f"SELECT id FROM '{file}'").fetchall())
    # A tenth is expected; three standard deviations of what chance does to it are 0.014.
    assert 0.086 <= kept / len(runs) <= 0.114


# -- what comes late ---------------------------------------------------------------------------------------------------


async def test_late_facts_of_a_day_that_has_moved_follow_it_and_become_one_with_it(tmp_path, store):
    runs = list(executions(500, TODAY - 5, 3, seed=7))
    for first in range(5):
        await record(store, runs[first::5])
        expected = await publish(store)
        await tidy(store, WHOLE)
        await check_days(store, expected)
    assert (await store.info()).rows["executions"] == 0
    assert max(len(list(day.iterdir())) for day in (tmp_path / "lake").iterdir()) < 4
    for run in runs[::23]:
        assert await store.execution(run.id) == run


async def test_what_is_recorded_again_after_it_has_moved_is_still_recorded_once(store):
    runs = list(executions(400, TODAY - 5, 3, seed=8))
    await record(store, runs)
    expected = await publish(store)
    await tidy(store)
    await record(store, runs)
    started = [replace(run, status=Status.RUNNING, ended_at_us=None, latency_us=None) for run in runs[:40]]
    await store.record(started)
    assert list(await publish(store)) == list(expected)
    assert list(await store.executions(ExecutionQuery(status=Status.RUNNING))) == []


async def test_an_outcome_on_what_has_moved_counts_for_its_day_once(store):
    runs = list(executions(300, TODAY - 5, 3, seed=9))
    await record(store, runs)
    before = await publish(store)
    await tidy(store, WHOLE)
    run = next(run for run in runs if run.status is Status.SUCCEEDED)
    news, again = outcome_on(run, 0), outcome_on(run, 1)
    await store.record([news])
    await store.record([again, news])
    expected = await publish(store)
    changed = [(b.card.successes, a.card.successes) for b, a in zip(before, expected, strict=True) if a != b]
    assert [after - earlier for earlier, after in changed] == [-1]
    for _ in range(2):
        await check_days(store, expected)
        assert list(await store.outcomes(run.decision_id)) == [news, again]
        await tidy(store, WHOLE)
    assert (await store.info()).rows["outcomes"] == 0
    await store.record([outcome_on(run, 2)])
    assert list(await publish(store)) == list(expected)


async def test_an_outcome_on_what_was_not_kept_names_an_unknown_decision(store):
    runs = list(executions(400, TODAY - 4, 1, seed=10))
    await record(store, runs)
    await publish(store)
    await tidy(store, replace(KEEPING, frequent_rate=0.0))
    dropped = [run for run in runs if await store.decision(run.decision_id) is None]
    assert len(dropped) > 200
    assert {run.status for run in dropped} == {Status.SUCCEEDED}
    with pytest.raises(UnknownName):
        await store.record([outcome_on(dropped[0], 0)])


# -- what stays --------------------------------------------------------------------------------------------------------


async def test_what_has_not_been_folded_and_published_does_not_move(store):
    await record(store, executions(50, TODAY - 5, 3, seed=11))
    assert await tidy(store) == []
    while await store.fold():
        continue
    assert await tidy(store) == []
    await publish(store)
    assert "moved into the lake" in await tidy(store)


async def test_what_is_not_over_stays_in_the_store(store):
    make, old_us = Samples(clock_of(TODAY - 5)), (TODAY - 5) * DAY_US
    running, claimed, step = (make.decision() for _ in range(3))
    ends = [make.end(make.start(each)) for each in (running, claimed, step)]
    another = make.start(running, store.process_id)
    await store.claim("key", "print", claimed.id)
    await store.claim("workflow:w:load", "print", step.id)
    await store.record([], settle=Settlement(key="workflow:w:load", decision_id=step.id, succeeded=True))
    start = WorkflowStart(
        id=make.new_id(), run_id="w", definition={}, inputs={}, place="here", process_id=store.process_id, at_us=old_us
    )
    await store.record_workflow_start(start)
    await store.record([running, claimed, step, *ends, another])
    await record(store, executions(40, TODAY - 5, 3, seed=12))
    expected = await publish(store)
    await tidy(store)
    rows = (await store.info()).rows
    assert (rows["executions"], rows["decisions"]) == (3, 3)
    await check_days(store, expected)
    await store.record([make.end(another)], settle=Settlement(key="key", decision_id=claimed.id, succeeded=True))
    await store.record_workflow_end(
        WorkflowEnd(id=make.new_id(), run_id="w", status=Status.SUCCEEDED, reason=None, at_us=old_us)
    )
    expected = await publish(store)
    await tidy(store, replace(KEEPING, frequent=1, frequent_rate=0.0))
    await check_days(store, expected)
    rows = (await store.info()).rows
    assert (rows["executions"], rows["execution_starts"], rows["decisions"]) == (0, 0, 0)
    # What a key answers with is kept whole.
    for key, decision in (("key", claimed), ("workflow:w:load", step)):
        holder = await store.holder(key)
        assert holder is not None
        assert holder.over
        assert await store.decision(decision.id) == decision


async def test_a_key_that_was_never_settled_still_answers_for_the_success_that_has_moved(tmp_path, store):
    make = Samples(clock_of(TODAY - 5))
    decision = make.decision()
    other = await opened(tmp_path)
    await other.claim("key", "print", decision.id)
    await store.record([decision, make.end(make.start(decision))])
    await other.close()
    await publish(store)
    await tidy(store)
    assert (await store.info()).rows["executions"] == 0
    claim = await store.claim("key", "print", make.new_id())
    assert (claim.decision_id, claim.mine, claim.over) == (decision.id, False, True)


# -- what goes ---------------------------------------------------------------------------------------------------------


async def test_raw_facts_leave_their_sums_and_the_sums_go_in_their_time(tmp_path, store):
    runs = list(executions(900, TODAY - 44, 45, seed=13))
    await record(store, runs)
    await publish(store)
    await tidy(store)
    expected = [each for each in (await store.dailies())[1] if each.day >= TODAY - 30]
    await check_days(store, expected)
    assert {each.day for each in expected} == set(range(TODAY - 30, TODAY + 1))
    kept = {day_of(run.started_at_us): run for run in runs if run.status is Status.FAILED}
    for day, run in kept.items():
        assert (await store.execution(run.id) is not None) == (day >= TODAY - 20)
    assert len(list((tmp_path / "lake").iterdir())) == 29
    assert await tidy(store) == []


async def test_old_snapshots_go_and_recalculations_stay_longer(store):
    make = Samples(SystemClock())
    for version in range(1, 80):
        kind = "recalculation" if version % 10 == 0 else "fold"
        old = replace(make.snapshot(version), published_at_us=(TODAY - 10) * DAY_US)
        await store.publish(replace(old, kind=type(old.kind)(kind), cursor=0))
    assert "pruned" in await tidy(store)
    left = [each.version for each in await store.snapshots(100)]
    assert left == [*range(79, 29, -1), 20, 10]
    assert await store.snapshot(5) is None


async def test_a_lake_that_is_gone_is_said_to_be_gone(tmp_path, store):
    runs = list(executions(100, TODAY - 5, 3, seed=14))
    await record(store, runs)
    await publish(store)
    await tidy(store)
    shutil.rmtree(tmp_path / "lake")
    with pytest.raises(StoreUnavailable, match=r"its lake in .* cannot be used .* set \[lake\] folder"):
        await store.execution(runs[0].id)
    assert await store.latest() is not None


async def test_what_a_killed_process_left_in_the_folder_goes_and_what_is_of_others_stays(tmp_path, store):
    await record(store, executions(100, TODAY - 5, 3, seed=15))
    await publish(store)
    await tidy(store)
    (day, *_) = sorted((tmp_path / "lake").iterdir())
    (part,) = day.iterdir()
    left, draft, others = day / f"{part.name}x", day / f".{part.name}y", day / "feed-000000000001-ab"
    for folder in (left, draft, others):
        folder.mkdir()
    await tidy(store)
    assert left.exists()
    for folder in (left, draft, others):
        two_days_ago = time.time() - 2 * 24 * 3600
        os.utime(folder, (two_days_ago, two_days_ago))
    await tidy(store)
    assert sorted(day.iterdir()) == sorted([part, others])
