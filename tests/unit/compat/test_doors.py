"""The seed's own calls: what they are given, what they run, and that all of it is recorded like everything else."""

import importlib

import pytest

from mahavishnu.app import open_app
from mahavishnu.compat.adapters import OrchestratorAdapter
from mahavishnu.compat.cost_optimizer import CostOptimizer
from mahavishnu.compat.task_router import StatisticalRouter, TaskRouter
from mahavishnu.compat.unified_orchestrator import UnifiedOrchestrator
from mahavishnu.engine.clock import SystemClock
from mahavishnu.errors import InvalidTask, Misconfigured, NothingEligible, UnknownName
from mahavishnu.model import Snapshot, Status, Target
from mahavishnu.model.execution import Execution
from mahavishnu.model.workflow import Step, Workflow
from mahavishnu.plugins import load_adapter
from mahavishnu.ports import ExecutionQuery
from mahavishnu.settings import load_settings
from mahavishnu.storage import open_store


class Shifted(SystemClock):
    """The host's clock, put forward by hand."""

    ahead_s = 0.0

    def monotonic_s(self):
        return super().monotonic_s() + self.ahead_s


def works(text):
    return text.upper()


def fails(text):
    raise ValueError("no disk")


def ended(clock, target, succeeded, latency_ms, micros):
    now_us = clock.now_us()
    return Execution(
        id=clock.new_id(),
        decision_id=clock.new_id(),
        process_id="p",
        target=target,
        adapter="local",
        task_type="etl",
        attempt=1,
        fallback=False,
        randomised=True,
        status=Status.SUCCEEDED if succeeded else Status.FAILED,
        started_at_us=now_us,
        ended_at_us=now_us,
        latency_us=round(latency_ms * 1000),
        cost_micros=micros,
    )


@pytest.fixture
def clock():
    return Shifted()


@pytest.fixture
async def app(tmp_path, clock):
    """Three targets, of which "first" fails; the published order is another one than the default."""
    url = f"sqlite:///{tmp_path}/store.db"
    runs = {"first": "fails", "second": "works", "third": "works"}
    targets = {name: {"run": f"{__name__}:{run}", "task_types": ["etl"]} for name, run in runs.items()}
    policies = {"statistical": {"exploration": 0.0}}
    tables = {"store": {"url": url}, "targets": targets, "policies": policies, "routing": {"policy": "statistical"}}
    store = open_store(url, clock)
    await store.open()
    facts = [ended(clock, "second", n % 100 < 97, 1000.0, 2_000) for n in range(200)]
    facts += [ended(clock, "third", n % 100 < 90, 500.0, 20) for n in range(200)]
    await store.record(facts)
    await store.publish(Snapshot(version=1, orders={"etl": ("first", "third", "second")}))
    await store.close()
    async with open_app(load_settings(None, {}, tables), clock=clock) as opened:
        yield opened


async def ran(app):
    found = await app.store.executions(ExecutionQuery(last=None))
    return [(execution.target, execution.fallback) for execution in found[::-1] if execution.process_id != "p"]


# -- TaskRouter --------------------------------------------------------------------------------------------------------


async def test_a_task_goes_down_the_published_order_until_one_succeeds(app):
    report = await TaskRouter(app).execute_with_fallback("etl")
    assert [execution.target for execution in report.executions] == ["first", "third"]
    assert await ran(app) == [("first", False), ("third", True)]
    assert report.decision.probability == 1.0
    assert report.decision.reason.startswith("Chose first: first in the published order")


async def test_an_order_is_kept_for_an_hour_and_a_target_that_came_since_has_its_turn_after_that(app, clock):
    router = TaskRouter(app)
    kept = await router.preference_order("etl")
    assert kept == ("first", "third", "second")
    await app.orchestrator.add_target(Target(name="new", adapter="local", run=f"{__name__}:works", task_types={"etl"}))
    clock.ahead_s = 3599.0
    assert await router.preference_order("etl") == kept
    report = await router.execute_with_fallback("etl")
    assert "excluded by the task" in next(row.why_not for row in report.decision.considered if row.target == "new")
    clock.ahead_s = 3601.0
    assert "new" in await router.preference_order("etl")


async def test_an_order_that_is_published_ends_the_kept_one_at_once(app):
    router = TaskRouter(app)
    await router.preference_order("etl")
    await app.store.publish(Snapshot(version=2, orders={"etl": ("second", "first", "third")}))
    assert await router.preference_order("etl") == ("second", "first", "third")


# -- StatisticalRouter and CostOptimizer -------------------------------------------------------------------------------


async def test_scores_are_of_what_was_observed_and_a_recalculation_publishes_an_order_by_them(app):
    router = StatisticalRouter(app)
    found = router.calculate_scores("etl")
    assert found == {
        "second": pytest.approx(0.7 * 0.97 + 0.3 * 0.5, abs=0.01),
        "third": pytest.approx(0.7 * 0.90 + 0.3 * 0.65, abs=0.01),
    }
    assert await router.get_preference_order("etl") == ("first", "third", "second")
    assert await router.recalculate() == 2
    assert set(await router.get_preference_order("etl")) == {"first", "second", "third"}


