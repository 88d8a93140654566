"""Models over HTTP: a real server in a process of its own, asked by the adapter and by OpenAI's own client."""

import asyncio
import itertools
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest

from mahavishnu.errors import AuthenticationError, Cancelled, Throttled, TimedOut, Transient, Unsuitable
from mahavishnu.model import Chunk, HealthStatus, Result, Status, Target, Task
from mahavishnu.ports import Call, RunRef
from mahavishnu.testing.adapter import ADAPTER_PROMISES, AdapterCase, Example, Promise
from mahavishnu_openai import OpenAIAdapter
from tests.integration.servers.openai import ModelServer, model_server

ROOT = Path(__file__).parents[2]
TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]

numbers = itertools.count()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with model_server(tmp_path_factory.mktemp("models")) as running:
        yield running


@pytest.fixture
async def adapter(server):
    adapter = OpenAIAdapter(base_url=server.url)
    yield adapter
    await adapter.close()


def model(name: str, **options: Any) -> Target:
    return Target(name=name, adapter="openai", run=name, task_types=frozenset({"chat"}), options=options)


def asking(text: str = "one two three", **payload: Any) -> Task:
    return Task(type="chat", text=text, payload=payload)


def call(announced: list[str] | None = None, *, deadline_s: float | None = 20.0, key: str | None = None) -> Call:
    async def announce(run_id: str) -> None:
        if announced is not None:
            announced.append(run_id)

    execution_id = f"execution-{next(numbers)}"
    return Call(execution_id=execution_id, deadline_s=deadline_s, idempotency_key=key, announce=announce)


async def parts_of(adapter: OpenAIAdapter, task: Task, target: Target) -> tuple[list[Chunk], Result]:
    async with aclosing(adapter.stream(task, target, call())) as stream:
        parts = [part async for part in stream]
    chunks = [part for part in parts[:-1] if isinstance(part, Chunk)]
    assert len(chunks) == len(parts) - 1, "the Result comes once, and last"
    assert isinstance(parts[-1], Result)
    return chunks, parts[-1]


async def collect(stream: AsyncGenerator[Chunk | Result, None], each: Callable[[Chunk | Result], None]) -> None:
    async with aclosing(stream):
        async for part in stream:
            each(part)


async def on_server(server: ModelServer, name: str, what: str, number: int) -> dict[str, int]:
    return await asyncio.to_thread(server.reached, name, what, number)


# -- the promises ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("promise", ADAPTER_PROMISES, ids=lambda promise: promise.__name__)
async def test_it_keeps_the_promise(promise: Promise, streamed: bool, adapter, server) -> None:
    def example(name: str, text: str = "hello", value: Any = None) -> Example:
        return Example(target=model(name, stream=streamed), task=asking(text), value=value)

    case = AdapterCase(
        adapter=adapter,
        succeeds=example("echo", value="hello"),
        fails=example("broken-500"),
        hangs=example("slow-first-token"),
        refused=Example(target=model("echo", stream=streamed), task=asking(no_such_parameter=1)),
        misconfigured=example("no-such-model"),
        numbered=lambda number: example("echo", f"number {number}", f"number {number}"),
        calls=lambda: server.calls("broken-500"),
    )
    await promise(case)


# -- answers -----------------------------------------------------------------------------------------------------------


async def test_an_answer_comes_with_its_text_and_what_it_used(adapter):
    result = await adapter.run(asking(), model("cached-prompt"), call())
    assert result.value == "one two three"
    assert (result.usage.input_tokens, result.usage.cached_tokens, result.usage.output_tokens) == (2, 1, 3)
    assert result.usage.seconds > 0
    assert not result.usage.estimated
    assert result.run_id == result.detail["id"]
    assert result.detail["finish_reason"] == "stop"


async def test_the_server_gets_the_request_with_the_targets_settings(adapter, server):
    target = model("echo", system="Be brief.", temperature=0.5, max_tokens=7, extra={"top_k": 3})
    await adapter.run(asking(temperature=0.1, seed=4), target, call(key="order 7"))
    last = server.last()
    assert last["body"] == {
        "model": "echo",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "one two three"}],
        "temperature": 0.1,
        "max_tokens": 7,
        "top_k": 3,
        "seed": 4,
    }
    assert last["idempotency_key"] == "order%207/echo"


