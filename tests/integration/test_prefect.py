"""The Prefect adapter against a real server that asks for a password, with a real worker and real deployments."""

import asyncio
import gc
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.cli.targets.sandbox_processes import Sandbox as Server
from mahavishnu.cli.targets.sandbox_processes import free_port, sandbox_of
from mahavishnu.errors import (
    AdapterError,
    AuthenticationError,
    Cancelled,
    Crashed,
    Misconfigured,
    Refused,
    TimedOut,
    Transient,
)
from mahavishnu.model import HealthStatus, Result, Status, Target, Task
from mahavishnu.ports import Call, RunRef
from mahavishnu.testing.adapter import ADAPTER_PROMISES, AdapterCase, Example, Promise
from mahavishnu_prefect import PrefectAdapter, deliver, sandbox
from mahavishnu_prefect.records import ANYTHING
from mahavishnu_prefect.rest import Api

PASSWORD = "ann:s3cret"
VARIABLE = "PREFECT_PASSWORD_OF_THE_TESTS"
WITHIN_S = 90.0
MODULE = "flows_of_the_prefect_tests"
SOURCE = """
import asyncio, os, threading, time
from mahavishnu.model import Result
from mahavishnu_prefect import deliver
from prefect import flow

calls = []

@flow
def handed_over(text: str, rows: int = 1):
    deliver({"text": text.upper(), "rows": rows}, cost_usd="0.25", quality=0.5)

@flow
def boom(text: str = ""):
    calls.append(text)
    raise ValueError("bad row")

@flow
async def slow(text: str = ""):
    await asyncio.sleep(120)

@flow
async def shout(text: str):
    return text.upper()

@flow
def shout_in_a_thread(text: str):
    return text.upper()

@flow
async def priced():
    return Result(value=[1], cost_usd="0.5", quality=1.0)

@flow
async def delivered_by_itself():
    deliver("first")
    deliver("last", quality=0.9)
    return "returned"

@flow(timeout_seconds=0.2)
async def too_slow():
    await asyncio.sleep(120)

@flow
async def unwritable():
    return object()

@flow
async def offline():
    raise ConnectionError("the warehouse is gone")

@flow
async def one_by_one():
    yield 1

reached, go_on = threading.Event(), threading.Event()

@flow
def stubborn():
    reached.set()
    go_on.wait(60)

not_a_flow = 7
"""

# Prefect's engine leaves the connections of its own clients to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"),
]

numbers = itertools.count()


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("flows")
    (folder / f"{MODULE}.py").write_text(SOURCE)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    home: Path = tmp_path_factory.mktemp("prefect")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, PASSWORD)
        # Flows in this process keep what they write to themselves.
        patch.setenv("PREFECT_HOME", str(home / "here"))
        engine = sandbox.sandbox_of(home, free_port(), VARIABLE)
        with sandbox_of("prefect", replace(engine, programs=engine.programs[:1], prepare=None), home) as running:
            yield running
    # Here, where what it complains about is expected, and not in the next test.
    gc.collect()


@pytest.fixture(scope="module")
def worker(server):
    programs = [sandbox.worker(server.folder, server.url, PASSWORD, "pool")]
    with sandbox_of("worker", replace(server.engine, programs=programs), server.folder) as running:
        yield running


