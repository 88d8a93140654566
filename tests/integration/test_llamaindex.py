"""LlamaIndexAdapter against a real workflow server, which these tests start, kill and start again."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import aclosing, closing, contextmanager
from pathlib import Path

import httpx
import pytest

from mahavishnu.cli.targets.sandbox_processes import Sandbox as Server
from mahavishnu.cli.targets.sandbox_processes import free_port, sandbox_of
from mahavishnu.errors import (
    AuthenticationError,
    Cancelled,
    Crashed,
    Misconfigured,
    Refused,
    TimedOut,
    Transient,
)
from mahavishnu.model import Chunk, HealthStatus, Status, Target, Task
from mahavishnu.ports import Call, RunRef
from mahavishnu.testing.adapter import ADAPTER_PROMISES, AdapterCase, Example, Promise
from mahavishnu_llamaindex import LlamaIndexAdapter, sandbox

ROOT = Path(__file__).parents[2]
SERVE = "tests.integration.servers.llamaindex"
KEY = "RAG_KEY"

FROM_ELSEWHERE = """
import asyncio, sys
from mahavishnu.model import Target
from mahavishnu.ports import RunRef
from mahavishnu_llamaindex import LlamaIndexAdapter

async def main(url, run_id):
    adapter = LlamaIndexAdapter(server_url=url, paths=())
    target = Target(name="t", adapter="llamaindex", run="workflows/waiting", task_types={"any"})
    ref = RunRef(target=target, execution_id="unknown-here", run_id=run_id)
    print(await adapter.status(ref), await adapter.cancel(ref), await adapter.status(ref), await adapter.cancel(ref))
    await adapter.close()

asyncio.run(main(*sys.argv[1:]))
"""


@contextmanager
def workflow_server(folder: Path, key_env: str | None = None) -> Iterator[Server]:
    """The server that is started for trying out, with workflows of these tests on it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        with sandbox_of("llamaindex", sandbox.sandbox_of(folder, free_port(), key_env, serve=SERVE), folder) as started:
            yield started


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    with workflow_server(tmp_path_factory.mktemp("workflows")) as started:
        yield started


@pytest.fixture
async def adapter(server: Server):
    made = LlamaIndexAdapter(server_url=server.url, paths=(), poll_ms=50, patience_s=0.2)
    yield made
    await made.close()


def target(workflow: str, **options: object) -> Target:
    run = workflow if "/" in workflow else f"workflows/{workflow}"
    return Target(name="tried", adapter="llamaindex", run=run, task_types=frozenset({"any"}), options=options)


def ask(text: str, **payload: object) -> Task:
    return Task(type="any", text=text, payload=payload)


class Announced:
    """The ids that a run announced; `call` is what to run it with."""

    def __init__(self, execution_id: str, key: str | None = None) -> None:
        self.ids: list[str] = []
        self.call = Call(execution_id=execution_id, deadline_s=None, idempotency_key=key, announce=self._announce)

    async def _announce(self, run_id: str) -> None:
        self.ids.append(run_id)


async def began(server: Server, name: str) -> None:
    await written(server, name, "began")


async def written(server: Server, name: str, words: str) -> None:
    """Wait until a workflow has said so in its file."""
    mark = server.folder / name
    async with asyncio.timeout(20):
        while not (mark.exists() and mark.read_text() == words):
            await asyncio.sleep(0.01)


# -- the promises ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("promise", ADAPTER_PROMISES, ids=lambda promise: promise.__name__)
async def test_workflows_on_a_server_keep_the_promises_of_an_adapter(server, promise: Promise):
    adapter = LlamaIndexAdapter(server_url=server.url, paths=(), poll_ms=50)
    count = failures_on(server)
    case = AdapterCase(
        adapter=adapter,
        succeeds=Example(target=target("echo"), task=ask("hello"), value="hello"),
        fails=Example(target=target("failing"), task=ask("this")),
        hangs=Example(target=target("waiting"), task=ask("promise")),
        refused=Example(target=target("typed"), task=ask("no question")),
        misconfigured=Example(target=target("ehco"), task=ask("hello")),
        numbered=lambda n: Example(target=target("echo"), task=ask(f"n{n}"), value=f"n{n}"),
        calls=count,
    )
    await promise(case)
    await adapter.close()


