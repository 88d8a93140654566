"""The three calls go through the one collector: durable, counted once, and each attempt for whoever made it."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from mahavishnu.app import open_app
from mahavishnu.compat import keys
from mahavishnu.compat.metrics import ExecutionTracker
from mahavishnu.errors import InvalidTask, UnknownName
from mahavishnu.model import Budget, Micros, Status
from mahavishnu.ports import ExecutionQuery
from mahavishnu.settings import load_settings
from mahavishnu.testing.clock import ManualClock


@pytest.fixture
def settings(tmp_path):
    target = {"run": "os.path:basename", "task_types": ["etl"]}
    overrides = {"store": {"url": f"sqlite:///{tmp_path}/store.db"}, "targets": {"known": target}}
    return load_settings(None, {}, overrides)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
async def app(settings):
    async with open_app(settings) as app:
        yield app


@pytest.fixture
def tracker(app, clock):
    return ExecutionTracker(app, clock)


def counts(app):
    return {each.target: (each.estimate.samples, each.estimate.successes) for each in app.orchestrator.stats()}


async def test_a_success_is_recorded_and_counts_at_once(app, tracker, clock):
    id_ = clock.new_id()
    await tracker.record_execution_start(id_, "prefect", "etl")
    assert (await app.store.execution(id_)).status is Status.RUNNING
    await tracker.record_execution_end(id_, True, 12.5, cost_usd="0.002", quality=0.5)
    stored = await app.store.execution(id_)
    assert (stored.status, stored.latency_us, stored.cost_micros, stored.quality) == (
        Status.SUCCEEDED,
        12_500,
        2000,
        0.5,
    )
    assert (stored.adapter, stored.randomised) == ("prefect", False)
    assert counts(app) == {"prefect": (1, 1)}
    decision = await app.store.decision(stored.decision_id)
    assert (decision.selected, decision.policy) == ("prefect", "elsewhere")


async def test_a_failure_keeps_its_error_and_without_a_latency_the_clock_tells(app, tracker, clock):
    id_ = clock.new_id()
    await tracker.record_execution_start(id_, "agno", "etl")
    clock.advance(2)
    await tracker.record_execution_end(id_, False, error="no disk")
    stored = await app.store.execution(id_)
    assert (stored.status, stored.error, stored.error_code) == (Status.FAILED, "no disk", "failed")
    assert stored.latency_us >= 2_000_000


async def test_a_name_of_a_target_is_that_target(app, tracker, clock):
    id_ = clock.new_id()
    await tracker.record_execution_start(id_, "known", "etl")
    assert (await app.store.execution(id_)).adapter == "local"


async def test_a_fallbacks_success_counts_for_the_fallback(app, tracker, clock):
    id_ = clock.new_id()
    await tracker.record_execution_start(id_, "prefect", "etl")
    await tracker.record_adapter_attempt("prefect", 1, "timeout", error="too slow")
    await tracker.record_adapter_attempt("agno", 2, "success", latency_ms=5)
    await tracker.record_execution_end(id_, True, 900)
    assert counts(app) == {"agno": (1, 1), "prefect": (1, 0)}
    first = await app.store.execution(id_)
    assert (first.status, first.error) == (Status.TIMED_OUT, "too slow")
    attempts = await app.store.executions(ExecutionQuery(decision_id=first.decision_id))
    assert {(each.target, each.attempt, each.fallback) for each in attempts} == {
        ("prefect", 1, False),
        ("agno", 2, True),
    }


async def test_a_retry_is_no_fallback(app, tracker, clock):
    id_ = clock.new_id()
    await tracker.record_execution_start(id_, "prefect", "etl")
    await tracker.record_adapter_attempt("prefect", 1, False)
    await tracker.record_adapter_attempt("prefect", 2, True, execution_id=id_)
    assert counts(app) == {"prefect": (2, 1)}
    assert not any(each.fallback for each in await app.store.executions(ExecutionQuery()))


async def test_an_end_that_is_told_twice_counts_once(app, tracker, clock):
    id_ = clock.new_id()
    await tracker.record_execution_start(id_, "prefect", "etl")
    for success in (True, False, True):
        await tracker.record_execution_end(id_, success, 1)
    assert counts(app) == {"prefect": (1, 1)}


async def test_an_end_may_be_told_by_another_process_than_its_start(app, settings, tracker, clock):
    id_ = clock.new_id()
    await tracker.record_execution_start(id_, "prefect", "etl")
    async with open_app(settings) as other:
        await ExecutionTracker(other, clock).record_execution_end(id_, True, 3)
    assert (await app.store.execution(id_)).status is Status.SUCCEEDED


async def test_an_end_without_a_start_is_refused(tracker, clock):
    with pytest.raises(UnknownName, match="no execution"):
        await tracker.record_execution_end(clock.new_id(), True, 1)


async def test_an_attempt_of_nothing_is_refused(tracker):
    with pytest.raises(UnknownName, match="no execution"):
        await tracker.record_adapter_attempt("prefect", 1, "success", execution_id="nothing")


@pytest.mark.parametrize(
    ("id_", "adapter", "task_type", "field"),
    [("e1", "a", "t", "execution_id"), (None, "a b", "t", "adapter"), (None, "a", "t t", "type")],
)
async def test_a_start_that_cannot_be_meant_is_refused(tracker, clock, id_, adapter, task_type, field):
    with pytest.raises(InvalidTask) as refused:
        await tracker.record_execution_start(id_ or clock.new_id(), adapter, task_type)
    assert refused.value.field == field


async def test_an_end_that_cannot_be_meant_is_refused_and_the_execution_runs_on(app, tracker, clock):
    id_ = clock.new_id()
    await tracker.record_execution_start(id_, "prefect", "etl")
    with pytest.raises(InvalidTask, match="latency_ms"):
        await tracker.record_execution_end(id_, True, -1)
    with pytest.raises(InvalidTask, match="outcome"):
        await tracker.record_adapter_attempt("prefect", 1, "splendid")
    with pytest.raises(InvalidTask, match="attempt_number"):
        await tracker.record_adapter_attempt("prefect", 0, "success")
    assert (await app.store.execution(id_)).status is Status.RUNNING
    await tracker.record_execution_end(id_, True, 1)


# -- money: the ledger is the one truth --------------------------------------------------------------------------------


@pytest.fixture
async def budget(app):
    await app.store.set_budget(Budget(name="team", hard_micros=Micros(1_000_000)))


async def charged(app, clock):
    """What the ledger, the budget and both of the seed's keys say, in micro-dollars; they must agree."""
    [total] = await app.store.costs((), 0) or [None]
    [balance] = await app.store.balances(clock.now_us())
    micros = 0 if total is None else total.micros
    assert balance.spent_micros == micros
    day = datetime.fromtimestamp(clock.now_us() / 1e6, UTC).date()
    for key in (f"adapter:prefect:cost:daily:{day}", f"cost:{day}:prefect"):
        assert (await keys.get(app, key)).total_cost_usd * 1_000_000 == micros
    return micros


