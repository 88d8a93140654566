"""Experiments and the lake: what was drawn moves with its decision, and says there what it said before."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import duckdb
import pytest

from mahavishnu.model import DAY_US, Decision, Execution, Snapshot, Status, day_of
from mahavishnu.model.experiment import Assignment, ExperimentStatus
from mahavishnu.ports import ExecutionQuery
from mahavishnu.storage import SqlStore
from mahavishnu.storage.lake import moving
from mahavishnu.testing.samples import Samples
from tests.history import decision_of, executions, outcome_on
from tests.integration.lakes import KEEPING, TODAY, check_days, clock_of, opened, publish, tidy

EVER_US = 2**62
THIN = replace(KEEPING, frequent=1, frequent_rate=0.0)


@pytest.fixture
async def store(tmp_path):
    opened_store = await opened(tmp_path)
    yield opened_store
    await opened_store.close()


def drawn(run: Execution, number: int, decided_before_us: int = 0) -> Decision:
    """The decision of a run: of four, two are in "e", one of these in "other" too, and one was not left to chance."""
    mine = Assignment(experiment="e", unit=f"u{number % 90}", treated=number % 8 == 0, probability=0.25)
    assignments = {
        0: (mine,),
        1: (Assignment(experiment="other", unit=None, treated=True, probability=1 / 3), mine),
        2: (replace(mine, probability=None),),
    }.get(number % 4, ())
    decision = decision_of(run)
    return replace(decision, at_us=decision.at_us - decided_before_us, assignments=assignments)


async def record_drawn(store: SqlStore, runs: Sequence[Execution], decided_before_us: int = 0) -> list[Decision]:
    """The ends come in another order than the decisions, of which every fortieth had nobody to choose."""
    decisions = [drawn(run, number, decided_before_us) for number, run in enumerate(runs)]
    decisions[::40] = [replace(each, selected=None) for each in decisions[::40]]
    await store.record(decisions)
    ran = [run for number, run in enumerate(runs) if number % 40]
    await store.record([run for first in range(7) for run in ran[first::7]])
    return decisions


async def everything(store: SqlStore, page: int = 10_000):
    """What the experiments can read from the beginning, page by page."""
    found = []
    for name in ("e", "other"):
        for read in (store.observations, lambda *about: store.assigned(about[0], about[1], EVER_US, about[2])):
            since = 0
            while rows := await read(name, since, page):
                found += rows
                since = rows[-1].position
    return found


async def test_what_was_drawn_and_what_came_of_it_are_the_same_wherever_they_are(tmp_path, store):
    runs = list(executions(800, TODAY - 4, 4, seed=21))
    decisions = await record_drawn(store, runs)
    before = await everything(store)
    assert len(before) > 650
    await publish(store)
    while await store.retain(THIN, TODAY) is not None:
        assert await everything(store) == before
    rows = (await store.info()).rows
    assert 0 < rows["assignments"] < 400
    assert await everything(store, page=150) == before
    # Decided the day before, so that the one half moves earlier than the other.
    late = list(executions(60, TODAY - 3, 1, seed=22))
    decisions += await record_drawn(store, late, decided_before_us=DAY_US)
    before = await everything(store)
    for _ in range(2):
        await publish(store)
        while await store.retain(THIN, TODAY) is not None:
            assert await everything(store) == before
    assert await everything(store, page=140) == before
    for decision in decisions[::29]:
        assert await store.decision(decision.id) == decision or not decision.assignments
    assert {each.id: each for each in await store.decisions(2000)}.items() >= {
        each.id: each for each in decisions if each.assignments
    }.items()


async def test_a_decision_of_an_experiment_is_kept_whole_with_all_its_executions(tmp_path, store):
    runs = [replace(run, status=Status.SUCCEEDED, fallback=False) for run in executions(400, TODAY - 5, 1, seed=23)]
    # Every second one began on the day after its decision, which has moved by then.
    runs = [replace(run, started_at_us=run.started_at_us + DAY_US * (n // 4 % 2)) for n, run in enumerate(runs)]
    decisions = [replace(drawn(run, n), at_us=run.started_at_us - DAY_US * (n // 4 % 2)) for n, run in enumerate(runs)]
    await store.record([*decisions, *runs])
    before = await everything(store)
    expected = await publish(store)
    await tidy(store, THIN)
    await check_days(store, expected)
    assert await everything(store) == before
    assert (await store.info()).rows["executions"] == 0
    kept = {each.id for each in await store.executions(ExecutionQuery(last=None))}
    assert {run.id for run, decision in zip(runs, decisions, strict=True) if decision.assignments} <= kept
    assert len(kept) < 320
    files = sorted((tmp_path / "lake").glob("*/*/assignments.parquet"))
    weights = duckdb.sql(
        "SELECT DISTINCT weight FROM read_parquet($runs) JOIN read_parquet($drawn) USING (decision_id)",
        params={
            "runs": [str(each.with_name("executions.parquet")) for each in files],
            "drawn": [str(e) for e in files],
        },
    ).fetchall()
    assert weights == [(1.0,)]


async def test_whoever_reads_while_a_day_moves_misses_nothing(monkeypatch, store):
    monkeypatch.setattr(moving, "AT_ONCE", 40)
    runs = list(executions(500, TODAY - 5, 4, seed=24))
    decisions = await record_drawn(store, runs)
    some = [each for each in decisions if each.assignments][::60]
    before = await everything(store)
    await publish(store)
    moving_on = asyncio.create_task(tidy(store, THIN))
    reads = 0
    while not moving_on.done():
        assert await everything(store) == before
        for each in some:
            assert await store.decision(each.id) == each
        reads += 1
    assert "cleared from the tables" in await moving_on or reads > 1
    assert await everything(store) == before


async def test_several_parts_of_a_day_are_made_one_and_their_raw_facts_go_in_the_end(tmp_path, store):
    runs = list(executions(300, TODAY - 5, 1, seed=25))
    for first in range(5):
        await record_drawn(store, runs[first::5])
        before = await everything(store)
        await publish(store)
        await tidy(store, THIN)
        assert await everything(store, page=70) == before
    assert len(list((tmp_path / "lake").glob("*/*"))) < 4
    await tidy(store, THIN, TODAY + 20)
    assert await everything(store) == []


async def test_a_lake_that_is_older_than_all_experiments_is_read_as_before(store):
    old = list(executions(100, TODAY - 6, 1, seed=26))
    await store.record([fact for run in old for fact in (decision_of(run), run)])
    await publish(store)
    await tidy(store)
    runs = list(executions(100, TODAY - 4, 1, seed=27))
    await record_drawn(store, runs)
    await store.record([outcome_on(runs[0], 0)])
    before = await everything(store)
    assert await store.decision(old[0].decision_id) == decision_of(old[0])
    await publish(store)
    await tidy(store, THIN)
    assert await everything(store) == before
    # Recorded once more it changes nothing, here or there.
    await record_drawn(store, runs)
    assert await everything(store) == before
    assert (await store.info()).rows["assignments"] == 0


# -- what stays --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [ExperimentStatus.RUNNING, ExperimentStatus.PAUSED])
async def test_what_an_experiment_on_its_way_has_not_read_stays(store, status):
    runs = list(executions(200, TODAY - 5, 2, seed=28))
    await record_drawn(store, runs)
    await publish(store)
    make = Samples(clock_of(TODAY))
    behind, ahead = make.experiment("behind"), make.experiment("ahead")
    for each in (behind, ahead):
        await store.create_experiment(each)
    newest = await store.newest()
    half = (await store.assigned("e", 0, EVER_US, 30))[-1].position
    steps = [replace(ahead, revision=1, status=status, cursor=newest, assigned_cursor=newest)]
    assert await store.move_experiment(ahead, steps[0])
    reading = replace(behind, revision=1, status=status, cursor=newest, assigned_cursor=half)
    assert await store.move_experiment(behind, reading)
    before = await everything(store)
    await tidy(store, THIN)
    rows = (await store.info()).rows
    # Some decisions have moved, with what they were in experiments, and none of the ends, which came behind them.
    assert rows["executions"] == 195
    assert 100 < rows["decisions"] < 200
    assert await everything(store, page=13) == before
    over = replace(reading, revision=2, status=ExperimentStatus.COMPLETED)
    assert await store.move_experiment(reading, over)
    await tidy(store, THIN)
    assert (await store.info()).rows["executions"] == 0
    assert await everything(store) == before


async def test_a_decision_does_not_move_without_what_it_was_in_experiments(store):
    make = Samples(clock_of(TODAY - 5))
    decision = make.assigned()
    decision = replace(decision, assignments=(*decision.assignments, *make.assigned("other").assignments))
    await store.record([decision, make.end(make.start(decision))])
    before = await everything(store)
    while await store.fold():
        continue
    for version, cursor in enumerate(range(1, await store.newest() + 1), start=1):
        await store.publish(Snapshot(version=version, cursor=cursor, published_at_us=TODAY * DAY_US))
        await tidy(store)
        rows = (await store.info()).rows
        assert (rows["decisions"], rows["assignments"]) in ((1, 2), (0, 0))
        assert await store.decision(decision.id) == decision
        assert await everything(store) == before
    assert rows["decisions"] == rows["executions"] == 0


async def test_an_attempt_waits_for_a_decision_that_a_clock_has_put_on_a_later_day(store):
    make = Samples(clock_of(TODAY - 3))
    decision = replace(make.assigned(), at_us=(TODAY - 1) * DAY_US + 5)
    end = make.end(make.start(decision))
    assert day_of(end.started_at_us) == TODAY - 3
    await store.record([decision, end])
    before = await everything(store)
    await publish(store)
    await tidy(store, THIN)
    assert (await store.info()).rows["executions"] == 1
    assert await everything(store) == before
    await tidy(store, THIN, TODAY + 3)
    assert (await store.info()).rows["executions"] == 0
    assert await everything(store) == before
