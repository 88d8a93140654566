"""The orchestrator: attempts, fallback, keys, cancellation, outcomes."""

import asyncio
from decimal import Decimal

import pytest

from mahavishnu.errors import (
    InvalidTask,
    Misconfigured,
    NothingEligible,
    Refused,
    TaskFailed,
    Throttled,
    Transient,
    UnknownName,
    Unsuitable,
)
from mahavishnu.model import Health, HealthStatus, Result, Status, Usage
from tests.unit.engine.scripted import ScriptedAdapter, failing, fine, hang, stored, task


async def test_a_task_runs_on_the_first_target_and_everything_is_recorded(engine):
    async with engine(ScriptedAdapter(a=fine, b=fine)) as (orchestrator, store):
        report = await orchestrator.execute(task(text="it"))
        assert (report.value, report.status, report.last.target) == ("did it", Status.SUCCEEDED, "a")
        (execution,) = await stored(store)
        assert execution == report.last
        decision = await store.decision(report.decision.id)
        assert decision.selected == "a"
        assert decision.reason == "Chose a: first in the fixed order; no evidence yet"
        assert [each.target for each in decision.considered] == ["a", "b"]
        assert decision.alternatives == ("b",)


async def test_the_next_in_the_chain_runs_after_a_failure_and_is_marked_as_not_randomised(engine):
    async with engine(ScriptedAdapter(a=failing(ValueError("no")), b=fine)) as (orchestrator, store):
        report = await orchestrator.execute(task())
        first, second = await stored(store)
        assert (first.target, first.status, first.error) == ("a", Status.FAILED, "ValueError: no")
        assert (first.fallback, first.randomised) == (False, True)
        assert (second.target, second.status, second.fallback, second.randomised) == (
            "b",
            Status.SUCCEEDED,
            True,
            False,
        )
        assert report.executions == (first, second)


async def test_only_transient_failures_are_tried_again(engine):
    adapter = ScriptedAdapter(a=failing(Transient("busy")), b=failing(Misconfigured("no key")), c=fine)
    async with engine(adapter, breaker={"consecutive_failures": 10}) as (orchestrator, _):
        await orchestrator.execute(task())
        assert [name for name, _ in adapter.calls] == ["a", "a", "a", "b", "c"]


async def test_a_task_that_is_not_safe_to_repeat_stops_where_it_may_have_taken_effect(engine):
    adapter = ScriptedAdapter(a=failing(ValueError("after half of it")), b=fine)
    async with engine(adapter) as (orchestrator, _):
        with pytest.raises(TaskFailed, match="not safe to repeat"):
            await orchestrator.execute(task(repeatable=False))
        assert [name for name, _ in adapter.calls] == ["a"]


async def test_a_task_that_is_not_safe_to_repeat_goes_on_where_nothing_can_have_happened(engine):
    adapter = ScriptedAdapter(a=failing(Throttled("slow down", retry_after_s=0.001)), b=fine)
    async with engine(adapter) as (orchestrator, _):
        assert (await orchestrator.execute(task(repeatable=False))).last.target == "b"
        assert [name for name, _ in adapter.calls] == ["a", "b"]


async def test_the_callers_error_neither_falls_back_nor_counts_against_the_target(engine):
    adapter = ScriptedAdapter(a=failing(Refused("text too long")), b=fine)
    async with engine(adapter) as (orchestrator, store):
        for _ in range(10):
            with pytest.raises(Refused, match=r"a refused the task \(decision [0-9A-Z]+\): text too long") as caught:
                await orchestrator.execute(task())
        assert caught.value.target == "a"
        assert (await store.decision(caught.value.decision_id)).selected == "a"
        assert {name for name, _ in adapter.calls} == {"a"}
        (stat,) = orchestrator.stats()
        assert (stat.estimate.samples, stat.scorecard.refused) == (0, 10)


