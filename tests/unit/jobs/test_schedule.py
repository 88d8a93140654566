"""Jobs: when they are due, that one of them runs once at a time, and what it says it did."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.engine.clock import SystemClock
from mahavishnu.errors import StoreUnavailable, UnknownName
from mahavishnu.jobs import schedule
from mahavishnu.jobs.cron import due_at_us
from mahavishnu.jobs.schedule import GRACE_US, JOBS, missed, overdue, run_job
from mahavishnu.model.job import Job, JobReport
from mahavishnu.ports import JobRun
from mahavishnu.settings import Settings
from mahavishnu.storage import Memory, MemoryStore
from mahavishnu.storage.sql.coordination.job_lease import LEASE_S
from mahavishnu.testing.clock import ManualClock
from mahavishnu.testing.samples import Samples

WEEKLY = Job(name="weekly", doc="", cron="0 3 * * 0")
SETTINGS = Settings()


def at_us(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def ran(name, succeeded_at_us, *, ok=True):
    return JobRun(
        name=name, run_id="r", started_at_us=0, ended_at_us=1, ok=ok, note="", succeeded_at_us=succeeded_at_us
    )


@pytest.fixture
def memory():
    return Memory()


@pytest.fixture
async def store(memory):
    opened = MemoryStore(SystemClock(), memory)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def job(monkeypatch):
    """Puts something else in the place of what "fold" does."""
    return lambda run: monkeypatch.setitem(schedule._RUNS, "fold", run)


# -- when --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cron", "now", "due"),
    [
        ("0 3 * * 0", "2026-11-22T03:00:00", "2026-11-22T03:00:00"),
        ("0 3 * * 0", "2026-11-22T02:59:59", "2026-11-15T03:00:00"),
        ("0 3 * * 0", "2026-11-28T23:00:00", "2026-11-22T03:00:00"),
        ("30 2 * * *", "2026-03-01T02:29:00", "2026-02-28T02:30:00"),
        ("*/5 * * * *", "2027-01-01T00:04:59", "2027-01-01T00:00:00"),
        ("* * * * *", "2027-01-01T00:00:59", "2027-01-01T00:00:00"),
        ("15,45 6,18 * * 1,5", "2026-11-21T00:00:00", "2026-11-20T18:45:00"),
    ],
)
def test_a_cron_line_was_due_last_when_it_says(cron, now, due):
    assert due_at_us(cron, at_us(now)) == at_us(due)


@given(st.integers(0, 4_000_000_000), st.integers(0, 59), st.integers(0, 23), st.integers(0, 6))
def test_what_was_due_is_past_within_a_week_and_named_by_the_line(now_s, minute, hour, weekday):
    now_us = now_s * 1_000_000
    due_us = due_at_us(f"{minute} {hour} * * {weekday}", now_us)
    due = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=due_us)
    assert now_us - 7 * 86_400_000_000 < due_us <= now_us
    assert (due.minute, due.hour, due.isoweekday() % 7, due.second) == (minute, hour, weekday, 0)


@pytest.mark.parametrize("cron", ["0 3 1 * *", "0 3 * 2 *", "60 3 * * *", "0 3 * * 7", "0 3 * *", "x * * * *"])
def test_a_line_that_is_not_understood_is_refused(cron):
    with pytest.raises(ValueError):
        due_at_us(cron, 0)


def test_a_job_that_missed_its_time_is_overdue_until_it_succeeds():
    now_us = at_us("2026-11-24T12:00:00")
    assert overdue([WEEKLY], [], now_us) == [WEEKLY]
    assert overdue([WEEKLY], [ran("weekly", at_us("2026-11-15T03:00:10"))], now_us) == [WEEKLY]
    assert overdue([WEEKLY], [ran("weekly", None, ok=False)], now_us) == [WEEKLY]
    assert overdue([WEEKLY], [ran("weekly", at_us("2026-11-22T03:00:10"))], now_us) == []


def test_a_job_that_is_due_just_now_is_left_to_whoever_is_about_to_begin_it():
    last_week = [ran("weekly", at_us("2026-11-15T03:00:10"))]
    due_us = at_us("2026-11-22T03:00:00")
    assert overdue([WEEKLY], last_week, due_us + GRACE_US - 1) == []
    assert overdue([WEEKLY], last_week, due_us + GRACE_US) == [WEEKLY]


def test_the_weekly_recalculation_is_on_sundays_at_three():
    assert JOBS["recalculate"].cron == "0 3 * * 0"


def test_whoever_deploys_by_prefect_yaml_gets_the_same_jobs_at_the_same_times():
    found = yaml.safe_load((Path(__file__).parents[3] / "prefect.yaml").read_text())["deployments"]
    deployed = {each["entrypoint"].rpartition(".")[2].replace("_", "-"): each for each in found}
    assert {name: each["schedules"] for name, each in deployed.items() if name in JOBS} == {
        name: [{"cron": job.cron, "timezone": "UTC"}] for name, job in JOBS.items()
    }
    assert {name: each["description"] for name, each in deployed.items() if name in JOBS} == {
        name: job.doc for name, job in JOBS.items()
    }


# -- once at a time ----------------------------------------------------------------------------------------------------


async def test_two_at_once_are_one(memory, store, job):
    runs, begun, go_on = [], asyncio.Event(), asyncio.Event()

    async def slow(*_):
        runs.append(1)
        begun.set()
        await go_on.wait()
        return JobReport(name="fold", did="Done.")

    job(slow)
    other = MemoryStore(SystemClock(), memory)
    await other.open()
    first = asyncio.create_task(run_job("fold", store, SystemClock(), SETTINGS))
    await begun.wait()
    skipped = await run_job("fold", other, SystemClock(), SETTINGS)
    assert skipped.skipped
    go_on.set()
    done = await first
    assert (done.did, done.skipped, runs) == ("Done.", False, [1])
    assert not (await run_job("fold", other, SystemClock(), SETTINGS)).skipped
    await other.close()


async def test_a_failure_is_noted_and_the_next_run_may_begin_at_once(store, job):
    async def broken(*_):
        raise StoreUnavailable(url="x", problem="it is gone")

    job(broken)
    with pytest.raises(StoreUnavailable):
        await run_job("fold", store, SystemClock(), SETTINGS)
    (run,) = await store.jobs()
    assert (run.ok, run.succeeded_at_us) == (False, None)
    assert "it is gone" in run.note
    with pytest.raises(StoreUnavailable):
        await run_job("fold", store, SystemClock(), SETTINGS)


async def test_a_run_that_is_cancelled_lets_the_next_one_begin(store, job):
    begun = asyncio.Event()

    async def endless(*_):
        begun.set()
        await asyncio.Event().wait()

    job(endless)
    running = asyncio.create_task(run_job("fold", store, SystemClock(), SETTINGS))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    (run,) = await store.jobs()
    assert run.ok is False
    assert await store.claim_job("fold", LEASE_S) is not None


async def test_a_run_is_held_on_to_for_longer_than_its_lease(memory, job):
    clock = ManualClock()
    store, other = MemoryStore(clock, memory), MemoryStore(clock, memory)
    await store.open()
    await other.open()

    async def long(*_):
        began_s = clock.monotonic_s()
        while clock.monotonic_s() < began_s + 10 * LEASE_S:
            await asyncio.sleep(0)
        assert await other.claim_job("fold", LEASE_S) is None
        return JobReport(name="fold", did="Done.")

    job(long)
    assert (await run_job("fold", store, clock, SETTINGS)).did == "Done."
    await store.close()
    await other.close()


async def test_a_run_whose_process_was_killed_is_done_again_when_its_lease_is_over(memory):
    clock = ManualClock()
    dead, store = MemoryStore(clock, memory), MemoryStore(clock, memory)
    await dead.open()
    await store.open()
    assert await dead.claim_job("recalculate", LEASE_S) is not None
    assert (await run_job("recalculate", store, clock, SETTINGS)).skipped
    clock.advance(LEASE_S + 1)
    assert not (await run_job("recalculate", store, clock, SETTINGS)).skipped
    await dead.close()
    await store.close()


async def test_a_job_that_nobody_knows_is_named_with_the_nearest_one(store):
    with pytest.raises(UnknownName, match="recalculate"):
        await run_job("recalculat", store, SystemClock(), SETTINGS)


# -- what it does ------------------------------------------------------------------------------------------------------


async def record(store, clock, number):
    samples = Samples(clock)
    for _ in range(number):
        decision = samples.decision()
        await store.record([decision, *samples.run(decision)])


async def test_a_recalculation_publishes_and_tells_of_every_scorecard(store):
    clock = SystemClock()
    await record(store, clock, 12)
    report = await run_job("recalculate", store, clock, SETTINGS)
    assert (await store.latest()).version == 1
    assert "snapshot 1" in report.did
    (row,) = report.rows
    assert set(row) == set(report.columns)
    assert (row["target"], row["task_type"], row["samples"]) == ("a", "etl", 12)
    assert any("etl: a is new" in each for each in report.changes)
    again = await run_job("recalculate", store, clock, SETTINGS)
    assert (again.changes, (await store.latest()).version) == ((), 1)


async def test_a_fold_catches_up_on_a_recalculation_that_was_missed(store):
    clock = SystemClock()
    await record(store, clock, 3)
    assert "recalculate" in [each.name for each in await missed(store, clock)]
    report = await run_job("fold", store, clock, SETTINGS)
    assert any("recalculate was overdue" in each for each in report.changes)
    assert await missed(store, clock) == []
    again = await run_job("fold", store, clock, SETTINGS)
    assert not any("overdue" in each for each in again.changes)


async def test_a_fold_stands_where_what_it_catches_up_on_fails(store, monkeypatch):
    async def broken(*_):
        raise StoreUnavailable(url="x", problem="it is gone")

    monkeypatch.setitem(schedule._RUNS, "recalculate", broken)
    report = await run_job("fold", store, SystemClock(), SETTINGS)
    assert any("recalculate was overdue, and failed" in each for each in report.changes)
    by_name = {each.name: each.ok for each in await store.jobs()}
    assert (by_name["fold"], by_name["recalculate"]) == (True, False)
