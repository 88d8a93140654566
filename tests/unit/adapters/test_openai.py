"""The model adapter: its error table, what it sends, what it makes of an answer, and what it never tells."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing
from email.utils import formatdate
from typing import Any

import httpx
import pytest
import respx

from mahavishnu import plugins
from mahavishnu.errors import (
    AdapterError,
    AuthenticationError,
    AuthorizationError,
    Crashed,
    Misconfigured,
    Refused,
    SettingsError,
    Throttled,
    TimedOut,
    Transient,
    Unsuitable,
)
from mahavishnu.model import Chunk, CostModel, HealthStatus, Result, Target, Task, Usage
from mahavishnu.ports import Adapter, Call, Discovers, Priced, Streams
from mahavishnu_openai import OpenAIAdapter
from mahavishnu_openai.endpoint import Endpoint
from mahavishnu_openai.failures import failure_of_connection
from mahavishnu_openai.sse import Events
from mahavishnu_openai.tokens import estimate_prompt_tokens, estimate_tokens

BASE = "http://models.test/v1"
CHAT = f"{BASE}/chat/completions"
KEY = "sk-secret-0123456789"


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    for name in ("OPENAI_API_KEY", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MODELS_KEY", KEY)


@pytest.fixture
def web():
    with respx.mock(assert_all_called=False) as mocked:
        yield mocked


@pytest.fixture
async def adapter():
    adapter = OpenAIAdapter(base_url=BASE, api_key_env="MODELS_KEY")
    yield adapter
    await adapter.close()


def model(run: str = "small", **options: Any) -> Target:
    return Target(name="tried", adapter="openai", run=run, task_types=frozenset({"chat"}), options=options)


def call(deadline_s: float | None = 10.0, key: str | None = None) -> Call:
    async def announce(run_id: str) -> None:
        assert run_id

    return Call(execution_id="e-1", deadline_s=deadline_s, idempotency_key=key, announce=announce)


HELLO = Task(type="chat", text="hello")


def answer(content: Any = "hi", usage: Any = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop", **more}
    return {"id": "chatcmpl-1", "model": "small-2026", "choices": [choice], "usage": usage}


def sse(*events: Any, end: bool = True) -> bytes:
    told = [each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in events]
    return "".join(f"data: {each}\n\n" for each in [*told, *(["[DONE]"] if end else [])]).encode()


def delta(finish_reason: str | None = None, **piece: Any) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "choices": [{"index": 0, "delta": piece, "finish_reason": finish_reason}]}


def streams(web: respx.MockRouter, content: Any) -> respx.Route:
    return web.post(CHAT).respond(200, headers={"content-type": "text/event-stream"}, content=content)


async def failure_of(adapter: OpenAIAdapter, target: Target, task: Task = HELLO) -> AdapterError:
    with pytest.raises(AdapterError) as caught:
        await adapter.run(task, target, call())
    return caught.value


async def parts_of(adapter: OpenAIAdapter, target: Target) -> list[Chunk | Result]:
    async with aclosing(adapter.stream(HELLO, target, call())) as stream:
        return [part async for part in stream]


async def sent_by(adapter: OpenAIAdapter, web: respx.MockRouter, task: Task, target: Target) -> dict[str, Any]:
    route = web.post(CHAT).respond(json=answer())
    await adapter.run(task, target, call())
    return json.loads(route.calls.last.request.content)


# -- the error table ---------------------------------------------------------------------------------------------------


def error(code: Any = None, kind: str = "invalid_request_error", words: str = "no") -> dict[str, Any]:
    return {"error": {"message": words, "type": kind, "code": code}}


TABLE = [
    (400, error(), Refused, False),
    (400, error("context_length_exceeded"), Unsuitable, False),
    (400, {"message": "This model's maximum context length is 4096 tokens", "code": 400}, Unsuitable, False),
    (400, {"message": "m1 is not a multimodal model", "code": 400}, Unsuitable, False),
    (400, error("unsupported_value"), Unsuitable, False),
    (415, "no", Unsuitable, False),
    (400, error("model_not_found"), Misconfigured, False),
    (400, error("invalid_api_key"), AuthenticationError, False),
    (401, error(), AuthenticationError, False),
    (402, error(), Misconfigured, False),
    (403, error(), AuthorizationError, False),
    (404, error("model_not_found"), Misconfigured, False),
    (404, "<h1>not here</h1>", Misconfigured, False),
    (405, {"detail": "Method Not Allowed"}, Misconfigured, False),
    (408, error(), TimedOut, True),
    (409, error(), Transient, True),
    (413, "too large", Unsuitable, False),
    (422, {"detail": [{"loc": ["body", "messages"], "msg": "field required"}]}, Refused, False),
    (425, error(), Transient, True),
    (429, error("rate_limit_exceeded", "requests"), Throttled, False),
    (429, error("insufficient_quota", "insufficient_quota"), Misconfigured, False),
    (429, [error()], Throttled, False),
    (500, error(kind="server_error"), Transient, True),
    (502, "<html>bad gateway</html>", Transient, True),
    (503, {"error": "loading the model"}, Transient, True),
    (504, "", Transient, True),
    (307, "", Misconfigured, False),
]


@pytest.mark.parametrize(("status", "body", "kind", "may_have_run"), TABLE)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_a_status_becomes_the_shape_that_the_table_says(web, adapter, streamed, status, body, kind, may_have_run):
    content = body if isinstance(body, str) else json.dumps(body)
    web.post(CHAT).respond(status, content=content, headers={"location": "http://thief.test/v1"})
    failure = await failure_of(adapter, model(stream=streamed))
    assert type(failure) is kind
    assert failure.may_have_run is may_have_run
    assert "models.test" in str(failure)
    assert len(web.calls) == 1, "retrying is the engine's business, and redirects are not followed"


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (error(kind="server_error"), Transient),
        (error("rate_limit_exceeded", "requests"), Throttled),
        (error("context_length_exceeded"), Unsuitable),
        (error("insufficient_quota", "insufficient_quota"), Misconfigured),
        (error(429, ""), Throttled),
        (error("never_heard_of", "nor_of_this"), Crashed),
        ({"error": "something"}, Crashed),
    ],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_an_error_inside_a_200_is_told_by_its_type_and_may_have_cost_something(
    web, adapter, streamed, given, kind
):
    web.post(CHAT).respond(200, json=given) if not streamed else streams(web, sse(delta(content="so "), given))
    failure = await failure_of(adapter, model(stream=streamed))
    assert type(failure) is kind
    assert failure.may_have_run


@pytest.mark.parametrize(
    ("raised", "kind", "may_have_run"),
    [
        (httpx.ConnectError("[Errno -2] Name or service not known"), Transient, False),
        (httpx.ConnectTimeout(""), Transient, False),
        (httpx.ProxyError("no proxy"), Transient, False),
        (httpx.ReadTimeout(""), TimedOut, True),
        (httpx.RemoteProtocolError("Server disconnected"), Transient, True),
        (httpx.ReadError(""), Transient, True),
        (httpx.DecodingError("bad gzip"), Crashed, True),
        (httpx.UnsupportedProtocol("ftp"), Misconfigured, False),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_broken_connection_says_whether_the_work_may_have_begun(web, adapter, raised, kind, may_have_run):
    web.post(CHAT).mock(side_effect=raised)
    failure = await failure_of(adapter, model())
    assert type(failure) is kind
    assert failure.may_have_run is may_have_run


def test_a_certificate_that_cannot_be_trusted_does_not_mend_by_waiting():
    raised = httpx.ConnectError("certificate verify failed")
    raised.__cause__ = ssl.SSLCertVerificationError("certificate verify failed")
    failure = failure_of_connection(raised, Endpoint(BASE))
    assert isinstance(failure, Misconfigured)
    assert "SSL_CERT_FILE" in str(failure)


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{"message": 5}]}', b"\xff\xfe", b"[" * 100_000],
    ids=lambda body: repr(body[:12]),
)
async def test_a_body_that_is_no_answer_is_a_crash(web, adapter, body):
    web.post(CHAT).respond(200, content=body)
    assert isinstance(await failure_of(adapter, model()), Crashed)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after": formatdate(1_800_000_030, usegmt=True), "date": formatdate(1_800_000_000, usegmt=True)}, 30.0),
        ({"retry-after": formatdate(1_000_000_000, usegmt=True)}, 0.0),
        ({"x-ratelimit-reset-requests": "1m30s", "x-ratelimit-reset-tokens": "20ms"}, 90.0),
        ({"x-ratelimit-reset-requests": "7.66s"}, 7.66),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "1e12"}, 86_400.0),
        ({"retry-after": "soon", "x-ratelimit-reset-tokens": "later"}, None),
        ({}, None),
    ],
)
async def test_the_wait_that_a_server_asks_for_is_understood(web, adapter, headers, wait_s):
    web.post(CHAT).respond(429, json=error(), headers=headers)
    failure = await failure_of(adapter, model())
    assert isinstance(failure, Throttled)
    assert failure.retry_after_s == wait_s


async def test_an_overloaded_server_may_ask_for_patience_too(web, adapter):
    web.post(CHAT).respond(503, headers={"retry-after": "4"})
    failure = await failure_of(adapter, model())
    assert isinstance(failure, Transient)
    assert failure.retry_after_s == 4.0


# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 422, 429, 500])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_a_key_that_the_server_echoes_is_in_no_message(web, adapter, streamed, status):
    echoing = json.dumps({"error": {"message": f"you sent Bearer {KEY}", "code": f"bad {KEY}"}})
    web.post(CHAT).respond(status, content=echoing, headers={"location": f"http://elsewhere/{KEY}?key={KEY}"})
    failure = await failure_of(adapter, model(stream=streamed))
    assert KEY not in f"{failure} {failure!r} {failure.args}"


async def test_a_key_in_a_page_that_is_no_json_is_in_no_message(web, adapter):
    web.post(CHAT).respond(200, content=f"Bearer {KEY} is what you sent, and this is HTML")
    assert KEY not in str(await failure_of(adapter, model()))


async def test_a_key_goes_only_to_the_address_that_it_was_set_up_for(web, adapter, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    own = web.post(CHAT).respond(json=answer())
    other = web.post("http://other.test/v1/chat/completions").respond(json=answer())
    await adapter.run(HELLO, model(), call())
    await adapter.run(HELLO, model(base_url="http://other.test/v1"), call())
    assert own.calls.last.request.headers["authorization"] == f"Bearer {KEY}"
    assert "authorization" not in other.calls.last.request.headers
    await adapter.run(HELLO, model(base_url="http://other.test/v1/", api_key_env="OPENAI_API_KEY"), call())
    assert other.calls.last.request.headers["authorization"] == "Bearer sk-openai"
    await adapter.run(HELLO, model(api_key_env=""), call())
    assert "authorization" not in own.calls.last.request.headers


async def test_openai_itself_is_asked_with_its_own_variable(web, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", " sk-openai\n")
    route = web.post("https://api.openai.com/v1/chat/completions").respond(json=answer())
    adapter = OpenAIAdapter(organization="org-1")
    await adapter.run(HELLO, model(), call())
    headers = route.calls.last.request.headers
    assert (headers["authorization"], headers["openai-organization"]) == ("Bearer sk-openai", "org-1")
    await adapter.close()


@pytest.mark.parametrize(("value", "said"), [("", "is not set"), ("sk-ü", "characters"), ("sk-a\nb", "characters")])
async def test_a_key_that_cannot_be_one_is_said_before_anything_is_sent(web, adapter, monkeypatch, value, said):
    monkeypatch.setenv("MODELS_KEY", value)
    failure = await failure_of(adapter, model())
    assert isinstance(failure, Misconfigured)
    assert "MODELS_KEY" in str(failure)
    assert said in str(failure)
    assert not value or value not in str(failure)
    assert (await adapter.health(model())).status is HealthStatus.MISCONFIGURED
    assert not web.calls


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"temprature": 1}, 'did you mean "temperature"?'),
        ({"api_key": "sk-oops"}, 'did you mean "api_key_env"?'),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"extra": {"stream": True}}, "must not hold stream"),
        ({"base_url": "models.test"}, "http://"),
        ({"base_url": "http://me:sk-oops@models.test"}, "password"),
        ({"base_url": "http://models.test/v1?key=sk-oops"}, "path"),
        ({"base_url": "http://me:sk-oops@[::1/v1"}, "no address"),
        ({"base_url": "http://models.test:99999/v1"}, "port"),
        ({"base_url": BASE, "organization": "ü"}, "organization"),
    ],
)
async def test_a_wrong_option_is_told_without_its_value(web, adapter, options, said):
    failure = await failure_of(adapter, model(**options))
    assert isinstance(failure, Misconfigured)
    assert said in str(failure)
    assert "sk-oops" not in str(failure)
    assert not web.calls


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"base_url": "http://me:sk-oops@models.test"}, "password"),
        ({"first_token_ms": 0}, "first_token_ms"),
        ({"base_urll": BASE}, 'did you mean "base_url"?'),
        ({"connect_ms": "soon"}, "connect_ms"),
    ],
)
def test_a_wrong_setting_of_the_adapter_is_a_sentence(options, said):
    with pytest.raises(SettingsError, match=said.replace("?", r"\?")) as caught:
        plugins.make(OpenAIAdapter, options, "[adapters.openai]")
    assert "sk-oops" not in str(caught.value)


def test_it_has_the_optional_parts_of_an_adapter():
    adapter: Adapter = OpenAIAdapter(base_url=BASE)
    assert isinstance(adapter, Streams)
    assert isinstance(adapter, Discovers)
    assert isinstance(adapter, Priced)
    assert adapter.prices["local"] == CostModel()
    assert adapter.supports("streaming")
    assert adapter.supports("supports_batch_execution")
    assert not adapter.supports("can_cancel_workflows")


# -- what is sent ------------------------------------------------------------------------------------------------------


async def test_a_text_is_the_users_message(web, adapter):
    assert await sent_by(adapter, web, HELLO, model()) == {
        "model": "small",
        "messages": [{"role": "user", "content": "hello"}],
    }


async def test_messages_bring_their_own_system_prompt_or_get_the_targets(web, adapter):
    own = [{"role": "developer", "content": "mine"}, {"role": "user", "content": "hi"}]
    target = model(system="theirs")
    sent = await sent_by(adapter, web, Task(type="chat", payload={"messages": own}), target)
    assert sent["messages"] == own
    sent = await sent_by(adapter, web, Task(type="chat", payload={"messages": own[1:]}), target)
    assert sent["messages"] == [{"role": "system", "content": "theirs"}, own[1]]


async def test_the_tasks_limit_takes_the_place_of_the_targets_under_either_name(web, adapter):
    task = Task(type="chat", text="hi", payload={"max_completion_tokens": 5})
    sent = await sent_by(adapter, web, task, model(max_tokens=100))
    assert sent["max_completion_tokens"] == 5
    assert "max_tokens" not in sent


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (Task(type="chat", text="hi", payload={"temprature": 1}), 'did you mean "temperature"?'),
        (Task(type="chat", text="hi", payload={"stream": True}), '"stream"'),
        (Task(type="chat", payload={"seed": 1}), "nothing to ask"),
        (Task(type="chat", payload={"messages": []}), "messages must be"),
        (Task(type="chat", payload={"messages": ["hi"]}), "messages must be"),
        (Task(type="chat", payload={"messages": [{"role": "user", "content": 5}]}), "messages must be"),
        (Task(type="chat", text="half \ud83d"), "surrogate"),
    ],
)
async def test_a_task_that_cannot_be_asked_is_refused_before_it_is_sent(web, adapter, task, said):
    failure = await failure_of(adapter, model(), task)
    assert isinstance(failure, Refused)
    assert said in str(failure)
    assert not web.calls


async def test_the_same_key_is_another_one_for_another_target_and_survives_a_header(web, adapter):
    route = web.post(CHAT).respond(json=answer())
    for name in ("one", "two"):
        target = Target(name=name, adapter="openai", run="small", task_types=frozenset({"chat"}))
        await adapter.run(HELLO, target, call(key="Auftrag ü\n1"))
    sent = [each.request.headers["idempotency-key"] for each in route.calls]
    assert sent == ["Auftrag%20%C3%BC%0A1/one", "Auftrag%20%C3%BC%0A1/two"]


@pytest.mark.parametrize(("stream_usage", "sent"), [(True, {"include_usage": True}), (False, None)])
async def test_a_server_that_does_not_know_stream_options_need_not_get_them(web, adapter, stream_usage, sent):
    route = streams(web, sse(delta(content="hi"), delta("stop")))
    await parts_of(adapter, model(stream_usage=stream_usage))
    body = json.loads(route.calls.last.request.content)
    assert body["stream"] is True
    assert body.get("stream_options") == sent


# -- answers -----------------------------------------------------------------------------------------------------------


async def test_cached_tokens_are_counted_apart(web, adapter):
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
    web.post(CHAT).respond(json=answer(usage=usage))
    used = (await adapter.run(HELLO, model(), call())).usage
    assert used == Usage(seconds=used.seconds, input_tokens=6, cached_tokens=4, output_tokens=2)


@pytest.mark.parametrize(
    "usage",
    [None, {}, "many", {"prompt_tokens": 0, "completion_tokens": 0}, {"prompt_tokens": -3, "completion_tokens": 1}],
)
async def test_a_usage_that_is_none_is_estimated(web, adapter, usage):
    web.post(CHAT).respond(json=answer("four words or more", usage=usage))
    used = (await adapter.run(HELLO, model(), call())).usage
    assert used.estimated
    assert used.input_tokens > 0
    assert used.output_tokens == estimate_tokens("four words or more")


@pytest.mark.parametrize(
    ("content", "value"),
    [("hi", "hi"), ([{"type": "text", "text": "h"}, {"type": "text", "text": "i"}], "hi"), (None, ""), ("", "")],
)
async def test_the_text_is_found_in_every_form(web, adapter, content, value):
    web.post(CHAT).respond(json=answer(content))
    assert (await adapter.run(HELLO, model(), call())).value == value


async def test_an_answer_that_was_filtered_away_is_no_success(web, adapter):
    web.post(CHAT).respond(json=answer(None, finish_reason="content_filter"))
    failure = await failure_of(adapter, model())
    assert isinstance(failure, Refused)
    assert failure.may_have_run, "it was written before it was filtered, and may be charged for"


async def test_what_a_model_says_in_place_of_an_answer_is_its_text(web, adapter):
    reply = answer(None)
    reply["choices"][0]["message"]["refusal"] = "I would rather not."
    web.post(CHAT).respond(json=reply)
    assert (await adapter.run(HELLO, model(), call())).value == "I would rather not."


# -- bit by bit --------------------------------------------------------------------------------------------------------


async def test_letters_that_look_like_line_ends_do_not_tear_a_chunk(web, adapter):
    text = "a\u2028b\x85c\x0bd"
    streams(web, sse(delta(content=text), delta("stop")))
    parts = await parts_of(adapter, model())
    assert [part.text for part in parts[:-1]] == [text]
    assert parts[-1].value == text


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_the_same_wherever_the_network_cuts_them(size):
    whole = ": ping\r\n\r\nevent: x\r\ndata: é1\r\ndata:2\r\n\r\ndata: [DONE]\n\ndata: rest".encode()
    events = Events()
    found = [data for at in range(0, len(whole), size) for data in events.feed(whole[at : at + size])]
    assert [*found, events.rest()] == ["é1\n2", "[DONE]", "rest"]


async def test_thoughts_are_no_text_and_are_paid_for(web, adapter):
    streams(web, sse(delta(reasoning_content="hm, let me think"), delta(content="yes"), delta("stop")))
    thought, said, result = await parts_of(adapter, model())
    assert (thought.text, said.text, result.value) == ("", "yes", "yes")
    assert thought.usage.output_tokens > 0
    assert result.usage.output_tokens > estimate_tokens("yes")


async def test_a_usage_told_along_the_way_counts_until_more_is_written(web, adapter):
    told = delta(content="one ") | {"usage": {"prompt_tokens": 9, "completion_tokens": 1}}
    streams(web, sse(told, delta(content="two"), delta("stop")))
    first, second, result = await parts_of(adapter, model())
    assert (first.usage.input_tokens, first.usage.estimated) == (9, False)
    assert second.usage.estimated
    assert result.usage.estimated


async def test_parts_of_a_chunk_that_are_null_or_odd_do_no_harm(web, adapter):
    odd = {"id": None, "choices": None, "usage": None, "object": 5}
    streams(
        web, sse(odd, delta(role="assistant", content=None, reasoning={"a": 1}), delta(content="yes"), delta("stop"))
    )
    chunk, result = await parts_of(adapter, model())
    assert (chunk.text, result.value) == ("yes", "yes")


async def test_tool_calls_without_an_index_are_told_apart_by_their_ids(web, adapter):
    def piece(**call: Any) -> dict[str, Any]:
        return delta(tool_calls=[call])

    streams(
        web,
        sse(
            piece(id="a", function={"name": "f", "arguments": '{"x"'}),
            piece(function={"arguments": ": 1}"}),
            piece(id="b", function={"name": "g", "arguments": "{}"}),
            delta("tool_calls"),
        ),
    )
    result = (await parts_of(adapter, model()))[-1]
    called = [
        (each["id"], each["function"]["name"], each["function"]["arguments"]) for each in result.value["tool_calls"]
    ]
    assert called == [("a", "f", '{"x": 1}'), ("b", "g", "{}")]


@pytest.mark.parametrize(
    ("content", "complete"),
    [
        (sse(delta(content="all"), delta("stop"), end=False), True),
        (sse(delta(content="all")), True),
        (sse(delta(content="all"), delta("stop"), end=False).rstrip(b"\n"), True),
        (sse(delta(content="all"), end=False), False),
        (sse(delta(content="all"), end=False) + b'data: {"choi', False),
        (b"", False),
    ],
)
async def test_an_answer_is_whole_only_where_the_server_said_so(web, adapter, content, complete):
    streams(web, content)
    if complete:
        assert (await parts_of(adapter, model()))[-1].value == "all"
    else:
        failure = await failure_of(adapter, model(stream=True))
        assert isinstance(failure, Transient | Crashed)
        assert failure.may_have_run


class Torn(httpx.AsyncByteStream):
    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content
        raise httpx.ReadError("")


async def test_a_connection_lost_after_the_end_of_the_answer_costs_only_the_usage(web, adapter):
    content = sse(delta(content="all"), delta("stop"), end=False)
    web.post(CHAT).mock(return_value=httpx.Response(200, stream=Torn(content)))
    result = (await parts_of(adapter, model()))[-1]
    assert result.value == "all"
    assert result.usage.estimated


async def test_a_server_that_does_not_stream_still_answers(web, adapter):
    web.post(CHAT).respond(json=answer("whole", usage={"prompt_tokens": 3, "completion_tokens": 1}))
    chunk, result = await parts_of(adapter, model())
    assert (chunk.text, result.value, result.usage.input_tokens) == ("whole", "whole", 3)


async def test_the_deadline_holds_where_it_is_shorter_than_the_patience_for_a_token(web, adapter):
    async def never(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    web.post(CHAT).mock(side_effect=never)
    with pytest.raises(TimedOut, match="no whole answer within 0"):
        await adapter.run(HELLO, model(stream=True), call(deadline_s=0.05))


# -- health and discovery ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "status", "said"),
    [
        (httpx.Response(200, json={"data": [{"id": "small"}]}), HealthStatus.HEALTHY, ""),
        (httpx.Response(200, json={"data": [{"id": "small:latest"}]}), HealthStatus.HEALTHY, ""),
        (httpx.Response(200, json={"data": [{"id": "models/small"}]}), HealthStatus.HEALTHY, ""),
        (httpx.Response(200, json={"data": [{"id": "smell"}]}), HealthStatus.MISCONFIGURED, 'did you mean "smell"?'),
        (httpx.Response(200, json={"data": [{"id": "gpt-9"}]}), HealthStatus.MISCONFIGURED, "it has gpt-9"),
        (httpx.Response(200, json={"data": []}), HealthStatus.DEGRADED, "no models"),
        (httpx.Response(200, text="<html>"), HealthStatus.MISCONFIGURED, "base_url"),
        (httpx.Response(401), HealthStatus.UNAUTHORISED, "key"),
        (httpx.Response(403), HealthStatus.UNAUTHORISED, "403"),
        (httpx.Response(404), HealthStatus.DEGRADED, "cannot list"),
        (httpx.Response(429), HealthStatus.DEGRADED, "patience"),
        (httpx.Response(503), HealthStatus.UNREACHABLE, "503"),
        (httpx.Response(302, headers={"location": "http://b"}), HealthStatus.MISCONFIGURED, "redirects"),
        (httpx.ConnectError("refused"), HealthStatus.UNREACHABLE, "is it up?"),
        (httpx.ReadTimeout(""), HealthStatus.UNREACHABLE, "silent"),
    ],
)
async def test_health_tells_what_is_wrong_and_how_to_mend_it(web, adapter, reply, status, said):
    web.get(f"{BASE}/models").mock(side_effect=[reply])
    health = await adapter.health(model())
    assert health.status is status
    assert said in health.detail
    assert KEY not in health.detail


async def test_many_targets_of_one_endpoint_ask_once(web, adapter):
    route = web.get(f"{BASE}/models").respond(json={"data": [{"id": "small"}, {"id": "large"}]})
    answers = await asyncio.gather(*(adapter.health(model(name)) for name in ("small", "large") * 10))
    assert all(answer.status is HealthStatus.HEALTHY for answer in answers)
    assert route.call_count == 1


async def test_a_server_that_runs_more_than_it_lists_can_be_told(web, adapter):
    web.get(f"{BASE}/models").respond(json={"data": [{"id": "other"}]})
    assert (await adapter.health(model(listed=False))).status is HealthStatus.HEALTHY


async def test_discovery_names_what_can_chat(web, adapter):
    listed = ["meta/llama-3:free", "text-embedding-3", "odd name", "whisper-1"]
    web.get(f"{BASE}/models").respond(json={"data": [{"id": each} for each in listed]})
    found = await adapter.discover()
    assert [(each.name, each.run) for each in found] == [
        ("meta/llama-3:free", "meta/llama-3:free"),
        ("odd-name", "odd name"),
    ]


async def test_discovery_marks_a_model_whose_description_says_that_it_is_broken_on_purpose(web, adapter):
    listed = [{"id": "sound", "description": "Large"}, {"id": "faulty", "description": "Broken on purpose: fails"}]
    web.get(f"{BASE}/models").respond(json={"data": listed})
    assert [(each.name, each.capabilities) for each in await adapter.discover()] == [
        ("sound", frozenset()),
        ("faulty", {"broken_on_purpose"}),
    ]


async def test_discovery_says_why_it_cannot(web, adapter):
    web.get(f"{BASE}/models").respond(401)
    with pytest.raises(AuthenticationError):
        await adapter.discover()


# -- estimates ---------------------------------------------------------------------------------------------------------


def test_a_prompt_is_estimated_with_its_tools_and_pictures():
    plain = {"messages": [{"role": "user", "content": "hello there"}]}
    with_tools = plain | {"tools": [{"type": "function", "function": {"name": "look_up", "parameters": {}}}]}
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_000_000}}
    with_picture = {"messages": [{"role": "user", "content": [{"type": "text", "text": "hello there"}, picture]}]}
    assert estimate_prompt_tokens(plain) > 2
    assert estimate_prompt_tokens(with_tools) > estimate_prompt_tokens(plain) + 10
    assert 500 < estimate_prompt_tokens(with_picture) < 5_000
