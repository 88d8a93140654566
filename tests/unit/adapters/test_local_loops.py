"""Targets that lay hands on the event loop: the one that all share is guarded, and an untrusted target has its own."""

import asyncio
import contextvars
import itertools
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from mahavishnu.errors import AdapterError, Cancelled, Crashed, Misconfigured
from mahavishnu.model import HEALTHY, HealthStatus, Task
from mahavishnu.ports import Call, RunRef
from mahavishnu_local import LocalAdapter, registry, target

numbers = itertools.count()
TASK = Task(type="any", text="hello", payload={"rows": [1, 2]})


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})


@pytest.fixture
async def adapter(tmp_path):
    adapter = LocalAdapter(paths=[str(tmp_path)], max_threads_per_target=3)
    yield adapter
    await adapter.close()


def target_of(function, *, isolated=False):
    name = f"target-{next(numbers)}"
    target(task_types=["any"], name=name, isolated=isolated)(function)
    return next(each for each in LocalAdapter(paths=()).targets() if each.name == name)


def call(execution_id="e", deadline_s=30.0):
    async def announce(run_id):
        raise AssertionError(run_id)

    return Call(execution_id=execution_id, deadline_s=deadline_s, idempotency_key=None, announce=announce)


async def failure_of(adapter, wanted):
    with pytest.raises(AdapterError) as caught:
        await adapter.run(TASK, wanted, call())
    return caught.value


def loop():
    return asyncio.get_running_loop()


async def stops():
    loop().stop()


async def stops_and_waits():
    loop().stop()
    await asyncio.sleep(30)


async def stops_later():
    loop().call_soon(loop().stop)
    await asyncio.sleep(0.01)
    return "went on"


async def stops_in_a_task_of_its_own():
    await asyncio.create_task(stops())


async def closes():
    loop().close()


async def debugs():
    loop().set_debug(True)


async def handles_exceptions():
    loop().set_exception_handler(print)


async def makes_tasks():
    loop().set_task_factory(None)


async def handles_signals():
    loop().add_signal_handler(signal.SIGUSR1, print)


async def shuts_the_generators_down():
    await loop().shutdown_asyncgens()


async def shuts_the_threads_down():
    await loop().shutdown_default_executor()


async def leaves():
    sys.exit(3)


async def interrupts():
    raise KeyboardInterrupt


async def leaves_in_a_task_of_its_own():
    await asyncio.create_task(leaves())


async def leaves_in_a_callback():
    loop().call_soon(sys.exit, 3)
    await asyncio.sleep(30)


async def cancels_everything():
    for task in asyncio.all_tasks():
        task.cancel()
    await asyncio.sleep(30)


async def takes_the_signals():
    signal.signal(signal.SIGINT, signal.SIG_IGN)


async def good(s):
    return s.upper()


ON_THE_SHARED_LOOP = [
    stops,
    stops_in_a_task_of_its_own,
    closes,
    debugs,
    handles_exceptions,
    makes_tasks,
    handles_signals,
    shuts_the_generators_down,
    shuts_the_threads_down,
]
ANYWHERE = [stops_and_waits, stops_in_a_task_of_its_own, closes, handles_signals, leaves, interrupts]
ONLY_ALONE = [leaves_in_a_task_of_its_own, leaves_in_a_callback, cancels_everything, takes_the_signals]


@pytest.mark.parametrize("evil", ON_THE_SHARED_LOOP, ids=lambda each: each.__name__)
async def test_a_target_may_not_change_or_end_the_loop_that_all_share(adapter, evil):
    bystander = asyncio.create_task(asyncio.sleep(0.02, "went on"))
    failure = await failure_of(adapter, target_of(evil))
    assert isinstance(failure, Crashed)
    assert "of the event loop that all targets share; give it a loop of its own: isolated = true" in str(failure)
    assert (await adapter.run(TASK, target_of(good), call())).value == "HELLO"
    assert await asyncio.to_thread(lambda: "threads too") == "threads too"
    assert await bystander == "went on"
    assert not loop().get_debug()


