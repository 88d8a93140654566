"""Rows that this version cannot read, written by hand: each is refused by itself, said, and comes back once mended."""

import asyncio
import json
import sqlite3
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from decimal import Decimal

import psycopg
import pytest

from mahavishnu.engine.clock import SystemClock
from mahavishnu.engine.orchestrator import UnifiedOrchestrator
from mahavishnu.errors import BudgetExhausted, InvalidTarget, RecordUnreadable, TaskFailed
from mahavishnu.jobs import scores
from mahavishnu.jobs.schedule import run_job
from mahavishnu.model import Account, Budget, Micros, Reservation, Result, Snapshot, Spender, Target
from mahavishnu.model.alert import Alert, AlertKind, Condition, Severity
from mahavishnu.model.experiment import Change, Experiment, ExperimentRun, ExperimentStatus
from mahavishnu.model.queued import QueueStatus
from mahavishnu.policies.preference import Preference
from mahavishnu.policies.statistical import Statistical
from mahavishnu.settings import Settings, load_settings
from mahavishnu.storage import SqlStore
from mahavishnu.testing.samples import Samples
from tests.unit.engine.scripted import ScriptedAdapter, fine, task

SETTINGS = {"routing": {"policy": "preference", "refresh_s": 0.05}, "breaker": {"open_ms": 10}}

BROKEN = {
    "an unknown field": lambda body: json.dumps({**json.loads(body), "region": "eu"}),
    "an unknown word": lambda body: json.dumps({**json.loads(body), "period": "fortnight"}),
    "no JSON": lambda _body: "{not json",
    "a missing field": lambda body: json.dumps({k: v for k, v in json.loads(body).items() if k != "period"}),
    "another type": lambda body: json.dumps({**json.loads(body), "hard_micros": "much"}),
}


class Dear(ScriptedAdapter):
    def targets(self):
        return [replace(each, max_cost_usd=Decimal("0.01")) for each in super().targets()]


class Place:
    """One store, which this test may write into behind everybody's back."""

    def __init__(self, url, lake):
        self.url, self._lake = url, lake

    @asynccontextmanager
    async def store(self):
        store = SqlStore(self.url, SystemClock(), lake=str(self._lake))
        await store.open()
        try:
            yield store
        finally:
            await store.close()

    @asynccontextmanager
    async def engine(self, adapter):
        async with self.store() as store:
            settings = load_settings(None, {}, SETTINGS)
            policies = {"preference": Preference()}
            scoring = Statistical(min_samples=10)
            clock = SystemClock()
            adapters = {adapter.name: adapter}
            async with UnifiedOrchestrator(store, adapters, {}, policies, scoring, clock, settings) as orchestrator:
                yield orchestrator, store

    def by_hand(self, statement, *values):
        if self.url.startswith("sqlite"):
            with closing(sqlite3.connect(self.url.removeprefix("sqlite:///"), timeout=10)) as connection, connection:
                return connection.execute(statement, values).fetchall()
        with psycopg.connect(self.url) as connection:
            cursor = connection.execute(statement.replace("?", "%s"), values)
            return cursor.fetchall() if cursor.description else []

    def body(self, table, column="body"):
        ((found,),) = self.by_hand(f"SELECT {column} FROM {table}")
        return found

    def write(self, table, body, column="body"):
        self.by_hand(f"UPDATE {table} SET {column} = ?", body)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request, tmp_path):
    if request.param == "sqlite":
        return Place(f"sqlite:///{tmp_path}/store.db", tmp_path / "lake")
    return Place(request.getfixturevalue("postgres")(), tmp_path / "lake")


async def until(holds):
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.01)


async def paid(task, call):
    return Result(value="done", cost_usd=Decimal("0.01"))


def failures(orchestrator, part):
    return next(report for report in orchestrator.loops() if report.name == part).last_failure or ""


# -- money -------------------------------------------------------------------------------------------------------------


