"""The Agno adapter against a real AgentOS: everything that its agents say is simulated, the server is not."""

import asyncio
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from mahavishnu.cli.targets.sandbox_processes import Sandbox as Server
from mahavishnu.cli.targets.sandbox_processes import free_port, sandbox_of
from mahavishnu.errors import AdapterError, AuthenticationError, Cancelled, Crashed, Throttled, Transient
from mahavishnu.model import HealthStatus, Result, Status, Target, Task
from mahavishnu.ports import Call, RunRef
from mahavishnu.testing.adapter import ADAPTER_PROMISES, AdapterCase, Example
from mahavishnu_agno import AgnoAdapter, sandbox

ROOT = Path(__file__).parents[2]
KEY = "sesame-of-the-tests"

LONG = " ".join(f"word{number}" for number in range(200))

ELSEWHERE = """
import asyncio, json, sys
from mahavishnu.model import Target
from mahavishnu.ports import RunRef
from mahavishnu_agno import AgnoAdapter

async def main(run, execution_id, run_id):
    adapter = AgnoAdapter()
    target = Target(name="t", adapter="agno", run=run, task_types={"any"})
    ref = RunRef(target=target, execution_id=execution_id, run_id=run_id)
    before, cancelled = await adapter.status(ref), await adapter.cancel(ref)
    await adapter.close()
    print(json.dumps([before, cancelled]))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("agentos")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OS_SECURITY_KEY", KEY)
        engine = sandbox.sandbox_of(folder, free_port(), "OS_SECURITY_KEY")
        with sandbox_of("agno", engine, folder) as started:
            yield started


@pytest.fixture
async def adapter(server, monkeypatch):
    monkeypatch.setenv("OS_SECURITY_KEY", KEY)
    made = AgnoAdapter(os_url=server.url)
    yield made
    await made.close()


def target(run: str, **options) -> Target:
    return Target(name="tried", adapter="agno", run=run, task_types=frozenset({"any"}), options=options)


class Watched:
    """A call of which it is known when its run has begun."""

    def __init__(self, execution_id: str) -> None:
        self.begun = asyncio.Event()
        self.run_id: str | None = None
        self.call = Call(execution_id=execution_id, deadline_s=None, idempotency_key=None, announce=self._announce)

    async def _announce(self, run_id: str) -> None:
        self.run_id = run_id
        self.begun.set()

    def ref(self, wanted: Target) -> RunRef:
        return RunRef(target=wanted, execution_id=self.call.execution_id, run_id=self.run_id)


async def run(adapter: AgnoAdapter, wanted: Target, execution_id: str, text: str = "hello") -> Result:
    return await adapter.run(Task(type="any", text=text), wanted, Watched(execution_id).call)


async def under_way(adapter: AgnoAdapter, wanted: Target, execution_id: str):
    watched = Watched(execution_id)
    running = asyncio.create_task(adapter.run(Task(type="any", text=LONG), wanted, watched.call))
    begun = asyncio.create_task(watched.begun.wait())
    await asyncio.wait({begun, running}, return_when=asyncio.FIRST_COMPLETED)
    assert not running.done(), running
    return running, watched.ref(wanted)


async def until(adapter: AgnoAdapter, ref: RunRef, status: Status) -> None:
    async with asyncio.timeout(10):
        while await adapter.status(ref) is not status:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("promise", ADAPTER_PROMISES, ids=lambda promise: promise.__name__)
async def test_the_adapter_keeps_the_promise_on_an_agent_os(promise, adapter):
    def example_on(run: str, text: str = "hello", value=None) -> Example:
        return Example(target=target(run), task=Task(type="any", text=text), value=value)

    await promise(
        AdapterCase(
            adapter=adapter,
            succeeds=example_on("agents/echo", value="Simulated answer to: hello"),
            fails=example_on("agents/faulty"),
            hangs=example_on("agents/slow", LONG),
            misconfigured=example_on("agents/nobody"),
            numbered=lambda number: example_on("agents/shout", f"n{number}", f"N{number}"),
        )
    )


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize(
    ("where", "answer", "worked"),
    [
        ("agents/echo", "Simulated answer to: hello shout", ["echo"]),
        ("teams/pair", "HELLO SHOUT", ["shout"]),
        ("workflows/chain", "SIMULATED ANSWER TO: HELLO SHOUT", ["echo", "shout"]),
    ],
)
async def test_what_runs_there_answers_with_its_usage_and_is_remembered(where, answer, worked, background, adapter):
    wanted, execution_id = target(where, background=background), f"{where}-{background}".replace("/", "-")
    watched = Watched(execution_id)
    result = await adapter.run(Task(type="any", text="hello shout"), wanted, watched.call)
    assert (result.value, result.detail["worked"]) == (answer, worked)
    assert result.run_id == watched.run_id
    assert result.usage.output_tokens > 0
    assert 0 < result.usage.agent_seconds <= result.usage.seconds
    assert await adapter.status(watched.ref(wanted)) is Status.SUCCEEDED


async def test_a_broadcasting_team_does_not_mix_its_members_words_up(adapter):
    result = await run(adapter, target("teams/choir"), "choir", "one two three")
    assert "Simulated answer to: one two three" in result.value
    assert "ONE TWO THREE" in result.value
    assert sorted(result.detail["worked"]) == ["echo", "shout"]


async def test_a_failed_run_is_a_failure_although_the_answer_is_http_200(adapter):
    for where, kind in (("agents/faulty", Crashed), ("workflows/broken", Crashed), ("agents/throttled", Throttled)):
        wanted, watched = target(where), Watched(f"failed-{where[-6:]}")
        with pytest.raises(kind):
            await adapter.run(Task(type="any", text="hello"), wanted, watched.call)
        assert await adapter.status(watched.ref(wanted)) is Status.FAILED


@pytest.mark.parametrize("where", ["agents/slow", "teams/sluggish"])
async def test_a_run_is_seen_and_cancelled_from_another_process(where, server, adapter):
    running, ref = await under_way(adapter, target(f"{server.url}/{where}"), f"elsewhere-{where[-4:]}")
    asked = [sys.executable, "-c", ELSEWHERE, ref.target.run, ref.execution_id, ref.run_id]
    ended = await asyncio.to_thread(subprocess.run, asked, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == ["running", True]
    with pytest.raises(Cancelled):
        await running
    await until(adapter, ref, Status.CANCELLED)


async def test_a_run_without_background_is_cancelled_by_another_adapter_too(adapter, server):
    running, ref = await under_way(adapter, target("agents/slow", background=False), "inline")
    other = AgnoAdapter(os_url=server.url)
    assert await other.cancel(ref)
    with pytest.raises(Cancelled):
        await running
    assert await other.status(ref) is Status.CANCELLED
    await other.close()


@pytest.mark.parametrize("background", [True, False])
async def test_a_run_whose_time_is_up_is_stopped_where_it_runs(background, adapter):
    wanted, watched = target("agents/slow", background=background), Watched(f"late-{background}")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await adapter.run(Task(type="any", text=LONG), wanted, watched.call)
    await until(adapter, watched.ref(wanted), Status.CANCELLED)


async def test_a_stream_that_is_left_early_is_stopped_where_it_runs(adapter):
    wanted, watched = target("agents/slow"), Watched("left")
    pieces = adapter.stream(Task(type="any", text=LONG), wanted, watched.call)
    first = await anext(pieces)
    assert first.text == "Simulated "
    assert first.usage.input_tokens > 0
    await pieces.aclose()
    await until(adapter, watched.ref(wanted), Status.CANCELLED)


async def test_a_stream_brings_the_words_one_by_one_and_then_the_whole(adapter):
    *chunks, result = [
        piece
        async for piece in adapter.stream(Task(type="any", text="a b"), target("agents/slow"), Watched("words").call)
    ]
    assert [chunk.text for chunk in chunks] == ["Simulated ", "answer ", "to: ", "a ", "b"]
    assert result.value == "Simulated answer to: a b"


async def test_a_hundred_runs_at_once_each_get_their_own_answer(adapter):
    runs = (run(adapter, target("agents/shout"), f"many-{number}", f"n{number}") for number in range(100))
    assert [result.value for result in await asyncio.gather(*runs)] == [f"N{number}" for number in range(100)]


async def test_what_the_server_has_is_discovered_and_healthy(adapter, server):
    found = {each.name: each for each in await adapter.discover()}
    assert {"echo", "pair", "chain"} <= set(found)
    assert found["pair"].run == f"{server.url}/teams/pair"
    assert {(await adapter.health(each)).status for each in found.values()} == {HealthStatus.HEALTHY}
    ill = await adapter.health(target("agents/ecko"))
    assert (ill.status, 'did you mean "echo"' in ill.detail) == (HealthStatus.MISCONFIGURED, True)


@pytest.mark.parametrize("key", ["wrong", None])
async def test_a_wrong_key_is_told_apart_and_never_said(key, adapter, server, monkeypatch):
    if key is None:
        monkeypatch.delenv("OS_SECURITY_KEY")
    else:
        monkeypatch.setenv("OS_SECURITY_KEY", key)
    with pytest.raises(AuthenticationError) as caught:
        await run(adapter, target("agents/echo"), "locked-out")
    assert KEY not in str(caught.value)
    assert (await adapter.health(target("agents/echo"))).status is HealthStatus.UNAUTHORISED
    with pytest.raises(AuthenticationError):
        await adapter.discover()


async def test_an_unknown_run_cannot_be_cancelled(adapter):
    ref = RunRef(target=target("agents/echo"), execution_id="never", run_id="never")
    assert await adapter.status(ref) is None
    assert await adapter.cancel(ref) is False


@pytest.mark.parametrize("background", [True, False])
async def test_a_server_that_dies_in_mid_run_and_comes_back(background, adapter, server: Server):
    wanted = target("agents/slow", background=background)
    running, ref = await under_way(adapter, wanted, f"died-{background}")
    await asyncio.sleep(1.1)  # a run's age is known in whole seconds only
    await asyncio.to_thread(server.kill)
    with pytest.raises(Transient) as broken:
        await running
    assert broken.value.may_have_run
    with pytest.raises(Transient) as refused:
        await run(adapter, wanted, "nobody-home")
    assert not refused.value.may_have_run
    assert (await adapter.health(wanted)).status is HealthStatus.UNREACHABLE
    with suppress(AdapterError):
        await adapter.status(ref)
    await asyncio.to_thread(server.start)
    assert (await adapter.health(wanted)).status is HealthStatus.HEALTHY
    assert await adapter.status(ref) is (Status.LOST if background else None)
    assert (await run(adapter, target("agents/echo"), f"back-{background}")).value == "Simulated answer to: hello"


async def test_a_server_that_does_not_start_says_why(tmp_path):
    engine = sandbox.sandbox_of(tmp_path, free_port(), None, serve=f"{sandbox.SERVE.partition(':')[0]}:no_such_app")
    with pytest.raises(Crashed, match="no_such_app"), sandbox_of("agno", engine, tmp_path):
        pass