async def test_a_callback_that_would_stop_the_loop_does_not(adapter):
    reported = []
    loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))
    assert (await adapter.run(TASK, target_of(stops_later), call())).value == "went on"
    assert [type(each) for each in reported] == [Crashed]


async def test_a_function_in_a_thread_may_not_stop_the_loop_either(adapter):
    shared, reported, seen = loop(), [], asyncio.Event()
    shared.set_exception_handler(lambda _, context: (reported.append(context["exception"]), seen.set()))
    await adapter.run(TASK, target_of(lambda: shared.call_soon_threadsafe(shared.stop) and None), call())
    await seen.wait()
    assert [type(each) for each in reported] == [Crashed]


async def test_a_function_in_a_thread_may_run_a_loop_of_its_own_with_targets_of_its_own(adapter):
    def nested(s):
        async def main():
            within = LocalAdapter(paths=())
            value = (await within.run(TASK, target_of(good), call())).value
            await within.close()
            return value

        return asyncio.run(main())

    assert (await adapter.run(TASK, target_of(nested), call())).value == "HELLO"


@pytest.mark.parametrize("evil", [*ANYWHERE, *ONLY_ALONE], ids=lambda each: each.__name__)
async def test_a_target_with_a_loop_of_its_own_harms_only_itself(adapter, evil):
    before = signal.getsignal(signal.SIGINT)
    bystander = asyncio.create_task(asyncio.sleep(0.02, "went on"))
    failure = await failure_of(adapter, target_of(evil, isolated=True))
    assert isinstance(failure, Crashed)
    assert (await adapter.run(TASK, target_of(good, isolated=True), call())).value == "HELLO"
    assert (await adapter.run(TASK, target_of(good), call())).value == "HELLO"
    assert await bystander == "went on"
    assert signal.getsignal(signal.SIGINT) is before


async def test_what_a_target_does_to_its_own_loop_is_not_seen_by_the_next(adapter):
    async def debugged():
        before = loop().get_debug()
        loop().set_debug(True)
        return before

    wanted = target_of(debugged, isolated=True)
    assert [(await adapter.run(TASK, wanted, call())).value for _ in range(2)] == [False, False]


async def test_a_target_that_blocks_its_own_loop_blocks_nothing_else(adapter):
    blocked, release = threading.Event(), threading.Event()

    async def blocks():
        blocked.set()
        return release.wait(30)

    run = asyncio.ensure_future(adapter.run(TASK, target_of(blocks, isolated=True), call()))
    # Only a loop that is free gets here and releases it.
    while not blocked.is_set():
        await asyncio.sleep(0)
    release.set()
    assert (await run).value is True


@pytest.mark.parametrize("by_request", [False, True])
async def test_a_run_on_a_loop_of_its_own_is_cancelled_and_cleans_up(adapter, by_request):
    begun, log = threading.Event(), []

    async def polite():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            log.append("cleaned up")

    wanted = target_of(polite, isolated=True)
    run = asyncio.ensure_future(adapter.run(TASK, wanted, call()))
    while not begun.is_set():
        await asyncio.sleep(0)
    if by_request:
        assert await adapter.cancel(RunRef(target=wanted, execution_id="e", run_id=None))
    else:
        run.cancel()
    with pytest.raises(Cancelled if by_request else asyncio.CancelledError):
        await run
    assert log == ["cleaned up"]
    assert await adapter.health(wanted) == HEALTHY


async def test_one_that_spins_is_stopped_by_an_exception_and_counted_until_then(adapter):
    begun, ended = threading.Event(), threading.Event()

    async def spins():
        begun.set()
        try:
            while True:
                time.sleep(0)
        finally:
            ended.set()

    wanted = target_of(spins, isolated=True)
    run = asyncio.ensure_future(adapter.run(TASK, wanted, call()))
    while not begun.is_set():
        await asyncio.sleep(0)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    async with asyncio.timeout(30):
        while await adapter.health(wanted) != HEALTHY:
            await asyncio.sleep(0.001)
    assert ended.is_set()