def failures_on(server: Server):
    """How often the workflow that fails was started, by the server's own count."""

    def count() -> int:
        query = {"workflow_name": "failing"}
        return len(httpx.get(f"{server.url}/handlers", params=query, timeout=10).json()["handlers"])

    return count


# -- execute, result ---------------------------------------------------------------------------------------------------


async def test_an_answer_comes_back_with_its_sources_and_its_run_is_known_afterwards(adapter):
    announced = Announced("answer-1")
    result = await adapter.run(ask("when does a breaker open?"), target("answer", quality="retrieval"), announced.call)
    assert "five failures in a row" in result.value
    (source,) = result.detail["sources"]
    assert source["metadata"] == {"file": "breaker.md"}
    assert source["text"] == "A breaker opens after five failures in a row."
    assert result.quality == pytest.approx(source["score"])
    assert 0 < result.quality <= 1
    assert announced.ids == [result.run_id]
    assert (result.usage.queries, result.usage.estimated) == (1, True)
    assert result.usage.seconds > 0
    ref = RunRef(target=target("answer"), execution_id="answer-1", run_id=result.run_id)
    assert await adapter.status(ref) is Status.SUCCEEDED
    assert await adapter.cancel(ref) is False, "there is nothing left to stop"


async def test_the_payload_arrives_whole_also_where_it_looks_like_the_servers_own_envelope(adapter):
    payload = {"value": [1, {"deep": None}], "type": "Strange", "qualified_name": "os.system", "ünïcödé": "✓"}
    result = await adapter.run(ask("hi", **payload), target("fields"), Announced("fields-1").call)
    assert result.value == {"input": "hi", **payload}


async def test_text_goes_to_the_field_of_a_typed_start_event(adapter):
    result = await adapter.run(ask("why?"), target("typed", text_as="question"), Announced("typed-1").call)
    assert result.value == {"asked": "why?"}


async def test_a_target_by_its_whole_address_needs_no_server_of_the_adapters_own(server):
    adapter = LlamaIndexAdapter(paths=())
    result = await adapter.run(ask("hi"), target(f"{server.url}/workflows/echo"), Announced("address-1").call)
    assert result.value == "hi"
    await adapter.close()


async def test_every_workflow_of_the_server_is_discovered_and_healthy(adapter):
    found = await adapter.discover()
    assert {"echo", "answer", "typed", "failing", "waiting"} <= {each.name for each in found}
    assert {(await adapter.health(each)).status for each in found} == {HealthStatus.HEALTHY}


async def test_a_workflow_that_is_not_there_is_misconfigured_and_the_nearest_is_named(adapter):
    health = await adapter.health(target("answre"))
    assert health.status is HealthStatus.MISCONFIGURED
    assert 'did you mean "answer"' in health.detail
    with pytest.raises(Misconfigured, match='did you mean "answer"'):
        await adapter.run(ask("hi"), target("answre"), Announced("nearest-1").call)


# -- failure, timeout --------------------------------------------------------------------------------------------------


async def test_a_step_that_raises_is_a_crash_with_its_words_and_not_a_server_in_trouble(adapter):
    with pytest.raises(Crashed, match="cannot do this") as raised:
        await adapter.run(ask("this"), target("failing"), Announced("failing-1").call)
    assert raised.value.may_have_run
    ref = RunRef(target=target("failing"), execution_id="failing-1", run_id="failing-1")
    assert await adapter.status(ref) is Status.FAILED