@pytest.mark.parametrize("streamed", [False, True])
async def test_tools_are_passed_through_and_their_calls_come_back(adapter, streamed):
    target = model("tool-caller", stream=streamed)
    result = await adapter.run(asking("where is it", tools=TOOLS, tool_choice="auto"), target, call())
    assert result.value["finish_reason"] == "tool_calls"
    [called] = result.value["tool_calls"]
    assert called["id"] == "call_1"
    assert called["function"]["name"] == "look_up"
    assert json.loads(called["function"]["arguments"]) == {"text": "where is it"}


async def test_a_hundred_at_once_do_not_mix(adapter):
    asked = [f"question number {number}" for number in range(100)]
    targets = [model("echo", stream=bool(number % 2)) for number in range(100)]
    results = await asyncio.gather(
        *(adapter.run(asking(text), target, call()) for text, target in zip(asked, targets, strict=True))
    )
    assert [result.value for result in results] == asked


# -- bit by bit --------------------------------------------------------------------------------------------------------


async def test_chunks_come_one_by_one_and_the_last_usage_is_the_servers(adapter):
    chunks, result = await parts_of(adapter, asking(), model("echo"))
    assert [chunk.text for chunk in chunks] == ["one", " two", " three"]
    used = [chunk.usage.output_tokens for chunk in chunks]
    assert used == sorted(used)
    assert used[0] > 0
    assert all(chunk.usage.estimated for chunk in chunks)
    assert result.value == "one two three"
    assert (result.usage.input_tokens, result.usage.output_tokens, result.usage.estimated) == (3, 3, False)


async def test_the_first_chunk_is_there_before_the_second_is_written(adapter, server):
    before = server.calls("many-tokens")
    announced: list[str] = []
    async with aclosing(adapter.stream(asking(), model("many-tokens"), call(announced))) as stream:
        first = await anext(stream)
        tally = await on_server(server, "many-tokens", "calls", before + 1)
        assert first.text == "word"
        assert tally["finished"] == 0
        assert not announced, "the first chunk does not wait for the store"
        await anext(stream)
        assert announced == [f"chatcmpl-simulated-many-tokens-{before + 1}"]


async def test_a_stream_that_is_closed_early_hangs_up_on_the_server(adapter, server):
    before = (await on_server(server, "many-tokens", "calls", 0))["abandoned"]
    async with aclosing(adapter.stream(asking(), model("many-tokens"), call())) as stream:
        chunk = await anext(stream)
    assert chunk.usage.input_tokens > 0, "what was used is known although nobody stayed for the end"
    assert (await on_server(server, "many-tokens", "abandoned", before + 1))["finished"] == 0


async def test_a_stream_without_usage_is_estimated_and_never_free(adapter):
    chunks, result = await parts_of(adapter, asking("some words that nobody counted"), model("no-usage"))
    assert result.usage.estimated
    assert result.usage.input_tokens >= 5
    assert result.usage.output_tokens >= 5
    assert chunks[-1].usage.output_tokens == result.usage.output_tokens


async def test_a_whole_answer_without_usage_is_estimated_too(adapter):
    result = await adapter.run(asking(), model("no-usage"), call())
    assert result.usage.estimated
    assert result.usage.output_tokens >= 3


async def test_what_was_used_is_known_when_the_answer_breaks_off(adapter):
    chunks: list[Chunk | Result] = []
    with pytest.raises(Transient, match="broke") as caught:
        await collect(adapter.stream(asking("one two three four"), model("breaks-off"), call()), chunks.append)
    last = chunks[-1]
    assert isinstance(last, Chunk)
    assert caught.value.may_have_run
    assert last.usage.output_tokens > 0
    assert last.usage.estimated


async def test_an_error_in_the_middle_of_a_stream_is_told_by_its_type(adapter):
    with pytest.raises(Transient, match="overloaded") as caught:
        await adapter.run(asking(), model("error-in-stream", stream=True), call())
    assert caught.value.may_have_run


