"""The local adapter: what functions are given, what comes back, and what becomes of those that misbehave."""

import asyncio
import contextvars
import functools
import itertools
import json
import re
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.errors import (
    AdapterError,
    Cancelled,
    Crashed,
    InvalidTarget,
    Misconfigured,
    Refused,
    TimedOut,
    Transient,
    Unsuitable,
)
from mahavishnu.model import HEALTHY, HealthStatus, Result, Status, Target, Task, Usage
from mahavishnu.ports import Call, RunRef
from mahavishnu_local import LocalAdapter, registry, target
from mahavishnu_local.threads import Job

numbers = itertools.count()


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    """No target, folder or module of one test is seen by the next."""
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
async def adapter(tmp_path):
    adapter = LocalAdapter(paths=[str(tmp_path)], max_threads_per_target=3)
    yield adapter
    await adapter.close()


def target_of(function: Callable[..., Any], **declared: Any) -> Target:
    name = f"target-{next(numbers)}"
    target(task_types=["any"], name=name, **declared)(function)
    return next(each for each in LocalAdapter(paths=()).targets() if each.name == name)


def named(run: str) -> Target:
    return Target(name="named", adapter="local", run=run, task_types=frozenset({"any"}))


def call(execution_id: str = "e", deadline_s: float | None = 30.0) -> Call:
    async def announce(run_id: str) -> None:
        raise AssertionError(f"local runs have no id of their own: {run_id}")

    return Call(execution_id=execution_id, deadline_s=deadline_s, idempotency_key=None, announce=announce)


TASK = Task(type="any", text="hello", payload={"rows": [1, 2]})


async def value_of(adapter: LocalAdapter, function: Callable[..., Any]) -> Any:
    return (await adapter.run(TASK, target_of(function), call())).value


async def failure_of(adapter: LocalAdapter, wanted: Target) -> AdapterError:
    with pytest.raises(AdapterError) as caught:
        await adapter.run(TASK, wanted, call())
    return caught.value


# -- what a function is given ------------------------------------------------------------------------------------------


class Shouter:
    async def __call__(self, s):
        return s.upper()

    def shout(self, s):
        return s.upper()


def by_annotation(given: Task):
    return given.type


def by_words(given: "Task | None"):
    return given.type


def by_everything(text, task, *, payload, deadline_s, factor=2):
    return [text, task.type, payload, 0 < deadline_s <= 30, factor]


def positional_only(s, factor=2, task=None, /):
    return [s, factor, task.type]


def passed_over(s, factor=2, task=None):
    return [s, factor, task.type]


def unreadable(given: "NoSuchName", task: "Task"):  # noqa: F821 - names that only a type checker could know are common
    return [given, task.type]


async def later(s):
    return s.upper()


def handed_on(s):
    return later(s)


def anything(*args, **kwargs):
    return [list(args), kwargs]


@pytest.mark.parametrize(
    ("function", "value"),
    [
        (lambda: "nothing", "nothing"),
        (lambda s: s.upper(), "HELLO"),
        (later, "HELLO"),
        (handed_on, "HELLO"),
        (functools.partial(later), "HELLO"),
        (functools.partial(lambda factor, s: s * factor, 2), "hellohello"),
        (Shouter(), "HELLO"),
        (Shouter().shout, "HELLO"),
        (by_annotation, "any"),
        (by_words, "any"),
        (by_everything, ["hello", "any", {"rows": [1, 2]}, True, 2]),
        (positional_only, ["hello", 2, "any"]),
        (passed_over, ["hello", 2, "any"]),
        (unreadable, ["hello", "any"]),
        (anything, [["hello"], {}]),
        (len, 5),
        (ascii, "'hello'"),
        (dict.fromkeys, {"h": None, "e": None, "l": None, "o": None}),
    ],
    ids=lambda given: re.sub(r" at 0x\w+", "", str(given)),
)
async def test_a_function_is_given_what_its_parameters_name(adapter, function, value):
    assert await value_of(adapter, function) == value


@pytest.mark.parametrize("function", [lambda s, path: path, lambda *, path: path])
async def test_a_parameter_that_a_task_cannot_fill_is_named(adapter, function):
    failure = await failure_of(adapter, target_of(function))
    assert isinstance(failure, Misconfigured)
    assert '"path"' in str(failure)
    assert "give it a default" in str(failure)