async def test_a_task_that_does_not_suit_its_target_is_tried_on_the_next_one_and_counts_against_that_pair(engine):
    adapter = ScriptedAdapter(a=failing(Unsuitable("longer than its context")), b=fine)
    async with engine(adapter, breaker={"consecutive_failures": 2, "failure_rate": 0.1, "window": 2}) as (
        orchestrator,
        store,
    ):
        reports = [await orchestrator.execute(task(repeatable=False)) for _ in range(10)]
        assert {report.last.target for report in reports} == {"b"}
        assert {(end.target, end.status) for end in await stored(store)} == {
            ("a", Status.UNSUITABLE),
            ("b", Status.SUCCEEDED),
        }
        stats = {stat.target: stat for stat in orchestrator.stats()}
        assert (stats["a"].scorecard.unsuitable, stats["a"].scorecard.failed) == (10, 0)
        assert (stats["a"].estimate.samples, stats["a"].estimate.rate) == (10, 0.0)
        # Ten in a row, and its breaker never opened: it is well, and other tasks may suit it.
        assert [name for name, _ in adapter.calls] == ["a", "b"] * 10


async def test_when_all_fail_the_error_says_what_each_attempt_ended_as(engine):
    async with engine(ScriptedAdapter(a=failing(ValueError("one")), b=failing(OSError("two")))) as (orchestrator, _):
        with pytest.raises(TaskFailed) as caught:
            await orchestrator.execute(task())
        assert "a failed (ValueError: one)" in str(caught.value)
        assert "b failed (OSError: two)" in str(caught.value)


async def test_a_hanging_target_is_cut_off_in_time_for_the_next_one(engine):
    async with engine(ScriptedAdapter(a=hang, b=fine)) as (orchestrator, store):
        report = await orchestrator.execute(task(deadline_ms=400))
        assert report.last.target == "b"
        first, _ = await stored(store)
        assert first.status is Status.TIMED_OUT
        assert first.latency_us >= 150_000


async def test_a_target_that_ignores_its_cancellation_does_not_hold_the_task(engine):
    released = asyncio.Event()

    async def stubborn(task, call):
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue

    async with engine(ScriptedAdapter(a=stubborn, b=fine), attempts={"timeout_ms": 50}) as (orchestrator, _):
        report = await orchestrator.execute(task())
        assert [each.status for each in report.executions] == [Status.TIMED_OUT, Status.SUCCEEDED]
        released.set()


@pytest.mark.parametrize(
    "garbage",
    [
        object(),
        float("nan"),
        {"a": {1, 2}},
        Result(cost_usd=Decimal(-1)),
        Result(cost_usd=Decimal("1e30")),
        Result(quality=7),
        Result(usage=Usage(cached_tokens=-1)),
        Result(usage=Usage(output_tokens=2**63)),
        Result(usage=Usage(input_tokens=1.5)),
        Result(usage=Usage(queries=True)),
        Result(usage=Usage(seconds=float("nan"))),
        Result(usage=Usage(agent_seconds=-0.5)),
        Result(usage=None),
    ],
    ids=lambda given: "object" if type(given) is object else repr(given),
)
async def test_garbage_is_a_failure_of_the_target_and_the_next_one_runs(engine, garbage):
    async def rubbish(task, call):
        return garbage

    async with engine(ScriptedAdapter(a=rubbish, b=fine)) as (orchestrator, _):
        report = await orchestrator.execute(task())
        assert [each.status for each in report.executions] == [Status.FAILED, Status.SUCCEEDED]
        assert "returned" in report.executions[0].error


async def test_what_is_no_result_is_a_failure(engine):
    class Rude(ScriptedAdapter):
        async def run(self, task, target, call):
            return "just text" if target.name == "a" else await super().run(task, target, call)

    async with engine(Rude(a=fine, b=fine)) as (orchestrator, _):
        report = await orchestrator.execute(task())
        assert report.executions[0].error == "returned str and not a Result"
        assert report.last.target == "b"


@pytest.mark.parametrize("exit_with", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()])
async def test_a_target_that_tries_to_leave_does_not_take_the_engine_with_it(engine, exit_with):
    async with engine(ScriptedAdapter(a=failing(exit_with), b=fine)) as (orchestrator, _):
        report = await orchestrator.execute(task())
        assert [each.status for each in report.executions] == [Status.FAILED, Status.SUCCEEDED]


