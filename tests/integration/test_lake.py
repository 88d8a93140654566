"""The lake: what moves there is counted and found as before, wherever whoever moves it is killed."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from mahavishnu.engine.clock import SystemClock
from mahavishnu.errors import StoreUnavailable, UnknownName
from mahavishnu.model import DAY_US, Daily, Snapshot, Status, day_of
from mahavishnu.model.workflow_run import WorkflowEnd, WorkflowStart
from mahavishnu.ports import ExecutionQuery, Keeping, Settlement
from mahavishnu.storage import SqlStore
from mahavishnu.testing.clock import ManualClock
from mahavishnu.testing.samples import Samples
from tests.history import decision_of, executions, outcome_on
from tests.integration.lake_keeper import FOLDING, PLACES

TODAY = day_of(time.time_ns() // 1000)
KEEPING = Keeping(hot_days=2, raw_days=20, aggregate_days=30, frequent=50, frequent_rate=0.3)
WHOLE = replace(KEEPING, frequent_rate=1.0)


async def opened(tmp_path: Path, url: str | None = None) -> SqlStore:
    store = SqlStore(url or f"sqlite:///{tmp_path}/store.db", SystemClock(), lake=str(tmp_path / "lake"))
    await store.open()
    return store


@pytest.fixture
async def store(tmp_path):
    opened_store = await opened(tmp_path)
    yield opened_store
    await opened_store.close()


def clock_of(day: int) -> ManualClock:
    clock = ManualClock()
    clock.advance((day * DAY_US - clock.now_us()) / 1e6)
    return clock


async def publish(store: SqlStore) -> Sequence[Daily]:
    """Fold everything, and publish that it was."""
    while await store.fold():
        continue
    cursor, dailies = await store.dailies()
    version = (await store.latest()).version + 1
    await store.publish(Snapshot(version=version, cursor=cursor, published_at_us=TODAY * DAY_US))
    return dailies


async def tidy(store: SqlStore, keeping: Keeping = KEEPING, today: int = TODAY) -> list[str]:
    done = []
    while (kept := await store.retain(keeping, today)) is not None:
        done.append(kept.what)
    return done


async def record(store: SqlStore, runs, *, every: int = 1) -> None:
    facts = [fact for number, run in enumerate(runs) for fact in ([decision_of(run)] * (number % every == 0) + [run])]
    await store.record(facts)


async def check_days(store: SqlStore, expected: Sequence[Daily]) -> None:
    assert list((await store.dailies())[1]) == list(expected)
    assert list((await store.recomputed())[1]) == list(expected)


# -- killed anywhere ---------------------------------------------------------------------------------------------------


async def killed(tmp_path: Path, url: str, place: str, call: int) -> bool:
    """Tidy up in another process that kills itself when it has come to a place so often; whether it came there."""
    command = [sys.executable, "-m", "tests.integration.lake_keeper"]
    arguments = [url, str(tmp_path / "lake"), str(TODAY), "4", place, str(call)]
    child = await asyncio.to_thread(subprocess.run, [*command, *arguments], check=False)
    assert child.returncode in (-9, 0)
    return child.returncode == -9


async def check_every_place(tmp_path: Path, url: str, calls: Sequence[int]) -> None:
    runs = list(executions(1000, TODAY - 7, 8, seed=1))
    special = [run for run in runs if run.status is not Status.SUCCEEDED or run.fallback]
    store = await opened(tmp_path, url)
    await record(store, runs)
    expected = await publish(store)
    await store.close()
    died = 0
    for call in calls:
        for place in PLACES:
            died += await killed(tmp_path, url, place, call)
            store = await opened(tmp_path, url)
            await check_days(store, expected)
            await store.close()
    assert died >= len(PLACES)
    store = await opened(tmp_path, url)
    await tidy(store, replace(KEEPING, raw_days=4))
    await check_days(store, expected)
    hot = sum(TODAY - day_of(run.started_at_us) < 2 for run in runs)
    assert (await store.info()).rows["executions"] == hot
    for run in special[::9]:
        recent = TODAY - day_of(run.started_at_us) <= 4
        assert await store.execution(run.id) == (run if recent else None)
    await store.close()


async def test_killed_anywhere_nothing_is_lost_and_nothing_doubled(tmp_path):
    await check_every_place(tmp_path, f"sqlite:///{tmp_path}/store.db", (1, 2))


async def test_killed_anywhere_postgresql_keeps_every_count(tmp_path, postgres):
    await check_every_place(tmp_path, postgres(), (1,))


async def test_killed_while_folding_every_fact_is_still_counted_once(tmp_path, store):
    runs = list(executions(1000, TODAY - 7, 8, seed=16))
    await record(store, runs)
    url = f"sqlite:///{tmp_path}/store.db"
    for place in FOLDING:
        for call in (1, 3):
            assert await killed(tmp_path, url, place, call)
    assert 0 < (await store.dailies())[0] < await store.newest()
    expected = await publish(store)
    assert sum(each.card.spent_micros for each in expected) == sum(run.cost_micros for run in runs)
    await check_days(store, expected)


async def test_two_that_tidy_up_at_once_are_as_good_as_one(tmp_path, store):
    await record(store, executions(800, TODAY - 7, 8, seed=2))
    expected = await publish(store)
    other = await opened(tmp_path)
    try:
        await asyncio.gather(tidy(store), tidy(other), tidy(store))
        await check_days(other, expected)
    finally:
        await other.close()


async def test_what_is_recorded_while_days_move_is_counted(store):
    runs = list(executions(2000, TODAY - 7, 8, seed=3))
    await record(store, runs[:1500])
    await publish(store)

    async def late() -> None:
        for first in range(1500, 2000, 50):
            await store.record([*runs[first : first + 50], *runs[first - 1500 : first - 1450]])

    await asyncio.gather(tidy(store), late())
    expected = await publish(store)
    assert sum(each.card.spent_micros for each in expected) == sum(run.cost_micros for run in runs)
    await check_days(store, expected)
    await tidy(store)
    await check_days(store, expected)


# -- what is found -----------------------------------------------------------------------------------------------------


async def test_what_has_moved_is_found_as_before(store):
    runs = list(executions(300, TODAY - 5, 6, seed=4))
    await record(store, runs)
    newest = await store.decisions(250)
    await publish(store)
    await tidy(store, WHOLE)
    assert (await store.info()).rows["executions"] < 150
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
    slowest = sorted(runs, key=lambda run: run.latency_us or 0)[-60:]
    assert odd | {run.id for run in slowest} <= weights.keys()
    assert {weights[id_] for id_ in odd} == {1.0}
    # Three in ten of the ordinary ones, each for ten thirds: the weights add up to all of them, but for chance.
    assert len(weights) < 0.65 * len(runs)
    assert abs(sum(weights.values()) - len(runs)) < 4 * (len(runs) * 0.7 / 0.3) ** 0.5


async def test_sampling_saves_nine_tenths_of_what_a_frequent_healthy_task_type_takes(tmp_path, store):
    runs = [replace(run, status=Status.SUCCEEDED, fallback=False) for run in executions(4000, TODAY - 4, 1, seed=6)]
    await record(store, runs)
    await publish(store)
    await tidy(store, replace(KEEPING, frequent_rate=0.04))
    (file,) = (tmp_path / "lake").glob("*/*/executions.parquet")
    assert len(duckdb.sql(f"SELECT id FROM '{file}'").fetchall()) <= 0.1 * len(runs)


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