async def test_a_budget_that_cannot_be_read_refuses_what_it_covers_until_it_is_mended(place, caplog):
    async with place.engine(Dear(a=paid, b=paid)) as (orchestrator, store):
        await store.set_budget(Budget(name="team", hard_micros=Micros(1_000_000), target="a"))
        whole = place.body("budgets")
        for what, breaks in BROKEN.items():
            place.write("budgets", breaks(whole))
            await until(orchestrator.unreadable)
            (row,) = orchestrator.unreadable()
            assert (row.kind, row.name) == ("budget", "team")
            assert "budget team cannot be read" in failures(orchestrator, "money")
            assert "mahavishnu budgets set team --limit USD" in str(row)
            if what == "no JSON":
                # What it covered cannot be read either: it may be anything.
                with pytest.raises((BudgetExhausted, TaskFailed), match="budget team cannot be read"):
                    await orchestrator.execute(task())
            else:
                report = await orchestrator.execute(task())
                assert report.last.target == "b"
                assert "budget team cannot be read" in next(
                    each.why_not for each in report.decision.considered if each.target == "a"
                )
            assert orchestrator.ready
            place.write("budgets", whole)
            await until(lambda: not orchestrator.unreadable())
            assert (await orchestrator.execute(task(target="a"))).last.target == "a"
        (balance,) = await store.balances(0)
        assert (balance.spent_micros, balance.reserved_micros) == (len(BROKEN) * 10_000, 0)
    said = [record for record in caplog.records if "budget team" in record.getMessage()]
    assert len({record.getMessage() for record in said}) == len(said) == len(BROKEN)


@pytest.mark.parametrize("micros", [0, 10_000])
async def test_the_reserving_transaction_itself_refuses_what_an_unreadable_budget_covers(place, micros):
    async with place.store() as store:
        await store.set_budget(Budget(name="all", hard_micros=Micros(1_000_000)))
        await store.set_budget(Budget(name="team", hard_micros=Micros(1_000_000), target="a"))
        body = place.by_hand("SELECT body FROM budgets WHERE name = 'team'")[0][0]
        place.by_hand("UPDATE budgets SET body = ? WHERE name = 'team'", BROKEN["an unknown word"](body))
        made = Samples(SystemClock())
        answers = {}
        for target in "ab":
            decision = made.decision()
            reservation = Reservation(
                execution_id=made.new_id(),
                process_id=store.process_id,
                at_us=1,
                micros=Micros(micros),
                spender=Spender(adapter="scripted", target=target, task_type="t"),
                accounts=(Account(budget="all", label="total"),),
            )
            answers[target] = await store.reserve(reservation, [decision])
        assert answers["a"].balance.budget.name == "team"
        assert answers["a"].balance.budget.unreadable == "'fortnight' is not a valid Period"
        assert answers["b"] is None
        stands = {each.budget.name: each.reserved_micros for each in await store.balances(1)}
        assert stands == {"all": micros, "team": 0}
        assert place.by_hand("SELECT target FROM reservations") == [("b",)]
        # Set anew, it lets through again, with what was spent.
        await store.set_budget(Budget(name="team", hard_micros=Micros(1_000_000), target="a"))
        assert {each.budget.unreadable for each in await store.balances(1)} == {None}


# -- targets and switches ----------------------------------------------------------------------------------------------