async def test_disabled_unhealthy_and_excluded_targets_never_compete_also_alone(engine):
    adapter = ScriptedAdapter(a=fine, b=fine, c=fine)
    adapter.healths["b"] = Health(HealthStatus.UNREACHABLE, "nobody answers")
    async with engine(adapter) as (orchestrator, store):
        await orchestrator.switch_target("a", enabled=False)
        assert (await orchestrator.route(task())).selected == "c"
        with pytest.raises(NothingEligible) as caught:
            await orchestrator.execute(task(exclude={"c"}))
        assert caught.value.why_not == {
            "a": "disabled (mahavishnu targets enable a)",
            "b": "unreachable: nobody answers",
            "c": "excluded by the task",
        }
        assert adapter.calls == []
        recorded = await store.decision(caught.value.decision_id)
        assert recorded.selected is None
        for only in ("a", "b"):
            with pytest.raises(NothingEligible):
                await orchestrator.execute(task(target=only))


async def test_capabilities_are_asked_of_the_target_and_of_its_adapter(engine):
    async with engine(ScriptedAdapter(a=fine)) as (orchestrator, _):
        assert (await orchestrator.route(task(capabilities={"can_cancel_workflows"}))).selected == "a"
        with pytest.raises(NothingEligible, match="cannot vision"):
            await orchestrator.route(task(capabilities={"vision"}))


async def test_a_slow_target_is_kept_out_by_the_tasks_latency_limit(engine):
    async def slow(task, call):
        await asyncio.sleep(0.01)

    async with engine(ScriptedAdapter(a=slow, b=fine)) as (orchestrator, _):
        await orchestrator.execute_many([task(target="a")] * 20)
        assert (await orchestrator.route(task())).selected == "a"
        limited = await orchestrator.route(task(max_latency_ms=5))
        assert limited.selected == "b"
        assert "max_latency_ms 5" in limited.considered[1].why_not


async def test_names_that_nobody_carries_are_bad_input(engine):
    async with engine(ScriptedAdapter(alpha=fine)) as (orchestrator, _):
        for wrong in ({"type": "tt"}, {"target": "alpah"}, {"exclude": {"beta"}}):
            with pytest.raises(UnknownName):
                await orchestrator.execute(task(**wrong))
        with pytest.raises(UnknownName, match='did you mean "alpha"'):
            await orchestrator.route(task(target="alpah"))
        with pytest.raises(UnknownName, match="policy"):
            await orchestrator.route(task(), policy="statistcal")
        with pytest.raises(InvalidTask, match="max_text_bytes"):
            await orchestrator.execute(task(text="x" * 2_000_000))


async def test_a_target_that_keeps_failing_rests_and_comes_back_by_a_probe(engine):
    ill = True

    async def moody(task, call):
        if ill:
            raise ValueError("ill")
        return "well"

    adapter = ScriptedAdapter(a=moody, b=fine)
    async with engine(adapter) as (orchestrator, _):
        for _ in range(6):
            await orchestrator.execute(task())
        assert [name for name, _ in adapter.calls].count("a") == 3
        assert orchestrator.standings()[0].breaker == "open"
        ill = False
        await asyncio.sleep(0.2)
        assert (await orchestrator.execute(task())).value == "well"
        assert orchestrator.standings()[0].breaker == "closed"


async def test_when_all_rest_a_task_waits_for_the_first_to_come_back(engine):
    healed = asyncio.Event()

    async def moody(task, call):
        if not healed.is_set():
            raise ValueError("ill")
        return "well"

    async with engine(ScriptedAdapter(a=moody)) as (orchestrator, _):
        for _ in range(3):
            with pytest.raises(TaskFailed):
                await orchestrator.execute(task())
        healed.set()
        reports = await orchestrator.execute_many([task()] * 20, concurrency=20)
        assert {each.value for each in reports} == {"well"}


async def test_the_wait_for_a_resting_target_ends_with_the_deadline(engine):
    async with engine(ScriptedAdapter(a=failing(ValueError("ill"))), breaker={"open_ms": 60_000}) as (orchestrator, _):
        for _ in range(3):
            with pytest.raises(TaskFailed):
                await orchestrator.execute(task())
        with pytest.raises(NothingEligible, match="circuit open") as caught:
            await orchestrator.execute(task(deadline_ms=60))
        assert caught.value.waited_ms >= 50
        with pytest.raises(NothingEligible):
            await orchestrator.route(task())
