"""Workflows: order, values, failures, deadlines, cancellation, resumption."""

import asyncio

import pytest

from mahavishnu.engine.clock import SystemClock
from mahavishnu.engine.workflows.runner import WorkflowRunner
from mahavishnu.errors import InputError, UnknownName
from mahavishnu.model import Result, Status
from mahavishnu.model.workflow import Step, Workflow
from mahavishnu.model.workflow_run import HERE, StepStatus
from mahavishnu.settings import load_settings
from mahavishnu.storage import Memory, MemoryStore
from tests.unit.engine.conftest import SETTINGS
from tests.unit.engine.scripted import ScriptedAdapter, fine, stored

DIAMOND = {
    "extract": [],
    "clean": ["extract"],
    "count": ["extract"],
    "left": ["clean"],
    "right": ["clean"],
    "join": ["left", "right"],
    "check": ["join", "count"],
    "report": ["check"],
}


def runner(orchestrator, store, **tables):
    settings = load_settings(None, {}, {**SETTINGS, **tables})
    return WorkflowRunner(orchestrator, store, SystemClock(), settings)


def step(name, *needs, **fields):
    return Step(**{"name": name, "type": "t", "text": name, "needs": needs, **fields})


def workflow(*steps, **fields):
    return Workflow(**{"name": "w", "steps": steps, **fields})


def chain(*names, **fields):
    return workflow(*(step(name, *names[max(place - 1, 0) : place]) for place, name in enumerate(names)), **fields)


def diamond(**fields):
    return workflow(*(step(name, *needs) for name, needs in DIAMOND.items()), **fields)


def statuses(report):
    return {each.step: each.status.value for each in report.steps}


class Ledger:
    """A behaviour that notes when each step began and ended; some steps are told to fail, or to hang."""

    def __init__(self, *, failing=(), hanging=()):
        self.failing = set(failing)
        self.hanging = set(hanging)
        self.events = []
        self.most = 0
        self._now = 0
        self.reached = asyncio.Event()

    async def __call__(self, task, call):
        name = task.tags["step"]
        self.events.append(f"+{name}")
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            if name in self.hanging:
                self.reached.set()
                await asyncio.Event().wait()
            await asyncio.sleep(0.002)
            if name in self.failing:
                raise ValueError(f"{name} is ill")
            return Result(value=f"{name} did {task.text}")
        finally:
            self._now -= 1
            self.events.append(f"-{name}")

    def began(self):
        return [each[1:] for each in self.events if each[0] == "+"]


async def test_every_step_runs_once_and_after_what_it_needs(engine):
    ledger = Ledger()
    async with engine(ScriptedAdapter(a=ledger)) as (orchestrator, store):
        report = await runner(orchestrator, store).execute_workflow(diamond())
    assert report.status is Status.SUCCEEDED
    assert report.succeeded
    assert set(statuses(report).values()) == {"succeeded"}
    assert sorted(ledger.began()) == sorted(DIAMOND)
    for name, needs in DIAMOND.items():
        assert all(ledger.events.index(f"-{need}") < ledger.events.index(f"+{name}") for need in needs)
    assert ledger.most >= 2


async def test_at_most_as_many_steps_run_at_once_as_are_allowed(engine):
    ledger = Ledger()
    wide = workflow(*(step(f"s{number}") for number in range(9)))
    async with engine(ScriptedAdapter(a=ledger)) as (orchestrator, store):
        await runner(orchestrator, store).execute_workflow(wide, concurrency=3)
    assert ledger.most == 3


async def test_a_step_starts_as_soon_as_its_own_needs_are_done(engine):
    gate = asyncio.Event()

    async def behave(task, call):
        if task.text == "slow":
            await gate.wait()
        if task.text == "third":
            gate.set()

    steps = (step("slow"), step("first"), step("second", "first"), step("third", "second"))
    async with engine(ScriptedAdapter(a=behave)) as (orchestrator, store):
        assert (await runner(orchestrator, store).execute_workflow(workflow(*steps))).succeeded


async def test_values_flow_into_texts_and_payloads_with_their_types(engine):
    seen = {}

    async def behave(task, call):
        seen[task.tags["step"]] = (task.text, dict(task.payload))
        return {"rows": [1, {"n": 2}]} if task.tags["step"] == "load" else "done"

    steps = (
        step("load", text="{{ inputs.where }}"),
        step(
            "use",
            "load",
            text="{{load.value.rows.1}} of {{ inputs.where }}",
            payload={"all": ["{{ load.value.rows }}"]},
        ),
    )
    async with engine(ScriptedAdapter(a=behave)) as (orchestrator, store):
        report = await runner(orchestrator, store).execute_workflow(workflow(*steps), {"where": "{{ here }}"})
    assert report.succeeded
    assert seen["load"] == ("{{ here }}", {})
    assert seen["use"] == ('{"n": 2} of {{ here }}', {"all": [[1, {"n": 2}]]})