async def test_a_workflow_that_runs_out_of_its_own_time_timed_out(adapter):
    with pytest.raises(TimedOut, match=r"0\.2s"):
        await adapter.run(ask("hurried.txt"), target("hurried"), Announced("hurried-1").call)
    ref = RunRef(target=target("hurried"), execution_id="hurried-1", run_id="hurried-1")
    assert await adapter.status(ref) is Status.TIMED_OUT


async def test_a_payload_that_makes_no_start_event_is_refused_before_anything_runs(adapter):
    with pytest.raises(Refused, match="question") as raised:
        await adapter.run(ask("hi"), target("typed"), Announced("refused-1").call)
    assert not raised.value.may_have_run
    assert await adapter.status(RunRef(target=target("typed"), execution_id="refused-1", run_id="refused-1")) is None


# -- cancel ------------------------------------------------------------------------------------------------------------


async def test_a_run_whose_caller_is_cancelled_is_stopped_on_its_server(adapter, server):
    run = asyncio.create_task(adapter.run(ask("caller.txt"), target("waiting"), Announced("caller-1").call))
    await began(server, "caller.txt")
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await written(server, "caller.txt", "stopped")
    ref = RunRef(target=target("waiting"), execution_id="caller-1", run_id="caller-1")
    assert await adapter.status(ref) is Status.CANCELLED