async def test_a_target_that_cannot_be_read_is_left_out_and_comes_back(place):
    async with place.engine(ScriptedAdapter(a=fine)) as (orchestrator, store):
        orchestrator._roster._adapters["scripted"].behaviours["later"] = fine
        added = Target(name="added", adapter="scripted", run="a", task_types={"t"})
        await orchestrator.add_target(added)
        whole = place.body("targets")
        for breaks in (BROKEN["an unknown field"], BROKEN["no JSON"], lambda body: json.dumps({"name": "added"})):
            place.write("targets", breaks(whole))
            await until(orchestrator.unreadable)
            assert "added" not in {each.target.name for each in orchestrator.standings()}
            assert "target added cannot be read" in failures(orchestrator, "targets")
            with pytest.raises(InvalidTarget, match="cannot be read"):
                await orchestrator.execute(task(target="added"))
            assert (await orchestrator.execute(task())).last.target == "a"
            assert (await orchestrator.execute(task(target="later"))).last.target == "later"
            place.write("targets", whole)
            await until(lambda: "added" in {each.target.name for each in orchestrator.standings()})
        place.write("targets", "{}")
        await until(orchestrator.unreadable)
        await orchestrator.remove_target("added")
        assert list(await store.targets()) == []
        assert not orchestrator.unreadable()


async def test_a_switch_that_cannot_be_read_keeps_its_target_off_and_no_other(place):
    async with place.engine(ScriptedAdapter(a=fine, b=fine)) as (orchestrator, _):
        await orchestrator.switch_target("a", enabled=True)
        place.by_hand("UPDATE switches SET enabled = 7")
        await until(orchestrator.unreadable)
        assert (await orchestrator.execute(task())).last.target == "b"
        assert "targets enable a" in failures(orchestrator, "targets")
        await orchestrator.switch_target("a", enabled=True)
        assert (await orchestrator.execute(task())).last.target == "a"


# -- evidence ----------------------------------------------------------------------------------------------------------


async def test_a_newest_snapshot_that_cannot_be_read_keeps_what_was_known(place):
    clock = SystemClock()
    async with place.engine(ScriptedAdapter(a=fine)) as (orchestrator, store), place.store() as other:
        for _ in range(3):
            await orchestrator.execute(task())
        await scores.recalculate(store, clock, Settings())
        await other.publish(Snapshot(version=2, published_at_us=clock.now_us()))
        place.by_hand('UPDATE snapshots SET body = \'{"kind": "dream"}\' WHERE version = 2')
        await until(lambda: "snapshot 2" in failures(orchestrator, "evidence"))
        assert "routing rollback" in failures(orchestrator, "evidence")
        # What another process learns goes on being folded.
        samples = Samples(clock)
        decision = samples.decision(task_type="t")
        await other.record([decision, samples.end(samples.start(decision, other.process_id))])
        await until(lambda: [stat.estimate.samples for stat in orchestrator.stats("t", "a")] == [4])
        assert orchestrator.ready
        with pytest.raises(RecordUnreadable, match="snapshot 2 cannot be read"):
            await store.latest()
        assert [each.version for each in await store.snapshots(10)] == [1]
        # A process that starts now begins from the newest one that can be read, with all that came since.
        async with place.engine(ScriptedAdapter(a=fine)) as (second, _):
            assert [stat.estimate.samples for stat in second.stats("t", "a")] == [4]
        await scores.roll_back(store, clock, 1)
        await until(lambda: orchestrator._book.unreadable is None)


async def test_an_execution_that_cannot_be_read_stops_no_evidence_after_it(place):
    async with (
        place.engine(ScriptedAdapter(a=fine)) as (orchestrator, store),
        place.engine(ScriptedAdapter(a=fine)) as (other, _),
    ):
        for _ in range(3):
            await other.execute(task())
        place.by_hand("UPDATE executions SET status = 'dreamt' WHERE position = (SELECT min(position) FROM executions)")
        async with place.engine(ScriptedAdapter(a=fine)) as (second, _):
            assert [stat.estimate.samples for stat in second.stats("t", "a")] == [2]
        assert await store.fold() > 0
        for _ in range(2):
            await other.execute(task())
        await until(lambda: any(stat.estimate.samples >= 4 for stat in orchestrator.stats("t", "a")))