async def test_a_failed_step_stops_only_what_needs_it(engine):
    ledger = Ledger(failing={"left"})
    async with engine(ScriptedAdapter(a=ledger), attempts={"retries": 0}) as (orchestrator, store):
        report = await runner(orchestrator, store).execute_workflow(diamond())
    assert report.status is Status.FAILED
    assert statuses(report) == {
        "extract": "succeeded", "clean": "succeeded", "count": "succeeded", "left": "failed", "right": "succeeded",
        "join": "skipped", "check": "skipped", "report": "skipped",
    }  # fmt: skip
    assert "left is ill" in report.step("left").reason
    assert report.step("report").reason == 'needs "left", which failed'
    assert report.reason == "left did not succeed"


async def test_a_step_whose_template_finds_nothing_fails_with_what_there_is(engine):
    async def behave(task, call):
        return {"rows": 3}

    steps = (step("load"), step("use", "load", text="{{ load.value.row }}"))
    async with engine(ScriptedAdapter(a=behave)) as (orchestrator, store):
        report = await runner(orchestrator, store).execute_workflow(workflow(*steps))
    assert statuses(report) == {"load": "succeeded", "use": "failed"}
    assert 'load.value has no "row"; did you mean "rows"?' in report.step("use").reason


async def test_what_cannot_be_meant_is_refused_before_anything_runs(engine):
    adapter = ScriptedAdapter(a=fine)
    async with engine(adapter) as (orchestrator, store):
        workflows = runner(orchestrator, store)
        for wrong, words in (
            (
                workflow(step("one"), step("two", type="tt")),
                'step "two": There is no task type "tt"; did you mean "t"?',
            ),
            (workflow(step("one", target="b")), 'step "one": There is no target "b"'),
            (workflow(step("one", text="{{ inputs.name }}")), 'needs the input "name"; give it with --input name='),
        ):
            with pytest.raises(InputError, match=words.replace("?", r"\?")):
                await workflows.execute_workflow(wrong)
        with pytest.raises(InputError, match="must be one word"):
            await workflows.execute_workflow(chain("a"), run_id="two words")
        assert list(await store.workflows(10)) == []
    assert adapter.calls == []


async def test_the_report_names_targets_attempts_costs_and_values(engine):
    tries = iter(range(9))

    async def moody(task, call):
        if next(tries) == 0:
            raise ValueError("ill")
        return Result(value=task.text, cost_usd="0.5")

    from decimal import Decimal

    async def priced(task, call):
        return Result(value=task.text, cost_usd=Decimal("0.5"))

    async def ill(task, call):
        raise ValueError("ill")

    async with engine(ScriptedAdapter(a=ill, b=priced)) as (orchestrator, store):
        report = await runner(orchestrator, store).execute_workflow(chain("one", "two"))
    one = report.step("one")
    assert (one.target, one.attempts, one.value, one.cost_micros) == ("b", 2, "one", 500_000)
    assert one.latency_us is not None
    assert report.cost_micros == 1_000_000


async def test_progress_is_told_of_every_change(engine):
    told = []
    async with engine(ScriptedAdapter(a=fine)) as (orchestrator, store):
        await runner(orchestrator, store).execute_workflow(
            chain("one", "two"), progress=lambda each: told.append((each.step, each.status.value))
        )
    assert told == [("one", "running"), ("one", "succeeded"), ("two", "running"), ("two", "succeeded")]


async def test_the_deadline_bounds_the_whole(engine):
    ledger = Ledger(hanging={"two"})
    async with engine(ScriptedAdapter(a=ledger)) as (orchestrator, store):
        report = await runner(orchestrator, store).execute_workflow(chain("one", "two", "three", deadline_ms=300))
    assert report.status is Status.TIMED_OUT
    assert report.reason == "the workflow's deadline passed"
    assert statuses(report) == {"one": "succeeded", "two": "failed", "three": "skipped"}
    assert "no answer within" in report.step("two").reason


async def test_a_step_that_is_ready_after_the_deadline_is_skipped(engine):
    async def slow(task, call):
        await asyncio.sleep(0.06)
        return "late"

    workflow_ = workflow(step("one"), step("two"), deadline_ms=50)
    async with engine(ScriptedAdapter(a=slow)) as (orchestrator, store):
        report = await runner(orchestrator, store).execute_workflow(workflow_, concurrency=1)
    assert report.status is Status.TIMED_OUT
    assert report.step("two").reason == "the workflow's deadline passed"


async def test_cancelled_from_elsewhere_it_stops_what_runs_and_begins_nothing_more(engine):
    ledger = Ledger(hanging={"two"})
    memory, clock = Memory(), SystemClock()
    store, elsewhere = MemoryStore(clock, memory), MemoryStore(clock, memory)
    await store.open()
    await elsewhere.open()
    async with engine(ScriptedAdapter(a=ledger), store) as (orchestrator, _):
        running = asyncio.create_task(
            runner(orchestrator, store).execute_workflow(chain("one", "two", "three"), run_id="r")
        )
        await ledger.reached.wait()
        other = runner(orchestrator, elsewhere)
        assert statuses(await other.report("r")) == {"one": "succeeded", "two": "running", "three": "waiting"}
        assert await other.cancel("r")
        report = await running
        assert (report.status, report.reason) == (Status.CANCELLED, "it was cancelled")
        assert statuses(report) == {"one": "succeeded", "two": "cancelled", "three": "cancelled"}
        assert report.step("two").target == "a"
        assert (await stored(store))[-1].status is Status.CANCELLED
        assert not await other.cancel("r")
    await store.close()
    await elsewhere.close()