async def test_another_process_sees_a_run_and_stops_it_and_whoever_waits_for_it_is_told(adapter, server):
    announced = Announced("elsewhere-1")
    run = asyncio.create_task(adapter.run(ask("elsewhere.txt"), target("waiting"), announced.call))
    await began(server, "elsewhere.txt")
    program = [sys.executable, "-c", FROM_ELSEWHERE, server.url, announced.ids[0]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")])}
    ended = await asyncio.to_thread(
        subprocess.run, program, env=environment, capture_output=True, text=True, timeout=60
    )
    assert ended.stdout.split() == ["running", "True", "cancelled", "False"], ended.stderr
    with pytest.raises(Cancelled):
        await run


async def test_a_stream_that_nobody_reads_to_its_end_stops_its_run(adapter, server):
    async with aclosing(adapter.stream(ask("stream.txt"), target("waiting"), Announced("stream-1").call)) as pieces:
        assert (await anext(pieces)).text == "waiting", "the first piece is not held back"
    await written(server, "stream.txt", "stopped")


# -- streaming ---------------------------------------------------------------------------------------------------------


async def test_the_pieces_that_a_workflow_writes_are_streamed_and_then_the_whole(adapter):
    async with aclosing(adapter.stream(ask("abc"), target("spelling"), Announced("spelling-1").call)) as pieces:
        *chunks, result = [piece async for piece in pieces]
    assert [chunk.text for chunk in chunks if isinstance(chunk, Chunk)] == ["a", "b", "c"]
    assert (result.value, result.run_id) == ("abc", "spelling-1")
    assert chunks[-1].usage.output_tokens > 0


async def test_a_failure_at_the_end_of_a_stream_is_raised(adapter):
    with pytest.raises(Crashed, match="cannot do this"):
        async for _ in adapter.stream(ask("this"), target("failing"), Announced("stream-2").call):
            pass


# -- idempotency -------------------------------------------------------------------------------------------------------


async def test_two_at_once_under_one_idempotency_key_are_one_run(adapter, server):
    first, second = Announced("twice-1", key="twice"), Announced("twice-2", key="twice")
    runs = [asyncio.create_task(adapter.run(ask("open-1"), target("gate"), each.call)) for each in (first, second)]
    async with asyncio.timeout(20):
        while not (first.ids and second.ids):
            await asyncio.sleep(0.01)
    (server.folder / "open-1").touch()
    results = await asyncio.gather(*runs)
    assert [result.value for result in results] == ["open", "open"]
    assert results[0].run_id == results[1].run_id
    again = await adapter.run(ask("open-1"), target("gate"), Announced("twice-3", key="twice").call)
    assert (again.value, again.run_id) == ("open", results[0].run_id)
    query = {"workflow_name": "gate"}
    handlers = httpx.get(f"{server.url}/handlers", params=query, timeout=10).json()["handlers"]
    assert [each["handler_id"] for each in handlers].count(again.run_id) == 1


# -- a server that dies, comes back, or does not know us ---------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory):
    """A server of its own, which wants a key, and which the tests below kill."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY, "s3cret")
        with workflow_server(tmp_path_factory.mktemp("guarded"), key_env=KEY) as started:
            yield started


@pytest.fixture
async def known(guarded: Server):
    made = LlamaIndexAdapter(server_url=guarded.url, key_env=KEY, paths=(), poll_ms=50, patience_s=0.2)
    yield made
    await made.close()


async def test_the_right_key_opens_and_a_wrong_one_is_told_apart_from_everything_else(known, monkeypatch):
    assert (await known.run(ask("hi"), target("echo"), Announced("key-1").call)).value == "hi"
    monkeypatch.setenv(KEY, "wr0ng")
    with pytest.raises(AuthenticationError) as raised:
        await known.run(ask("hi"), target("echo"), Announced("key-2").call)
    assert not raised.value.may_have_run
    health = await known.health(target("echo"))
    assert health.status is HealthStatus.UNAUTHORISED
    assert "wr0ng" not in f"{raised.value} {health.detail}"


async def test_a_server_killed_in_mid_run_loses_it_and_the_next_one_cannot_be_reached(known, guarded):
    run = asyncio.create_task(known.run(ask("killed.txt"), target("waiting"), Announced("killed-1").call))
    await began(guarded, "killed.txt")
    guarded.kill()
    with pytest.raises(Transient, match="lost from sight") as raised:
        await run
    assert raised.value.may_have_run
    with pytest.raises(Transient, match="is it up") as raised:
        await known.run(ask("hi"), target("echo"), Announced("killed-2").call)
    assert not raised.value.may_have_run, "it can safely go elsewhere"
    assert (await known.health(target("echo"))).status is HealthStatus.UNREACHABLE
    guarded.start()
    assert (await known.health(target("echo"))).status is HealthStatus.HEALTHY
    ref = RunRef(target=target("waiting"), execution_id="killed-1", run_id="killed-1")
    assert await known.cancel(ref), "its server calls it running"
    assert await known.status(ref) is None


@pytest.fixture
async def patient(guarded: Server, known):
    """An adapter that waits for a server that is gone."""
    made = LlamaIndexAdapter(server_url=guarded.url, key_env=KEY, paths=(), poll_ms=50, patience_s=120)
    yield made
    await made.close()


async def test_a_young_run_that_a_restarted_server_only_calls_running_is_not_waited_for(guarded, patient):
    run = asyncio.create_task(patient.run(ask("open-2"), target("gate"), Announced("young-1").call))
    await began(guarded, "open-2.awaited")
    guarded.kill()
    await asyncio.to_thread(guarded.start)
    async with asyncio.timeout(20):
        with pytest.raises(Transient, match="too young"):
            await run
    ref = RunRef(target=target("gate"), execution_id="young-1", run_id="young-1")
    assert await patient.status(ref) is None, "nothing is left that would be taken for a run"


async def test_an_older_run_outlives_a_restart_of_its_server(guarded, patient, monkeypatch):
    monkeypatch.setattr("mahavishnu_llamaindex.remote.TAKEN_UP_AFTER_S", 0.0)
    run = asyncio.create_task(patient.run(ask("open-3"), target("gate"), Announced("older-1").call))
    await began(guarded, "open-3.awaited")
    guarded.kill()
    with closing(sqlite3.connect(guarded.folder / "workflows.db")) as store, store:
        long_ago = "2020-01-01T00:00:00+00:00"
        store.execute("UPDATE handlers SET started_at = ? WHERE handler_id = 'older-1'", (long_ago,))
    await asyncio.to_thread(guarded.start)
    (guarded.folder / "open-3").touch()
    async with asyncio.timeout(20):
        assert (await run).value == "open"