async def test_what_a_function_does_to_its_payload_is_not_seen_by_the_next_attempt(adapter):
    def spoil(payload):
        payload["rows"].clear()
        return payload

    assert await value_of(adapter, spoil) == {"rows": []}
    assert TASK.payload == {"rows": [1, 2]}


async def test_a_function_without_deadline_is_told_so(adapter):
    result = await adapter.run(TASK, target_of(lambda deadline_s: deadline_s), call(deadline_s=None))
    assert result.value is None


async def test_context_variables_of_the_caller_reach_the_thread(adapter):
    tenant = contextvars.ContextVar("tenant", default="nobody")
    tenant.set("north")
    assert await value_of(adapter, lambda: tenant.get()) == "north"


async def test_a_plain_function_does_not_block_the_event_loop(adapter):
    release = threading.Event()
    run = asyncio.ensure_future(value_of(adapter, lambda: release.wait(30)))
    # Only a loop that is free gets here and releases it.
    await asyncio.sleep(0)
    release.set()
    assert await run is True


# -- what comes back ---------------------------------------------------------------------------------------------------


@dataclass
class Order:
    at: datetime
    price: Decimal


async def test_values_come_back_as_a_later_read_of_the_store_gives_them(adapter):
    def orders():
        return {7: (Order(datetime(2026, 1, 2, tzinfo=UTC), Decimal("1.50")),), "tags": {"a"}}

    value = await value_of(adapter, orders)
    assert value == {"7": [{"at": "2026-01-02T00:00:00Z", "price": "1.50"}], "tags": ["a"]}
    assert json.loads(json.dumps(value)) == value


def recursive():
    rows: list[Any] = []
    rows.append(rows)
    return rows


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (object, "returned object"),
        (lambda: float("nan"), "returned float"),
        (lambda: {"a": [float("inf")]}, "returned dict"),
        (lambda: (each for each in "abc"), "returned generator"),
        (lambda: [itertools.count()], "make a list of it"),
        (lambda: Result(value=object()), "as value"),
        (lambda: {"when": datetime.now(UTC), "bad": float("nan")}, "returned dict"),
        (recursive, "returned list"),
    ],
)
async def test_a_value_that_cannot_be_json_is_a_crash_that_says_so(adapter, function, words):
    failure = await failure_of(adapter, target_of(function))
    assert isinstance(failure, Crashed)
    assert words in str(failure)
    assert "cannot be written as JSON" in str(failure)


async def test_a_result_is_handed_on_with_cost_usage_and_quality(adapter):
    def priced():
        return Result(value=("a",), cost_usd=0.1, usage=Usage(input_tokens=3), quality=1, detail={"at": {1}})

    result = await adapter.run(TASK, target_of(priced), call())
    assert result == Result(
        value=["a"],
        cost_usd=Decimal("0.1"),
        usage=Usage(seconds=result.usage.seconds, input_tokens=3),
        quality=1.0,
        detail={"at": [1]},
    )


def slept():
    time.sleep(0.02)


async def slept_on_the_loop():
    await asyncio.sleep(0.02)


def said_so():
    return Result(usage=Usage(seconds=7.5))


async def test_how_long_a_function_ran_is_measured_unless_it_says_so_itself(adapter):
    assert (await adapter.run(TASK, target_of(slept), call())).usage.seconds > 0.015
    assert (await adapter.run(TASK, target_of(slept_on_the_loop), call())).usage.seconds > 0.015
    alone = replace(target_of(slept), options={"isolated": True})
    assert (await adapter.run(TASK, alone, call())).usage.seconds > 0.015
    assert (await adapter.run(TASK, target_of(said_so), call())).usage == Usage(seconds=7.5)