async def test_a_runner_that_goes_away_cancels_its_steps_and_says_so(engine):
    ledger = Ledger(hanging={"one"})
    async with engine(ScriptedAdapter(a=ledger)) as (orchestrator, store):
        workflows = runner(orchestrator, store)
        running = asyncio.create_task(workflows.execute_workflow(chain("one", "two"), run_id="r"))
        await ledger.reached.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        report = await workflows.report("r")
        assert (report.status, report.reason) == (Status.CANCELLED, "the process that ran it was stopped")
        assert statuses(report) == {"one": "cancelled", "two": "cancelled"}
        assert [each.status for each in await stored(store)] == [Status.CANCELLED]


async def test_resumed_it_runs_what_is_left_and_repeats_nothing(engine):
    ledger = Ledger(failing={"left"})
    async with engine(ScriptedAdapter(a=ledger), attempts={"retries": 0}) as (orchestrator, store):
        workflows = runner(orchestrator, store)
        first = await workflows.execute_workflow(diamond(), run_id="r")
        ledger.failing.clear()
        before = ledger.began()
        second = await workflows.resume("r")
        after = ledger.began()[len(before) :]
    assert second.succeeded
    assert sorted(after) == ["check", "join", "left", "report"]
    assert second.step("right") == first.step("right")
    assert second.started_at_us == first.started_at_us


async def test_what_was_asked_of_a_process_that_died_does_not_stop_the_next_one(engine):
    memory, clock = Memory(), SystemClock()
    gone, store = MemoryStore(clock, memory), MemoryStore(clock, memory)
    await gone.open()
    await store.open()
    async with engine(ScriptedAdapter(a=fine), store) as (orchestrator, _):
        await runner(orchestrator, gone).begin(chain("one"), {}, run_id="r", place=HERE, process_id=gone.process_id)
        assert await gone.request_cancel("r")
        await gone.close()
        workflows = runner(orchestrator, store)
        assert (await workflows.report("r")).status is Status.LOST
        assert (await workflows.resume("r")).succeeded
    await store.close()


async def test_one_that_was_lost_can_be_cancelled(engine):
    memory, clock = Memory(), SystemClock()
    gone, store = MemoryStore(clock, memory), MemoryStore(clock, memory)
    await gone.open()
    await store.open()
    async with engine(ScriptedAdapter(a=fine), store) as (orchestrator, _):
        await runner(orchestrator, gone).begin(chain("one"), {}, run_id="r", place=HERE, process_id=gone.process_id)
        await gone.close()
        workflows = runner(orchestrator, store)
        assert await workflows.cancel("r")
        assert (await workflows.report("r")).status is Status.CANCELLED
    await store.close()


async def test_one_run_id_stands_for_one_workflow_and_one_set_of_inputs(engine):
    async with engine(ScriptedAdapter(a=fine)) as (orchestrator, store):
        workflows = runner(orchestrator, store)
        await workflows.execute_workflow(chain("one"), run_id="r")
        for other, inputs in ((chain("one", "two"), {}), (chain("one", inputs={"a": 1}), {})):
            with pytest.raises(InputError, match="belongs to another workflow"):
                await workflows.execute_workflow(other, inputs, run_id="r")


async def test_two_that_run_the_same_run_at_once_share_every_step(engine):
    ledger = Ledger()
    async with engine(ScriptedAdapter(a=ledger)) as (orchestrator, store):
        workflows = runner(orchestrator, store)
        reports = await asyncio.gather(*(workflows.execute_workflow(diamond(), run_id="r") for _ in range(3)))
    assert all(each.succeeded for each in reports)
    assert sorted(ledger.began()) == sorted(DIAMOND)


async def test_an_unknown_run_is_named(engine):
    async with engine(ScriptedAdapter(a=fine)) as (orchestrator, store):
        workflows = runner(orchestrator, store)
        for ask in (workflows.report, workflows.resume, workflows.cancel):
            with pytest.raises(UnknownName, match='no workflow run "nobody"'):
                await ask("nobody")


async def test_whatever_stands_around_a_step_sees_its_report(engine):
    carried = []

    async def carry(step, perform):
        report = await perform()
        carried.append((step.name, report.status))
        return report

    async with engine(ScriptedAdapter(a=fine)) as (orchestrator, store):
        report = await runner(orchestrator, store).execute_workflow(chain("one", "two"), carry=carry, place="prefect")
    assert carried == [("one", StepStatus.SUCCEEDED), ("two", StepStatus.SUCCEEDED)]
    assert report.place == "prefect"