async def began(tracker, clock):
    id_ = clock.new_id()
    await tracker.record_execution_start(id_, "prefect", "etl")
    return id_


async def test_what_an_execution_cost_settles_in_the_ledger_and_counts_in_budgets(app, budget, tracker, clock):
    await tracker.record_execution_end(await began(tracker, clock), True, 12.5, cost_usd="0.002")
    assert await charged(app, clock) == 2000


async def test_what_attempts_cost_settles_too_and_the_end_of_the_execution_says_what_all_of_it_came_to(
    app, budget, tracker, clock
):
    id_ = await began(tracker, clock)
    await tracker.record_adapter_attempt("prefect", 1, "failure", cost_usd="0.001")
    await tracker.record_adapter_attempt("prefect", 2, "success", cost_usd="0.002")
    assert await charged(app, clock) == 3000
    await tracker.record_execution_end(id_, True)
    assert await charged(app, clock) == 3000
    await tracker.record_execution_end(id_, True, cost_usd="0.0045")
    assert await charged(app, clock) == 4500
    with pytest.raises(InvalidTask, match=r"cost_usd.*0\.002"):
        await tracker.record_execution_end(id_, True, cost_usd="0.001")


@pytest.mark.parametrize("first", [None, "0.001", "0.009"])
async def test_a_cost_that_is_told_after_the_end_is_a_late_bill_and_told_twice_it_counts_once(
    app, budget, tracker, clock, first
):
    id_ = await began(tracker, clock)
    await tracker.record_execution_end(id_, True, 1, cost_usd=first)
    for _ in range(2):
        await tracker.record_execution_end(id_, True, 1, cost_usd=Decimal("0.005"))
        assert await charged(app, clock) == 5000
    assert counts(app) == {"prefect": (1, 1)}


async def test_a_cost_that_is_no_amount_is_refused_before_anything_is_recorded(app, tracker, clock):
    id_ = await began(tracker, clock)
    with pytest.raises(InvalidTask, match="cost_usd is negative"):
        await tracker.record_execution_end(id_, True, 1, cost_usd=-1)
    with pytest.raises(InvalidTask, match="cost_usd is not an amount"):
        await tracker.record_adapter_attempt("prefect", 1, "success", cost_usd="much")
    assert (await app.store.execution(id_)).status is Status.RUNNING