@pytest.mark.parametrize(
    ("result", "field"),
    [
        (Result(cost_usd=Decimal(-1)), "cost_usd is negative"),
        (Result(cost_usd=Decimal("NaN")), "cost_usd"),
        (Result(cost_usd=Decimal("1e30")), "cost_usd"),
        (Result(cost_usd=float("inf")), "cost_usd"),
        (Result(cost_usd="cheap"), "cost_usd"),
        (Result(cost_usd=[1]), "cost_usd is list"),
        (Result(cost_usd=True), "cost_usd is bool"),
        (Result(quality=1.5), "quality is 1.5"),
        (Result(quality=float("nan")), "quality"),
        (Result(quality="good"), "quality is str"),
        (Result(usage=Usage(input_tokens=-1)), "usage has input_tokens -1"),
        (Result(usage=Usage(output_tokens=1.5)), "usage has output_tokens 1.5"),
        (Result(usage=Usage(seconds=float("nan"))), "usage has seconds nan"),
        (Result(usage={"input_tokens": 1}), "usage is dict"),
        (Result(run_id=7), "run_id is int"),
        (Result(detail=[]), "detail is list"),
    ],
    ids=repr,
)
async def test_a_result_that_makes_no_sense_is_a_crash_that_names_the_field(adapter, result, field):
    failure = await failure_of(adapter, target_of(lambda: result))
    assert isinstance(failure, Crashed)
    assert f"returned a Result whose {field}" in str(failure)


# -- what is raised ----------------------------------------------------------------------------------------------------


class Unspeakable(Exception):
    def __str__(self):
        raise ValueError("no words")


RAISED = [
    (ValueError("bad row"), Crashed, "ValueError: bad row"),
    (ValueError(), Crashed, "ValueError"),
    (ValueError("x" * 9_000), Crashed, f"ValueError: {'x' * 488}"),
    (SystemExit(3), Crashed, "SystemExit: 3"),
    (KeyboardInterrupt(), Crashed, "KeyboardInterrupt"),
    (GeneratorExit(), Crashed, "GeneratorExit"),
    (StopIteration(1), Crashed, "StopIteration: 1"),
    (StopAsyncIteration(), Crashed, "StopAsyncIteration"),
    (asyncio.CancelledError(), Crashed, "CancelledError"),
    (BaseExceptionGroup("both", [ValueError(), SystemExit()]), Crashed, "BaseExceptionGroup: both (2 sub-exceptions)"),
    (Unspeakable(), Crashed, "Unspeakable: (its message cannot be read)"),
    (TimeoutError("slow"), TimedOut, "TimeoutError: slow"),
    (ConnectionResetError("gone"), Transient, "ConnectionResetError: gone"),
    (Refused("no text"), Refused, "no text"),
    (Unsuitable("too long"), Unsuitable, "too long"),
]


@pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])
@pytest.mark.parametrize(("raised", "kind", "words"), RAISED, ids=lambda each: type(each).__name__)
async def test_whatever_a_function_raises_leaves_as_an_adapter_error(adapter, raised, kind, words, is_async):
    def now():
        raise raised

    async def soon():
        raise raised

    if is_async and isinstance(raised, StopIteration):
        words = "RuntimeError: coroutine raised StopIteration"  # Python itself says so
    failure = await failure_of(adapter, target_of(soon if is_async else now))
    assert type(failure) is kind
    assert str(failure) == words
    assert failure.may_have_run is (kind not in (Refused, Unsuitable))
    assert raised in (failure, failure.__cause__, failure.__cause__.__cause__ if failure.__cause__ else None)
    assert await value_of(adapter, lambda s: s) == "hello"


async def test_a_function_that_cancels_its_own_task_crashed(adapter):
    async def cancels_itself():
        asyncio.current_task().cancel()
        return "done"

    assert isinstance(await failure_of(adapter, target_of(cancels_itself)), Crashed)


# -- what is stopped ---------------------------------------------------------------------------------------------------


async def cancelled(run: asyncio.Task[Any]) -> None:
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run


async def healthy_again(adapter: LocalAdapter, wanted: Target) -> None:
    async with asyncio.timeout(30):
        while await adapter.health(wanted) != HEALTHY:
            await asyncio.sleep(0)


async def test_an_async_function_is_cancelled_and_cleans_up_before_the_run_ends(adapter):
    begun, log = asyncio.Event(), []

    async def polite():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            log.append("cleaned up")

    polite_target = target_of(polite)
    run = asyncio.ensure_future(adapter.run(TASK, polite_target, call()))
    await begun.wait()
    await cancelled(run)
    assert log == ["cleaned up"]
    assert await adapter.health(polite_target) == HEALTHY


async def test_an_async_function_that_ignores_cancellation_is_left_behind_and_counted_until_it_ends(adapter):
    begun, release, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def stubborn():
        begun.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        ended.set()
        raise ValueError("nobody hears this")

    stubborn_target = target_of(stubborn)
    run = asyncio.ensure_future(adapter.run(TASK, stubborn_target, call()))
    await begun.wait()
    await cancelled(run)
    health = await adapter.health(stubborn_target)
    assert health.status is HealthStatus.DEGRADED
    assert "1 earlier call of it still hangs" in health.detail
    release.set()
    await ended.wait()
    await healthy_again(adapter, stubborn_target)


