"""The seeds' keys resolve to the seeds' records, before and after the day they are about has moved into the lake."""

import datetime as dt
import time
from dataclasses import replace
from decimal import Decimal

import pytest

from mahavishnu.app import make_store, open_app
from mahavishnu.compat import keys, metrics
from mahavishnu.engine.clock import SystemClock
from mahavishnu.errors import UnknownName
from mahavishnu.jobs import experiments
from mahavishnu.jobs.retention import retain
from mahavishnu.model import Spender, Status, day_of
from mahavishnu.model.experiment import Change, Experiment, ExperimentRun, ExperimentStatus
from mahavishnu.model.money import to_usd
from mahavishnu.ports import Charge
from mahavishnu.settings import load_settings
from tests.history import decision_of, executions

TODAY = day_of(time.time_ns() // 1000)
DAY = TODAY - 5
DATE = dt.date(1970, 1, 1) + dt.timedelta(days=DAY)


RUNS = list(executions(300, DAY, 1, seed=3))


@pytest.fixture
async def app(tmp_path):
    tables = {"store": {"url": f"sqlite:///{tmp_path}/store.db"}, "lake": {"folder": str(tmp_path / "lake")}}
    tables["targets"] = {f"target-{n}": {"run": "os:getcwd", "task_types": ["etl"]} for n in range(3)}
    settings = load_settings(None, {}, tables)
    store = make_store(settings)
    await store.open()
    for run in RUNS:
        spender = Spender(adapter="local", target=run.target, task_type=run.task_type)
        charge = Charge(execution_id=run.id, at_us=run.started_at_us, micros=run.cost_micros, spender=spender)
        await store.charge(charge, (decision_of(run), run))
    await store.close()
    async with open_app(settings) as opened:
        yield opened


async def test_every_key_has_its_record_wherever_that_is_kept(app):
    one = next(run for run in RUNS if run.status is Status.FAILED)
    wanted = [f"exec:{one.id}", f"routing:{one.decision_id}", "adapter:local:stats", "task_type:etl:local"]
    wanted.append(f"cost:{DATE}:local")
    before = [await keys.get(app, key) for key in wanted]
    kinds = [type(each) for each in before]
    assert kinds == [
        metrics.ExecutionRecord,
        metrics.RoutingDecision,
        metrics.AdapterStats,
        metrics.TaskTypeStats,
        metrics.CostTracking,
    ]
    assert before[0] == metrics.ExecutionRecord.of(one)
    # Two of the five targets are in no settings; they count by what ran on them.
    assert before[4].total_cost_usd == to_usd(sum(run.cost_micros for run in RUNS)) > Decimal(0)
    done = await retain(app.store, SystemClock(), app.settings)
    assert "moved into the lake" in [each.what for each in done]
    again = [await keys.get(app, key) for key in (wanted[0], wanted[1], wanted[4])]
    assert again == [before[0], before[1], before[4]]


async def test_a_key_keeps_nothing_of_its_own_and_says_what_the_store_says_at_that_moment(app):
    one = RUNS[0]
    wanted = (f"cost:{DATE}:local", f"routing:{one.decision_id}", "adapter:local:stats")
    cost, decision, stats = [await keys.get(app, key) for key in wanted]
    spender = Spender(adapter="local", target=one.target, task_type=one.task_type)
    more = Charge(execution_id=app.clock.new_id(), at_us=one.started_at_us, micros=5_000_000, spender=spender)
    late = replace(one, id=more.execution_id)
    await app.store.charge(more, (late,))
    await app.orchestrator._book.refresh()
    again = [await keys.get(app, key) for key in wanted]
    assert again[0].total_cost_usd == cost.total_cost_usd + 5
    assert again[1] == decision
    assert again[2].total_executions == pytest.approx(stats.total_executions + 1)
    with pytest.raises(UnknownName):
        await keys.get(app, f"exec:{app.clock.new_id()}")


@pytest.mark.parametrize(
    "key",
    ["exec:01ARYZ6S410000000000000000", "routing:01ARYZ6S410000000000000000", "adapter:far:stats", "task_type:x:local"],
)
async def test_a_key_that_nothing_has_is_said_to_be_unknown(app, key):
    with pytest.raises(UnknownName):
        await keys.get(app, key)


@pytest.mark.parametrize("key", ["cost:2020-02-29:local", "cost:2020-02-29:far", "ab_test:one"])
async def test_days_without_costs_and_experiments_are_unknown(app, key):
    with pytest.raises(UnknownName):
        await keys.get(app, key)


async def test_an_experiment_is_an_ab_test_under_its_name(app):
    clock = SystemClock()
    experiment = Experiment(name="try:b", treatment=Change(policy="statistical"), share=0.2, alpha=0.01)
    await experiments.create(app.store, clock, experiment)
    drafted = await keys.get(app, "ab_test:try:b")
    assert (drafted.status, drafted.sample_size, drafted.results) == (metrics.ABTestStatus.ACTIVE, {}, None)
    await experiments.start(app.store, clock, app.settings, "try:b")
    await experiments.stop(app.store, clock, "try:b", "enough")
    found = await keys.get(app, "ab_test:try:b")
    assert isinstance(found, metrics.ABTest)
    assert (found.experiment_id, found.name, found.status) == ("try:b", "try:b", metrics.ABTestStatus.COMPLETED)
    assert found.traffic_split == {"treatment": 0.2, "control": 0.8}
    assert found.sample_size == {"treatment": 0, "control": 0}
    assert (found.significance_threshold, found.success_metric, found.winner) == (0.01, "success_rate", None)
    assert found.start_date <= found.end_date
    assert found.results["e_value_needed"] == 100
    assert found.results["note"] == "enough"


@pytest.mark.parametrize(
    ("status", "meant", "winner"),
    [
        (ExperimentStatus.ROLLED_BACK, "rolled_back", "control"),
        (ExperimentStatus.PROMOTED, "completed", "treatment"),
        (ExperimentStatus.BROKEN, "cancelled", None),
        (ExperimentStatus.PAUSED, "active", None),
    ],
)
def test_every_end_has_the_seeds_word_for_it(status, meant, winner):
    run = ExperimentRun(experiment=Experiment(name="e", treatment=Change(policy="statistical")), status=status)
    found = metrics.ABTest.of(run, None)
    assert (found.status, found.winner) == (meant, winner)


@pytest.mark.parametrize(
    "key", ["", "x", "exec:x", "cost:2026-13-01:a", "cost:20261101:a", "cost:2026-11-01:", "ab_test:"]
)
def test_what_is_no_key_is_refused_with_the_forms(key):
    with pytest.raises(ValueError, match=r"exec:\{ulid\}, .*ab_test:\{id\}"):
        keys.parse_key(key)