async def test_a_daily_sum_that_cannot_be_read_is_named_and_counting_the_days_again_mends_it(place):
    async with place.engine(ScriptedAdapter(a=fine)) as (orchestrator, store):
        for _ in range(3):
            await orchestrator.execute(task())
        clock = SystemClock()
        await scores.recalculate(store, clock, Settings())
        _cursor, before = await store.dailies()
        place.by_hand("UPDATE dailies SET body = '{no'")
        await orchestrator.execute(task())
        for asking in (store.dailies, store.fold):
            with pytest.raises(RecordUnreadable, match=r"daily sum of t on a, day .* routing recalculate --full"):
                await asking()
        await scores.recalculate(store, clock, Settings(), full=True)
        _cursor, after = await store.dailies()
        assert [daily.card.samples for daily in (*before, *after)] == [3, 4]


# -- what waits, what is tried, what is watched ------------------------------------------------------------------------


async def test_a_waiting_task_that_cannot_be_read_is_left_out_and_the_others_run(place):
    async with place.store() as store:
        samples = Samples(SystemClock())
        first, second = samples.queued(), samples.queued()
        await store.enqueue(first)
        await store.enqueue(second)
        place.by_hand("UPDATE queued_tasks SET task = 'no' WHERE id = ?", first.id)
        found = await store.queued(QueueStatus.WAITING)
        assert list(found) == [second]
        assert [(row.kind, row.name) for row in found.unreadable] == [("queued task", first.id)]


async def test_an_experiment_that_cannot_be_read_is_left_as_it_stands_and_the_others_are_looked_at(place):
    clock, settings = SystemClock(), Settings()
    treatment = Change(instead=(("a", "b"),))
    async with place.store() as store:
        runs = []
        for n, name in enumerate(("one", "two")):
            experiment = Experiment(name=name, treatment=treatment, layer=name)
            run = ExperimentRun(
                experiment=experiment,
                status=ExperimentStatus.RUNNING,
                created_at_us=clock.now_us() + n,
                started_at_us=clock.now_us(),
            )
            await store.create_experiment(run)
            runs.append(run)
        await run_job("experiments", store, clock, settings)
        assert {each.experiment.name for each in (await store.latest()).experiments} == {"one", "two"}
        place.by_hand("UPDATE experiments SET status = 'dreaming' WHERE name = 'one'")
        found = await store.experiments()
        assert [run.name for run in found] == ["two"]
        assert [(row.kind, row.name) for row in found.unreadable] == [("experiment", "one")]
        with pytest.raises(RecordUnreadable, match="experiment one cannot be read"):
            await store.experiment("one")
        report = await run_job("experiments", store, clock, settings)
        assert any("experiment one cannot be read" in change for change in report.changes)
        assert {each.experiment.name for each in (await store.latest()).experiments} == {"one", "two"}


@pytest.mark.parametrize("what", ["alert", "watch", "job"])
async def test_what_is_watched_goes_on_beside_a_row_that_cannot_be_read(place, what):
    clock, settings = SystemClock(), Settings()
    async with place.store() as store:
        await run_job("check-alerts", store, clock, settings)
        alert = Alert(
            id=clock.new_id(),
            condition=Condition(kind=AlertKind.LOST, target="a"),
            severity=Severity.WARNING,
            summary="lost",
            opened_at_us=1,
        )
        before = await store.watch()
        assert await store.keep_watch(before, replace(before, revision=before.revision + 1), [alert])
        match what:
            case "alert":
                place.by_hand("UPDATE alerts SET severity = 'dreadful'")
                assert [row.kind for row in (await store.alerts()).unreadable] == ["alert"]
            case "watch":
                place.by_hand('UPDATE watch SET state = \'{"began_at_us": "long ago"}\'')
            case "job":
                place.by_hand("UPDATE jobs SET ok = 7")
                assert [row.name for row in (await store.jobs()).unreadable] == ["check-alerts"]
        report = await run_job("check-alerts", store, clock, settings)
        if what != "job":
            assert any("cannot be read" in change for change in report.changes)
        assert not (await store.jobs()).unreadable