async def test_a_thread_that_runs_python_is_stopped_by_an_exception(adapter):
    begun, ended = threading.Event(), threading.Event()

    def spin():
        begun.set()
        try:
            while True:
                time.sleep(0)
        finally:
            ended.set()

    run = asyncio.ensure_future(adapter.run(TASK, target_of(spin), call()))
    assert await asyncio.to_thread(begun.wait, 30)
    await cancelled(run)
    assert await asyncio.to_thread(ended.wait, 30)


async def test_threads_that_hang_degrade_their_target_and_then_close_it_until_they_end(adapter):
    begun, release = threading.Semaphore(0), threading.Event()

    def hang():
        begun.release()
        # In one call that blocks outside Python, where no exception arrives.
        release.wait()

    hanging = target_of(hang)
    assert await adapter.health(hanging) == HEALTHY
    runs = [asyncio.ensure_future(adapter.run(TASK, hanging, call(f"e{number}"))) for number in range(3)]
    waiting = asyncio.ensure_future(adapter.run(TASK, hanging, call("waiting")))
    for _ in runs:
        assert await asyncio.to_thread(begun.acquire, timeout=30)
    await cancelled(runs[0])
    assert (await adapter.health(hanging)).status is HealthStatus.DEGRADED
    await cancelled(runs[1])
    await cancelled(runs[2])
    assert (await adapter.health(hanging)).status is HealthStatus.UNREACHABLE
    for refused in (waiting, adapter.run(TASK, hanging, call())):
        with pytest.raises(Transient, match="3 earlier calls of it still hang") as caught:
            await refused
        assert caught.value.may_have_run is False
    assert await value_of(adapter, lambda s: s) == "hello"

    release.set()
    await healthy_again(adapter, hanging)
    assert (await adapter.run(TASK, hanging, call())).value is None


async def test_a_target_never_holds_more_threads_than_its_limit(adapter):
    lock, inside, most = threading.Lock(), 0, 0

    def count(task):
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.001)
        with lock:
            inside -= 1
        return task.text

    counted = target_of(count)
    tasks = [Task(type="any", text=f"number {number}") for number in range(50)]
    results = await asyncio.gather(*(adapter.run(task, counted, call(task.text)) for task in tasks))
    assert [result.value for result in results] == [task.text for task in tasks]
    assert 1 <= most <= 3


async def test_a_run_that_gives_up_its_place_in_the_queue_hands_it_on(adapter):
    release = threading.Event()
    blocked = target_of(lambda: release.wait(30))
    runs = [asyncio.ensure_future(adapter.run(TASK, blocked, call(f"e{number}"))) for number in range(6)]
    await asyncio.sleep(0)
    await cancelled(runs[4])
    release.set()
    ended = await asyncio.gather(*(run for run in runs if run is not runs[4]))
    assert [result.value for result in ended] == [True] * 5


@pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])
async def test_cancel_stops_a_run_and_says_so(adapter, is_async):
    begun = threading.Event()

    async def soon():
        begun.set()
        await asyncio.Event().wait()

    def now():
        begun.set()
        while True:
            time.sleep(0)

    stopped = target_of(soon if is_async else now)
    ref = RunRef(target=stopped, execution_id="e", run_id=None)
    run = asyncio.ensure_future(adapter.run(TASK, stopped, call("e")))
    assert await asyncio.to_thread(begun.wait, 30)
    assert await adapter.status(ref) is Status.RUNNING
    assert await adapter.cancel(ref) is True
    with pytest.raises(Cancelled, match="cancelled on request"):
        await run
    assert await adapter.status(ref) is None
    assert await adapter.cancel(ref) is False