async def test_one_that_hangs_outside_python_is_left_behind_and_counted(adapter):
    begun, release = threading.Event(), threading.Event()

    async def hangs():
        begun.set()
        release.wait(30)

    wanted = target_of(hangs, isolated=True)
    run = asyncio.ensure_future(adapter.run(TASK, wanted, call()))
    while not begun.is_set():
        await asyncio.sleep(0)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert (await adapter.health(wanted)).status is HealthStatus.DEGRADED
    release.set()
    async with asyncio.timeout(30):
        while await adapter.health(wanted) != HEALTHY:
            await asyncio.sleep(0.001)


async def test_it_is_given_the_context_the_deadline_and_whatever_else_others_are_given(adapter):
    tenant = contextvars.ContextVar("tenant", default="none")
    tenant.set("north")

    async def told(text, payload, deadline_s):
        return [text, payload, 0 < deadline_s <= 30, tenant.get(), await asyncio.to_thread(tenant.get)]

    assert (await adapter.run(TASK, target_of(told, isolated=True), call())).value == [
        "hello",
        {"rows": [1, 2]},
        True,
        "north",
        "north",
    ]


@pytest.mark.parametrize("function", [lambda s: s.upper(), lambda s: good(s)])
async def test_a_plain_function_may_have_a_loop_of_its_own_as_well(adapter, function):
    assert (await adapter.run(TASK, target_of(function, isolated=True), call())).value == "HELLO"


async def test_what_it_leaves_running_is_cancelled_when_its_run_ends(adapter):
    ended = threading.Event()

    async def straggler():
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()

    async def leaves_one():
        asyncio.get_running_loop().straggler = asyncio.create_task(straggler())
        await asyncio.sleep(0)

    await adapter.run(TASK, target_of(leaves_one, isolated=True), call())
    assert ended.is_set()


@pytest.mark.parametrize(
    ("options", "words"),
    [({"isolated": "yes"}, "must be true or false, not 'yes'"), ({"isolatd": True}, 'did you mean "isolated"?')],
)
async def test_an_option_that_means_nothing_is_refused(adapter, options, words):
    wanted = replace(target_of(good), options=options)
    failure = await failure_of(adapter, wanted)
    assert isinstance(failure, Misconfigured)
    assert words in str(failure)
    assert (await adapter.health(wanted)).status is HealthStatus.MISCONFIGURED


def test_a_process_goes_on_whatever_its_targets_do_to_the_loop(tmp_path):
    """The whole of it, as a program: one evil task after the other, and then a good one, and a clean end."""
    (tmp_path / "evil.py").write_text(PROGRAM)
    ended = subprocess.run(
        [sys.executable, "evil.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert (ended.returncode, ended.stdout.split()[-1]) == (0, "HELLO"), ended.stderr[-2000:]


PROGRAM = """
import asyncio, signal, sys
from mahavishnu.app import open_app
from mahavishnu.errors import TaskFailed
from mahavishnu.model import Task
from mahavishnu.settings import load_settings
from mahavishnu_local import target

loop = asyncio.get_running_loop

@target(task_types=["stop"])
async def stop(): loop().stop()

@target(task_types=["exit"])
async def leave(): sys.exit(3)

@target(task_types=["stop-alone"], isolated=True)
async def stop_alone(): loop().stop()

@target(task_types=["exit-alone"], isolated=True)
async def leave_alone(): await asyncio.create_task(leave())

@target(task_types=["cancel-alone"], isolated=True)
async def cancel_alone():
    for task in asyncio.all_tasks(): task.cancel()
    await asyncio.sleep(30)

@target(task_types=["signal-alone"], isolated=True)
async def signal_alone(): signal.signal(signal.SIGTERM, signal.SIG_IGN)

@target(task_types=["good"])
async def good(text): return text.upper()

async def main():
    async with open_app(load_settings(None, {}, {"store": {"url": "sqlite:///x.db"}})) as app:
        for evil in ("stop", "exit", "stop-alone", "exit-alone", "cancel-alone", "signal-alone"):
            try:
                await app.orchestrator.execute(Task(type=evil, text="x"))
            except TaskFailed as failure:
                print(evil, failure)
        print((await app.orchestrator.execute(Task(type="good", text="hello"))).value)

asyncio.run(main())
"""