# -- failures ----------------------------------------------------------------------------------------------------------


async def test_a_rate_limit_says_for_how_long(adapter):
    with pytest.raises(Throttled) as caught:
        await adapter.run(asking(), model("rate-limited"), call())
    assert caught.value.retry_after_s == 7.0
    assert not caught.value.may_have_run


async def test_a_server_that_recovers_is_not_asked_twice_by_the_adapter(adapter, server):
    before = server.calls("flaky-500")
    with pytest.raises(Transient):
        await adapter.run(asking(), model("flaky-500"), call())
    assert server.calls("flaky-500") == before + 1
    assert (await adapter.run(asking(), model("flaky-500"), call())).value == "one two three"


async def test_a_text_too_long_is_the_callers_error(adapter):
    with pytest.raises(Unsuitable, match="too long for context-too-long; shorten"):
        await adapter.run(asking(), model("context-too-long"), call())


async def test_the_first_token_has_a_limit_of_its_own(adapter):
    with pytest.raises(TimedOut, match=r"no first token within 0\.05 s"):
        await adapter.run(asking(), model("slow-first-token", stream=True, first_token_ms=50), call())


async def test_the_whole_answer_has_a_limit_also_when_tokens_keep_coming(adapter, server):
    before = (await on_server(server, "many-tokens", "calls", 0))["abandoned"]
    with pytest.raises(TimedOut, match=r"no whole answer within 0\.3 s"):
        await adapter.run(asking(), model("many-tokens", stream=True, first_token_ms=10_000), call(deadline_s=0.3))
    assert await on_server(server, "many-tokens", "abandoned", before + 1)


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_run_is_stopped_on_request_and_the_server_notices(adapter, server, streamed):
    tally = await on_server(server, "slow-first-token", "calls", 0)
    asked = call()
    target = model("slow-first-token", stream=streamed)
    run = asyncio.create_task(adapter.run(asking(), target, asked))
    await on_server(server, "slow-first-token", "calls", tally["calls"] + 1)
    ref = RunRef(target=target, execution_id=asked.execution_id, run_id=None)
    assert await adapter.status(ref) is Status.RUNNING
    assert await adapter.cancel(ref)
    with pytest.raises(Cancelled):
        await run
    assert await adapter.status(ref) is None
    assert await adapter.cancel(ref) is False
    await on_server(server, "slow-first-token", "abandoned", tally["abandoned"] + 1)


async def test_a_run_whose_caller_is_cancelled_hangs_up_on_the_server(adapter, server):
    tally = await on_server(server, "slow-first-token", "calls", 0)
    run = asyncio.create_task(adapter.run(asking(), model("slow-first-token"), call()))
    await on_server(server, "slow-first-token", "calls", tally["calls"] + 1)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await on_server(server, "slow-first-token", "abandoned", tally["abandoned"] + 1)


async def test_another_process_is_told_truly_that_it_cannot_ask_after_a_run(adapter, server):
    """A completion has no address: neither status nor cancel can claim anything."""
    asked = call()
    target = model("slow-first-token")
    calls = server.calls("slow-first-token")
    run = asyncio.create_task(adapter.run(asking(), target, asked))
    await on_server(server, "slow-first-token", "calls", calls + 1)
    program = f"""
import asyncio
from mahavishnu.model import Target
from mahavishnu.ports import RunRef
from mahavishnu_openai import OpenAIAdapter

async def main():
    adapter = OpenAIAdapter(base_url={server.url!r})
    target = Target(name="slow-first-token", adapter="openai", run="slow-first-token", task_types={{"chat"}})
    ref = RunRef(target=target, execution_id={asked.execution_id!r}, run_id="chatcmpl-1")
    print(await adapter.status(ref), await adapter.cancel(ref))
    await adapter.close()

asyncio.run(main())
"""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await child.communicate()
    assert out.decode().split() == ["None", "False"], err.decode()
    assert not run.done()
    run.cancel()
    await asyncio.wait({run})


# -- a server of its own: killed, restarted, with a key ----------------------------------------------------------------