@pytest.fixture
async def adapter(server, source, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    made = repeating(adapter_for(server, source))
    yield made
    await made.close()
    sys.modules.pop(MODULE, None)


@pytest.fixture
async def idle(adapter, source):
    """A deployment whose work pool has no worker: its runs wait until they are cancelled."""
    # Refused where it was made before.
    with suppress(Refused):
        await adapter._api.send(ANYTHING, "/work_pools/", {"name": "idle", "type": "process"})
    await adapter.deploy_workflow("slow/idle", f"{MODULE}.py:slow", work_pool="idle", source=str(source))
    return target("slow/idle")


def adapter_for(server: Server, source: Path, variable: str = VARIABLE, **settings: Any) -> PrefectAdapter:
    """On a loaded machine a server on SQLite may be silent for longer than the ten seconds that are the default."""
    settings = {"poll_ms": 200, "request_timeout_ms": 60_000, **settings}
    return PrefectAdapter(
        api_url=server.url, api_key_env=None, basic_auth_env=variable, paths=[str(source)], **settings
    )


def repeating(adapter: PrefectAdapter) -> PrefectAdapter:
    """The server on SQLite is busy now and then, and says so; the engine would try again, and so does this."""
    once = adapter._api.send

    async def send(*request: Any) -> Any:
        while True:
            try:
                return await once(*request)
            except Transient as busy:
                if "answered 503" not in str(busy):
                    raise

    adapter._api.send = send
    return adapter


async def deployed(adapter: PrefectAdapter, source: Path, flow: str) -> Target:
    await adapter.deploy_workflow(
        f"{flow}/main".replace("_", "-"), f"{MODULE}.py:{flow}", work_pool="pool", source=str(source)
    )
    return target(f"{flow}/main".replace("_", "-"))


def target(run: str, **options: Any) -> Target:
    return Target(name="tried", adapter="prefect", run=run, task_types=frozenset({"any"}), options=options)


def in_process(flow: str) -> Target:
    return target(f"{MODULE}:{flow}")


class Calls:
    """A call whose run id can be waited for."""

    def __init__(self, key: str | None = None) -> None:
        self.run_id: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.call = Call(
            execution_id=f"{os.getpid()}-{next(numbers)}", deadline_s=None, idempotency_key=key, announce=self._announce
        )

    async def _announce(self, run_id: str) -> None:
        self.run_id.set_result(run_id)

    async def begun_by(self, going: asyncio.Future[Result]) -> str:
        """The run's id, as soon as it is known; or whatever the run raises before it is."""
        await asyncio.wait({going, self.run_id}, return_when=asyncio.FIRST_COMPLETED, timeout=WITHIN_S)
        return self.run_id.result() if self.run_id.done() else str(going.result())


TASK = Task(type="any", text="hello")


async def run(adapter: PrefectAdapter, wanted: Target, task: Task = TASK) -> Result:
    return await asyncio.wait_for(adapter.run(task, wanted, Calls().call), WITHIN_S)


async def failure_of(adapter: PrefectAdapter, wanted: Target, task: Task = TASK) -> AdapterError:
    with pytest.raises(AdapterError) as caught:
        await run(adapter, wanted, task)
    return caught.value


async def type_of(adapter: PrefectAdapter, run_id: str) -> str:
    found = await adapter.get_execution_status(run_id)
    assert found is not None
    return found.type


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Something happens in another process, which tells nobody."""
    async with asyncio.timeout(WITHIN_S):
        while not await holds():
            await asyncio.sleep(0.1)


# -- deployments, run by a worker --------------------------------------------------------------------------------------


async def test_a_deployed_flow_runs_on_a_worker_and_hands_its_value_over(adapter, worker, source):
    wanted = await deployed(adapter, source, "handed_over")
    assert (await adapter.health(wanted)).status is HealthStatus.HEALTHY
    result = await run(adapter, wanted, Task(type="any", text="hello", payload={"rows": 3}))
    assert result.value == {"text": "HELLO", "rows": 3}
    assert (result.cost_usd, result.quality) == (Decimal("0.25"), 0.5)
    assert result.usage.seconds > 0
    assert result.run_id is not None
    assert await type_of(adapter, result.run_id) == "COMPLETED"


async def test_a_flow_that_fails_on_a_worker_tells_why(adapter, worker, source):
    failure = await failure_of(adapter, await deployed(adapter, source, "boom"))
    assert isinstance(failure, Crashed)
    assert "ValueError: bad row" in str(failure)
    assert failure.may_have_run


OTHER_PROCESS = """
import asyncio, sys
from mahavishnu.model import Target
from mahavishnu.ports import RunRef
from mahavishnu_prefect import PrefectAdapter

async def main():
    adapter = PrefectAdapter(api_url=sys.argv[1], api_key_env=None, basic_auth_env=sys.argv[2])
    wanted = Target(name="tried", adapter="prefect", run=sys.argv[3], task_types={"any"})
    ref = RunRef(target=wanted, execution_id="of another process", run_id=sys.argv[4])
    print(await adapter.status(ref), await adapter.cancel(ref))
    await adapter.close()

asyncio.run(main())
"""


async def test_a_run_on_a_worker_is_asked_after_and_cancelled_from_another_process(adapter, server, worker, source):
    wanted = await deployed(adapter, source, "slow")
    calls = Calls()
    going = asyncio.ensure_future(adapter.run(TASK, wanted, calls.call))
    run_id = await calls.begun_by(going)
    await until(lambda: has_type(adapter, run_id, "RUNNING"))
    other = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", OTHER_PROCESS, server.url, VARIABLE, wanted.run, run_id],
        capture_output=True,
        text=True,
        check=False,
    )
    assert other.stdout.split() == ["running", "True"], other.stderr
    with pytest.raises(Cancelled):
        await asyncio.wait_for(going, WITHIN_S)
    assert await adapter.status(RunRef(target=wanted, execution_id="e", run_id=run_id)) is Status.CANCELLED


async def has_type(adapter: PrefectAdapter, run_id: str, wanted: str) -> bool:
    return await type_of(adapter, run_id) == wanted


# -- deployments, without a worker -------------------------------------------------------------------------------------


async def test_a_deployment_without_a_worker_is_degraded_and_says_how_to_start_one(adapter, idle):
    health = await adapter.health(idle)
    assert health.status is HealthStatus.DEGRADED
    assert "prefect worker start --pool idle" in health.detail


async def test_a_run_whose_deadline_passes_is_cancelled_on_the_server(adapter, idle):
    calls = Calls()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.0):
            await adapter.run(TASK, idle, calls.call)
    assert await type_of(adapter, calls.run_id.result()) == "CANCELLED"


async def test_one_key_is_one_run_however_often_it_is_asked_for(adapter, idle, server, source):
    both = [Calls(key="one"), Calls(key="one")]
    other = repeating(adapter_for(server, source))
    going = [
        asyncio.ensure_future(each.run(TASK, idle, calls.call))
        for each, calls in zip((adapter, other), both, strict=True)
    ]
    first, second = [await calls.begun_by(each) for calls, each in zip(both, going, strict=True)]
    assert first == second
    assert await other.cancel_workflow(first)
    for each in going:
        with pytest.raises(Cancelled):
            await each
    # It did not succeed, so that the key is free again.
    again = await adapter.execute_workflow(idle.run, idempotency_key="one")
    assert again != first
    assert await adapter.cancel_workflow(again)
    assert await adapter.cancel_workflow(again) is False
    await other.close()


async def test_what_was_deployed_is_checked_against_the_signature_in_its_source(adapter, idle, source):
    failure = await failure_of(adapter, idle, Task(type="any", payload={"txet": "hello"}))
    assert isinstance(failure, Refused)
    assert 'did you mean "text"?' in str(failure)


async def test_the_server_refuses_what_was_not_checked_here_in_the_same_way(adapter, idle, monkeypatch):
    monkeypatch.setattr("mahavishnu_prefect.flow_runs.check", lambda *_: None)
    failure = await failure_of(adapter, idle, Task(type="any", payload={"text": 7}))
    assert isinstance(failure, Refused)
    assert "409" in str(failure)
    assert "text" in str(failure)


async def test_deployments_are_listed_and_discovered(adapter, idle):
    assert "slow/idle" in await adapter.list_workflows()
    assert "slow/idle" in {each.run for each in await adapter.discover()}
    failure = await failure_of(adapter, target("slow/idel"))
    assert isinstance(failure, Misconfigured)
    assert 'did you mean "slow/idle"?' in str(failure)


async def test_a_schedule_makes_runs(adapter, idle, source):
    made = await adapter.deploy_workflow(
        "slow/nightly", f"{MODULE}.py:slow", work_pool="idle", source=str(source), cron="0 3 * * *"
    )
    wanted = {"flow_runs": {"deployment_id": {"any_": [made]}}, "limit": 1}

    async def scheduled() -> bool:
        return bool(await adapter._api.ask(ANYTHING, "/flow_runs/filter", wanted))

    await until(scheduled)
    assert await scheduled()


async def test_a_wrong_password_is_told_apart_from_a_server_that_is_not_there(server, source, idle, monkeypatch):
    monkeypatch.setenv("WRONG_PASSWORD", "ann:guessed")
    stranger = adapter_for(server, source, "WRONG_PASSWORD")
    for wanted in (idle, in_process("shout")):
        failure = await failure_of(stranger, wanted)
        assert isinstance(failure, AuthenticationError)
        assert "WRONG_PASSWORD" in str(failure)
        assert "guessed" not in str(failure)
        assert (await stranger.health(wanted)).status is HealthStatus.UNAUTHORISED
    with pytest.raises(AuthenticationError):
        await stranger.discover()
    await stranger.close()


# -- flows in this process ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flow", "value", "quality"),
    [
        ("shout", "HELLO", None),
        ("shout_in_a_thread", "HELLO", None),
        ("priced", [1], 1.0),
        ("delivered_by_itself", "last", 0.9),
        ("handed_over", {"text": "HELLO", "rows": 1}, 0.5),
    ],
)
async def test_a_flow_in_this_process_brings_its_value_and_is_seen_by_the_server(adapter, flow, value, quality):
    result = await run(adapter, in_process(flow))
    assert (result.value, result.quality) == (value, quality)
    assert result.run_id is not None
    assert await type_of(adapter, result.run_id) == "COMPLETED"


@pytest.mark.parametrize(
    ("flow", "kind", "words"),
    [
        ("boom", Crashed, "ValueError: bad row"),
        ("too_slow", TimedOut, "timed out after 0.2 second"),
        ("offline", Transient, "the warehouse is gone"),
        ("unwritable", Crashed, "cannot be written as JSON"),
        ("one_by_one", Misconfigured, "return a list"),
        ("not_a_flow", Misconfigured, "@flow"),
        ("shuot", Misconfigured, 'did you mean "shout"?'),
    ],
)
async def test_whatever_becomes_of_a_flow_in_this_process_is_an_adapter_error(adapter, flow, kind, words):
    failure = await failure_of(adapter, in_process(flow))
    assert type(failure) is kind
    assert words in str(failure)


async def test_a_module_that_cannot_be_imported_is_a_matter_of_configuration(adapter, source):
    (source / "broken_flows.py").write_text("raise OSError('no licence')")
    for run_, words in (
        ("no_such_flows:etl", "there is no module no_such_flows"),
        ("broken_flows:etl", "OSError: no licence"),
    ):
        failure = await failure_of(adapter, target(run_))
        assert isinstance(failure, Misconfigured)
        assert words in str(failure)
        assert (await adapter.health(target(run_))).status is HealthStatus.MISCONFIGURED


async def test_a_flow_in_this_process_is_cancelled_from_another_adapter(adapter, server, source):
    calls = Calls()
    going = asyncio.ensure_future(adapter.run(TASK, in_process("slow"), calls.call))
    run_id = await calls.begun_by(going)
    await until(lambda: has_type(adapter, run_id, "RUNNING"))
    other = adapter_for(server, source)
    assert await other.cancel(RunRef(target=in_process("slow"), execution_id="e", run_id=run_id))
    with pytest.raises(Cancelled):
        await asyncio.wait_for(going, WITHIN_S)
    await until(lambda: has_type(adapter, run_id, "CANCELLED"))
    await other.close()


async def test_a_flow_in_this_process_that_is_cancelled_before_it_begins_never_runs(adapter):
    cancelled: list[str] = []

    async def announce(run_id: str) -> None:
        assert await adapter.cancel_workflow(run_id)
        cancelled.append(run_id)

    call = Call(execution_id="cancelled-early", deadline_s=None, idempotency_key=None, announce=announce)
    with pytest.raises(Cancelled):
        await asyncio.wait_for(adapter.run(TASK, in_process("boom"), call), WITHIN_S)
    assert sys.modules[MODULE].calls == []
    assert await type_of(adapter, cancelled[0]) == "CANCELLED"


async def test_a_flow_that_cannot_be_interrupted_is_cancelling_for_as_long_as_it_goes_on(adapter):
    flow = await adapter._flows.find(f"{MODULE}:stubborn")
    module = sys.modules[flow.fn.__module__]
    calls = Calls()
    going = asyncio.ensure_future(adapter.run(TASK, in_process("stubborn"), calls.call))
    await asyncio.to_thread(module.reached.wait, WITHIN_S)
    going.cancel()
    await asyncio.wait({going}, timeout=2.0)
    assert going.cancelled()
    assert await type_of(adapter, calls.run_id.result()) == "CANCELLING"
    module.go_on.set()
    await until(lambda: has_type(adapter, calls.run_id.result(), "CANCELLED"))


async def test_a_flow_in_this_process_leaves_the_signals_of_this_process_alone(adapter):
    before = signal.getsignal(signal.SIGTERM)
    calls = Calls()
    going = asyncio.ensure_future(adapter.run(TASK, in_process("slow"), calls.call))
    run_id = await calls.begun_by(going)
    await until(lambda: has_type(adapter, run_id, "RUNNING"))
    during = signal.getsignal(signal.SIGTERM)
    going.cancel()
    await asyncio.wait({going})
    assert before is during is signal.getsignal(signal.SIGTERM)


async def test_nothing_can_be_delivered_outside_of_a_flow(server):
    with pytest.raises(RuntimeError, match="inside a function with @flow"):
        await asyncio.to_thread(deliver, "value")


# -- the promises ------------------------------------------------------------------------------------------------------


def example_on(wanted: Target, text: str = "hello", value: Any = None) -> Example:
    return Example(target=wanted, task=Task(type="any", text=text), value=value)


@pytest.mark.parametrize("promise", ADAPTER_PROMISES, ids=lambda promise: promise.__name__)
async def test_flows_in_this_process_keep_the_promise(promise: Promise, adapter):
    case = AdapterCase(
        names_runs=True,
        adapter=adapter,
        succeeds=example_on(in_process("shout"), value="HELLO"),
        fails=example_on(in_process("boom")),
        hangs=example_on(in_process("slow")),
        refused=Example(target=in_process("shout"), task=Task(type="any", payload={"rows": 1})),
        misconfigured=example_on(in_process("no_such_flow")),
        numbered=lambda number: example_on(in_process("shout"), f"n{number}", f"N{number}"),
        calls=lambda: len(getattr(sys.modules.get(MODULE), "calls", ())),
    )
    await promise(case)


class WorkerOverRest:
    """A worker of our own: what a flow would do, done in four requests, so that twenty runs take a second or two.

    It takes its turn with the adapter's changes, since the server stands one at a time.
    """

    def __init__(self, api: Api, succeeds: str, fails: str) -> None:
        self._api = api
        self._outcomes = {succeeds: "COMPLETED", fails: "FAILED"}
        self.failed = 0

    async def work(self) -> None:
        wanted = {"state": {"type": {"any_": ["SCHEDULED"]}}, "deployment_id": {"any_": list(self._outcomes)}}
        while True:
            for each in await self._api.ask(ANYTHING, "/flow_runs/filter", {"flow_runs": wanted}):
                await self._do(each)
            await asyncio.sleep(0.05)

    async def _do(self, flow_run: dict[str, Any]) -> None:
        run_id, outcome = flow_run["id"], self._outcomes[flow_run["deployment_id"]]
        value = {"value": flow_run["parameters"]["text"].upper()}
        self.failed += outcome == "FAILED"
        artifact = {"key": f"mahavishnu-{run_id}", "type": "json", "data": value, "flow_run_id": run_id}
        await self._api.send(ANYTHING, "/artifacts/", artifact)
        for state in ("RUNNING", outcome):
            await self._api.send(ANYTHING, f"/flow_runs/{run_id}/set_state", {"state": {"type": state}})


@pytest.mark.parametrize("promise", ADAPTER_PROMISES, ids=lambda promise: promise.__name__)
async def test_deployments_keep_the_promise(promise: Promise, adapter, idle, source):
    ids = [
        await adapter.deploy_workflow(name, f"{MODULE}.py:{flow}", work_pool="idle", source=str(source))
        for name, flow in (("shout/rest", "shout"), ("boom/rest", "boom"))
    ]
    worker = WorkerOverRest(adapter._api, *ids)
    working = asyncio.ensure_future(worker.work())
    shout = target("shout/rest")
    case = AdapterCase(
        names_runs=True,
        adapter=adapter,
        succeeds=example_on(shout, value="HELLO"),
        fails=example_on(target("boom/rest")),
        hangs=example_on(idle),
        refused=Example(target=shout, task=Task(type="any", payload={"rows": 1})),
        misconfigured=example_on(target("no/such")),
        numbered=lambda number: example_on(shout, f"n{number}", f"N{number}"),
        calls=lambda: worker.failed,
    )
    await promise(case)
    working.cancel()
    await asyncio.wait({working})
    assert working.cancelled(), working.exception()


# -- a server that dies; last, since it takes the worker's server away for a while -------------------------------------


async def test_a_run_outlives_the_server_that_it_is_followed_on(adapter, server, source, idle):
    impatient = repeating(adapter_for(server, source, patience_ms=500))
    patient = repeating(adapter_for(server, source, patience_ms=int(WITHIN_S * 1000)))
    calls = [Calls(key="outlives"), Calls(key="outlives")]
    given_up, going = (
        asyncio.ensure_future(each.run(TASK, idle, of.call))
        for each, of in zip((impatient, patient), calls, strict=True)
    )
    run_id, _ = await calls[0].begun_by(given_up), await calls[1].begun_by(going)
    server.kill()
    with pytest.raises(Transient) as caught:
        await asyncio.wait_for(given_up, WITHIN_S)
    assert caught.value.may_have_run
    assert (await impatient.health(idle)).status is HealthStatus.UNREACHABLE
    failure = await failure_of(impatient, idle)
    assert isinstance(failure, Transient)
    assert not failure.may_have_run
    failure = await failure_of(impatient, in_process("shout"))
    assert isinstance(failure, Transient)
    assert not failure.may_have_run

    await asyncio.to_thread(server.start)
    ref = RunRef(target=idle, execution_id="of a process that is gone", run_id=run_id)
    assert await adapter.status(ref) is Status.RUNNING
    assert await adapter.cancel(ref)
    with pytest.raises(Cancelled):
        await asyncio.wait_for(going, WITHIN_S)
    for each in (impatient, patient):
        await each.close()