def test_a_process_ends_although_calls_hang_in_threads_and_on_the_loop():
    program = """
import asyncio, threading
from mahavishnu_local import LocalAdapter, target
from mahavishnu.model import Task
from mahavishnu.ports import Call

@target(task_types=["any"])
def in_thread():
    threading.Event().wait()

@target(task_types=["any"])
async def on_loop():
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue

async def announce(run_id): ...

async def main():
    adapter = LocalAdapter()
    for target in adapter.targets():
        run = adapter.run(Task(type="any", text="x"), target, Call(
            execution_id=target.name, deadline_s=None, idempotency_key=None, announce=announce))
        try:
            await asyncio.wait_for(run, 0.1)
        except TimeoutError:
            print(target.name, (await adapter.health(target)).status)
    await adapter.close()

asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.split() == ["in_thread", "degraded", "on_loop", "degraded"]
    assert ended.stderr == ""


async def test_a_call_that_outlives_its_event_loop_does_no_harm(adapter):
    begun, release = threading.Event(), threading.Event()

    def outlive():
        begun.set()
        release.wait()

    outliving = target_of(outlive)

    async def leave_it():
        run = asyncio.ensure_future(adapter.run(TASK, outliving, call()))
        assert await asyncio.to_thread(begun.wait, 30)
        await cancelled(run)

    await asyncio.to_thread(asyncio.run, leave_it())
    assert (await adapter.health(outliving)).status is HealthStatus.DEGRADED
    release.set()
    await healthy_again(adapter, outliving)


def test_a_job_that_is_over_cannot_be_abandoned():
    ended = threading.Event()
    job = Job(lambda: "value", lambda brought: brought.upper(), lambda _: ended.set())
    job.perform()
    job.end()
    assert job.abandon() is False
    assert ended.is_set()
    assert job.outcome == "VALUE"


def test_a_job_that_was_abandoned_before_it_began_is_never_called():
    called = []
    job = Job(lambda: called.append("called"), called.append, lambda _: None)
    assert job.abandon() is True
    job.perform()
    assert called == []


def test_only_the_call_of_an_abandoned_job_is_interrupted_and_not_what_follows_it():
    begun, release, steps = threading.Event(), threading.Event(), []

    def follow(brought):
        begun.set()
        release.wait(30)
        steps.extend(["this", "runs", "to", "its", "end"])

    job = Job(lambda: "value", follow, lambda _: None)
    thread = threading.Thread(target=job.perform)
    thread.start()
    assert begun.wait(30)
    assert job.abandon() is True
    release.set()
    thread.join(30)
    assert steps[-1] == "end"


async def test_an_import_that_outlasts_a_run_is_done_when_the_next_one_comes(adapter, tmp_path):
    begun, release = threading.Event(), threading.Event()
    sys.modules["jobs_gate"] = types.SimpleNamespace(begun=begun, release=release)
    write(tmp_path, "jobs_f", "import jobs_gate\njobs_gate.begun.set()\njobs_gate.release.wait()\ndef f(): return 1\n")
    run = asyncio.ensure_future(adapter.run(TASK, named("jobs_f:f"), call()))
    assert await asyncio.to_thread(begun.wait, 30)
    await cancelled(run)
    release.set()
    assert (await adapter.run(TASK, named("jobs_f:f"), call())).value == 1


# -- where functions come from -----------------------------------------------------------------------------------------


def write(folder: Path, name: str, source: str) -> None:
    (folder / f"{name}.py").write_text(source)


async def test_a_function_is_imported_by_name_also_one_inside_a_class(adapter, tmp_path):
    write(tmp_path, "jobs_a", "class Jobs:\n    @staticmethod\n    def clean(s):\n        return s.title()\n")
    result = await adapter.run(TASK, named("jobs_a:Jobs.clean"), call())
    assert result.value == "Hello"


def test_folders_are_put_in_front_once_in_their_order(tmp_path):
    folders = [str(tmp_path / name) for name in ("one", "two")]
    LocalAdapter(paths=folders)
    LocalAdapter(paths=folders)
    assert sys.path[:2] == folders
    assert sys.path.count(folders[0]) == 1


BROKEN = [
    ("no_colon", "write it as package.module:function"),
    ("jobs b:f", "write it as package.module:function"),
    ("no_such_module_here:f", "there is no module no_such_module_here; check the spelling"),
    ("no_such_package.jobs:f", "there is no module no_such_package;"),
    ("jobs_b:claen", 'jobs_b has no "claen"; did you mean "clean"?'),
    ("jobs_b:NUMBER", "is int and cannot be called"),
    ("jobs_raises:f", "ValueError: not today"),
    ("jobs_exits:f", "SystemExit: 1"),
    ("jobs_needs:f", "jobs_needs needs a_missing_library, which is not installed"),
    ("jobs_syntax:f", "SyntaxError"),
]


@pytest.mark.parametrize(("run", "words"), BROKEN, ids=lambda each: each.partition(" ")[0])
async def test_a_name_that_leads_nowhere_is_misconfigured_and_health_says_the_same(adapter, tmp_path, run, words):
    write(tmp_path, "jobs_b", "NUMBER = 1\ndef clean(s): ...\n")
    write(tmp_path, "jobs_raises", "raise ValueError('not today')")
    write(tmp_path, "jobs_exits", "import sys; sys.exit(1)")
    write(tmp_path, "jobs_needs", "import a_missing_library")
    write(tmp_path, "jobs_syntax", "def (")
    failure = await failure_of(adapter, named(run))
    assert isinstance(failure, Misconfigured)
    assert words in str(failure)
    assert run in str(failure)
    health = await adapter.health(named(run))
    assert health.status is HealthStatus.MISCONFIGURED
    assert health.detail == str(failure)


async def test_a_failed_import_is_tried_again_and_a_good_one_is_kept(adapter, tmp_path):
    wanted = named("jobs_c:clean")
    assert (await adapter.health(wanted)).status is HealthStatus.MISCONFIGURED
    write(tmp_path, "jobs_c", "def clean(s):\n    return s.title()\n")
    assert await adapter.health(wanted) == HEALTHY
    (tmp_path / "jobs_c.py").unlink()
    del sys.modules["jobs_c"]
    assert (await adapter.run(TASK, wanted, call())).value == "Hello"


async def test_a_decorated_function_stays_itself_and_becomes_a_target(adapter):
    @target(task_types=["etl", "report"], capabilities=["batch"], cost_per_run="0.002", timeout_ms=500)
    def closure(s):
        return s.upper()

    assert closure("a") == "A"
    (found,) = adapter.targets()
    assert (found.name, found.adapter, found.timeout_ms) == ("closure", "local", 500)
    assert found.task_types == {"etl", "report"}
    assert found.capabilities == {"batch"}
    assert found.cost_model.per_run_usd == Decimal("0.002")
    assert (await adapter.run(TASK, found, call())).value == "HELLO"


async def test_registering_a_name_again_replaces_the_function_that_was_already_found(adapter):
    def make(word):
        @target(task_types="etl", name="reloaded")
        def reloaded():
            return word

    make("before")
    (found,) = adapter.targets()
    assert found.task_types == {"etl"}
    assert (await adapter.run(TASK, found, call())).value == "before"
    make("after")
    assert (await adapter.run(TASK, found, call())).value == "after"


@pytest.mark.parametrize(
    ("declared", "field"),
    [
        ({"cost_per_run": "-1"}, "cost_per_run is negative"),
        ({"task_types": []}, "task_types"),
        ({"name": "a b"}, "name"),
    ],
)
def test_a_wrong_declaration_is_refused_where_it_stands(declared, field):
    with pytest.raises(InvalidTarget, match=field):
        target(**{"task_types": ["etl"], **declared})(later)


def test_two_modules_cannot_register_one_name(tmp_path):
    adapter = LocalAdapter(paths=[str(tmp_path)])
    for name in ("jobs_d", "jobs_e"):
        write(tmp_path, name, "from mahavishnu_local import target\n@target(task_types=['etl'])\ndef clean(): ...\n")
    __import__("jobs_d")
    with pytest.raises(InvalidTarget, match="is taken by jobs_d:clean"):
        __import__("jobs_e")
    assert [each.run for each in adapter.targets()] == ["jobs_d:clean"]


def test_a_limit_of_no_threads_is_refused():
    with pytest.raises(ValueError, match="max_threads_per_target must be at least 1"):
        LocalAdapter(max_threads_per_target=0)


def test_modules_are_imported_at_once_so_that_what_they_register_is_known(tmp_path):
    (tmp_path / "registers_two.py").write_text(
        "from mahavishnu_local import target\n\n@target(task_types=['t'], name='by-module')\ndef f(text): return text\n"
    )
    adapter = LocalAdapter(paths=[str(tmp_path)], modules=["registers_two"])
    assert "by-module" in {each.name for each in adapter.targets()}
    with pytest.raises(Misconfigured, match="there is no module registers_three"):
        LocalAdapter(paths=[str(tmp_path)], modules=["registers_three"])