async def test_a_server_killed_in_mid_run_is_transient_and_well_again_when_it_is_back(tmp_path):
    with model_server(tmp_path) as server:
        adapter = OpenAIAdapter(base_url=server.url)
        with pytest.raises(Transient) as caught:
            await collect(adapter.stream(asking(), model("many-tokens"), call()), lambda _: server.kill())
        assert caught.value.may_have_run
        with pytest.raises(Transient, match="cannot be reached") as caught:
            await adapter.run(asking(), model("echo"), call())
        assert not caught.value.may_have_run
        down = await OpenAIAdapter(base_url=server.url).health(model("echo"))
        assert down.status is HealthStatus.UNREACHABLE
        await asyncio.to_thread(server.start)
        assert (await adapter.run(asking(), model("echo"), call())).value == "one two three"
        assert (await adapter.health(model("echo"))).status is HealthStatus.HEALTHY
        await adapter.close()


async def test_a_wrong_key_is_told_without_the_key(tmp_path, monkeypatch):
    monkeypatch.setenv("RIGHT_KEY", "sk-right-0123456789")
    monkeypatch.setenv("WRONG_KEY", "sk-wrong-0123456789")
    with model_server(tmp_path, key_env="RIGHT_KEY") as server:
        adapter = OpenAIAdapter(base_url=server.url, api_key_env="RIGHT_KEY")
        assert (await adapter.run(asking(), model("echo"), call())).value == "one two three"
        assert (await adapter.health(model("echo"))).status is HealthStatus.HEALTHY
        wrong = model("echo", api_key_env="WRONG_KEY")
        with pytest.raises(AuthenticationError, match="api_key_env") as caught:
            await adapter.run(asking(), wrong, call())
        health = await adapter.health(wrong)
        assert health.status is HealthStatus.UNAUTHORISED
        assert "sk-wrong" not in f"{caught.value!r} {caught.value} {health} {adapter!r} {wrong!r}"
        assert (await adapter.health(replace(wrong, options={}))).status is HealthStatus.HEALTHY
        await adapter.close()


async def test_what_the_server_has_can_be_added_as_targets(adapter):
    found = await adapter.discover()
    echo = next(target for target in found if target.run == "echo")
    assert echo.takes("chat")
    assert (await adapter.run(asking(), echo, call())).value == "one two three"


# -- OpenAI's own client, so that the server is known to be faithful ---------------------------------------------------


@pytest.fixture
async def client(server):
    async with openai.AsyncOpenAI(base_url=server.url, api_key="none", max_retries=0) as client:
        yield client


MESSAGES: Any = [{"role": "user", "content": "one two three"}]


async def test_openais_client_understands_the_servers_answers(client):
    answer = await client.chat.completions.create(model="echo", messages=MESSAGES)
    assert answer.choices[0].message.content == "one two three"
    assert answer.usage.completion_tokens == 3
    listed = [each.id async for each in client.models.list()]
    assert "echo" in listed


async def test_openais_client_understands_the_servers_streams(client):
    stream = await client.chat.completions.create(
        model="echo", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "one two three"
    assert chunks[-1].usage.total_tokens == 6
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)


async def test_openais_client_understands_the_servers_tool_calls(client):
    function = {**TOOLS[0]["function"], "strict": True}
    tools: Any = [{"type": "function", "function": function}]
    async with client.chat.completions.stream(model="tool-caller", messages=MESSAGES, tools=tools) as stream:
        final = await stream.get_final_completion()
    [called] = final.choices[0].message.tool_calls
    assert json.loads(called.function.arguments) == {"text": "one two three"}


@pytest.mark.parametrize(
    ("name", "error", "code"),
    [
        ("rate-limited", openai.RateLimitError, "rate_limit_exceeded"),
        ("broken-500", openai.InternalServerError, None),
        ("context-too-long", openai.BadRequestError, "context_length_exceeded"),
        ("unauthorised", openai.AuthenticationError, "invalid_api_key"),
        ("no-such-model", openai.NotFoundError, "model_not_found"),
    ],
)
async def test_openais_client_understands_the_servers_errors(client, name, error, code):
    with pytest.raises(error) as caught:
        await client.chat.completions.create(model=name, messages=MESSAGES)
    assert caught.value.code == code