async def test_the_optimal_adapter_keeps_the_constraints_and_its_reasoning_has_the_figures(app):
    asked = {"excluded_agents": ["first"]}
    for call in (CostOptimizer(app).get_optimal_adapter, StatisticalRouter(app).recommend):
        dear = await call("etl", {**asked, "min_success_rate": 0.95})
        assert dear.adapter == "second"
        assert "97 % success (94–99, n=200), $0.002, p95" in dear.reasoning
        cheap = await call({"task_type": "etl", "description": "Load it."}, {**asked, "max_cost": "0.001"})
        assert cheap.adapter == "third"
        with pytest.raises(NothingEligible):
            await call("etl", {**asked, "min_success_rate": 0.95, "max_cost": "0.001"})
    assert (await CostOptimizer(app).get_optimal_adapter("etl", {})).adapter


async def test_a_strategy_that_is_set_by_hand_decides_what_is_optimal(app):
    optimizer = CostOptimizer(app, app.clock)
    for strategy, best, word in (("critical", "second", "success"), ("batch", "third", "cost")):
        await optimizer.set_strategy("etl", strategy)
        await app.orchestrator._book.refresh()
        found = await optimizer.get_optimal_adapter("etl", {"excluded_agents": ["first"]})
        assert found.adapter == best
        assert f"; for {word}" in found.reasoning


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (7, "must be a Task, the name of a task type"),
        ({"text": "x"}, "type is missing"),
        ({"type": "etl", "kind": 1}, "has no 'kind'"),
        ({"type": "etl", "task_type": "etl"}, "names one field twice"),
    ],
)
async def test_what_is_no_task_is_refused_in_a_sentence(app, given, words):
    with pytest.raises(InvalidTask, match=words):
        await CostOptimizer(app).get_optimal_adapter(given, {})


# -- UnifiedOrchestrator -----------------------------------------------------------------------------------------------


async def test_what_execute_workflow_runs_is_collected_without_another_call(app):
    orchestrator = UnifiedOrchestrator(app)
    workflow = Workflow(
        name="nightly",
        steps=(Step(name="load", type="etl", text="load"), Step(name="check", type="etl", text="x", needs={"load"})),
    )
    report = await orchestrator.execute_workflow(workflow)
    assert (report.status, [step.status for step in report.steps]) == (Status.SUCCEEDED, [Status.SUCCEEDED] * 2)
    one = await orchestrator.execute_workflow({"task_type": "etl", "description": "x"})
    assert one.value == "X"

    recorded = [row for row in await app.store.executions(ExecutionQuery(last=None)) if row.process_id != "p"]
    decisions = {row.decision_id: await app.store.decision(row.decision_id) for row in recorded}
    assert len(decisions) == 3
    assert {row.task_type for row in recorded} == {"etl"}
    assert all(row.status.ended and row.latency_us is not None for row in recorded)
    succeeded = [row.target for row in recorded if row.status is Status.SUCCEEDED]
    assert len(succeeded) == 3
    assert {decision.selected for decision in decisions.values()} <= {"first", "second", "third"}


async def test_a_task_takes_no_inputs(app):
    with pytest.raises(InvalidTask, match="are for a Workflow"):
        await UnifiedOrchestrator(app).execute_workflow("etl", {"day": 1})


# -- OrchestratorAdapter -----------------------------------------------------------------------------------------------


async def test_every_adapter_has_the_seeds_interface_and_what_it_executes_is_recorded(app):
    adapter = OrchestratorAdapter(app, "local")
    await adapter.initialize()
    report = await adapter.execute({"type": "etl", "text": "x"})
    assert report.value == "X"
    assert (await ran(app))[-1][0] == report.executions[-1].target
    health = await adapter.get_health()
    assert (health.healthy, set(health.targets)) == (True, {"first", "second", "third"})
    assert adapter.capabilities["supports_multi_agent"] is False
    await adapter.shutdown()
    with pytest.raises(Misconfigured, match=r"initialize\(\) first"):
        await adapter.execute("etl")
    await adapter.initialize()
    assert (await adapter.execute("etl")).value


async def test_an_adapter_that_was_not_loaded_has_no_door(app):
    with pytest.raises(UnknownName, match="adapter"):
        OrchestratorAdapter(app, "far")


@pytest.mark.parametrize(
    ("package", "name", "adapter"),
    [
        ("workflow", "PrefectAdapter", "prefect"),
        ("ai", "AgnoAdapter", "agno"),
        ("rag", "LlamaIndexAdapter", "llamaindex"),
    ],
)
def test_the_seeds_packages_hand_on_their_adapters(package, name, adapter):
    door = importlib.import_module(f"mahavishnu.compat.adapters.{package}")
    assert door.__all__ == [name]
    assert getattr(door, name) is load_adapter(adapter)
    with pytest.raises(AttributeError, match="has no attribute"):
        _ = door.Nothing
