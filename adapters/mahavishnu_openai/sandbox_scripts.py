"""What the sandbox server's models do: every answer is simulated, and every failure is on purpose."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

SIMULATED = "simulated"
PAUSE_S = 0.02
"""Between two tokens of `many-tokens`."""


@dataclass
class Tally:
    """What became of the calls of one model; `abandoned` are those whose caller hung up."""

    calls: int = 0
    finished: int = 0
    abandoned: int = 0


@dataclass
class Sandbox:
    """Everything the server remembers."""

    tallies: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    last: dict[str, Any] = field(default_factory=dict)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def count(self, model: str, what: str) -> int:
        async with self.changed:
            tally = self.tallies[model]
            number: int = getattr(tally, what) + 1
            setattr(tally, what, number)
            self.changed.notify_all()
        return number

    async def reached(self, model: str, what: str, number: int) -> Tally:
        async with self.changed:
            await self.changed.wait_for(lambda: getattr(self.tallies[model], what) >= number)
            return self.tallies[model]


@dataclass(frozen=True)
class Asked:
    """One call: the request and what was read in it."""

    sandbox: Sandbox
    request: Request
    body: Mapping[str, Any]
    number: int

    @property
    def model(self) -> str:
        return str(self.body["model"])

    @property
    def text(self) -> str:
        """The last message, which is what gets echoed."""
        content = self.body["messages"][-1].get("content") or ""
        return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)

    @property
    def streamed(self) -> bool:
        return bool(self.body.get("stream"))

    @property
    def wants_usage(self) -> bool:
        return bool((self.body.get("stream_options") or {}).get("include_usage"))

    def usage(self, answer: str) -> dict[str, Any]:
        """One token to a word, so that everybody can count."""
        prompt = sum(len(str(each.get("content") or "").split()) for each in self.body["messages"])
        completion = len(answer.split())
        cached = prompt // 2 if self.model == "cached-prompt" else 0
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached},
        }

    def named(self, kind: str) -> dict[str, Any]:
        name = f"chatcmpl-{SIMULATED}-{self.model}-{self.number}"
        return {"id": name, "object": kind, "created": 0, "model": self.model, "system_fingerprint": SIMULATED}


Script = Callable[[Asked], Awaitable[Response]]


def refusal(
    status: int, words: str, *, kind: str, code: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """An error in the form that OpenAI gives it."""
    error = {"message": words, "type": kind, "param": None, "code": code}
    return JSONResponse({"error": error}, status, headers)


def wrong_key(request: Request) -> Response:
    given = request.headers.get("authorization", "none")
    return refusal(401, f"Incorrect API key: {given}", kind="invalid_request_error", code="invalid_api_key")


# -- answers -----------------------------------------------------------------------------------------------------------


def completion(
    asked: Asked, message: Mapping[str, Any], *, finish_reason: str = "stop", usage: bool = True
) -> Response:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}
    answer = {**asked.named("chat.completion"), "choices": [choice]}
    if usage:
        answer["usage"] = asked.usage(message.get("content") or "")
    return JSONResponse(answer)


def event(data: Mapping[str, Any] | str) -> str:
    return f"data: {data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)}\n\n"


def delta(asked: Asked, piece: Mapping[str, Any], finish_reason: str | None = None) -> str:
    choice = {"index": 0, "delta": piece, "finish_reason": finish_reason}
    return event({**asked.named("chat.completion.chunk"), "choices": [choice]})


def streamed(asked: Asked, events: AsyncIterator[str]) -> Response:
    async def watched() -> AsyncIterator[str]:
        ended = "abandoned"
        try:
            async for each in events:
                yield each
            ended = "finished"
        finally:
            await asyncio.shield(asked.sandbox.count(asked.model, ended))

    return StreamingResponse(watched(), media_type="text/event-stream")


async def words_of(
    asked: Asked, text: str, *, usage: bool = True, first_after: asyncio.Event | None = None, pause_s: float = 0.0
) -> AsyncIterator[str]:
    """The usual stream: a role, a chunk for each word, the reason, the usage, and the end."""
    yield delta(asked, {"role": "assistant", "content": ""})
    if first_after is not None:
        await first_after.wait()
    for place, word in enumerate(text.split(" ")):
        await asyncio.sleep(pause_s)
        yield delta(asked, {"content": f" {word}" if place else word})
    yield delta(asked, {}, "stop")
    if usage and asked.wants_usage:
        yield event({**asked.named("chat.completion.chunk"), "choices": [], "usage": asked.usage(text)})
    yield event("[DONE]")


async def echo(asked: Asked) -> Response:
    if asked.streamed:
        return streamed(asked, words_of(asked, asked.text))
    return completion(asked, {"content": asked.text})


async def no_usage(asked: Asked) -> Response:
    if asked.streamed:
        return streamed(asked, words_of(asked, asked.text, usage=False))
    return completion(asked, {"content": asked.text}, usage=False)


async def many_tokens(asked: Asked) -> Response:
    return streamed(asked, words_of(asked, " ".join(["word"] * 1000), pause_s=PAUSE_S))


async def slow_first_token(asked: Asked) -> Response:
    """Never comes to its first token; without a stream, never answers."""
    if asked.streamed:
        return streamed(asked, words_of(asked, asked.text, first_after=asyncio.Event()))
    while (await asked.request.receive())["type"] != "http.disconnect":
        continue
    await asked.sandbox.count(asked.model, "abandoned")
    return Response(status_code=499)


async def breaks_off(asked: Asked) -> Response:
    """Dies after half of its words, or before the first one."""

    async def half() -> AsyncIterator[str]:
        words = asked.text.split(" ")
        for word in words[: len(words) // 2]:
            yield delta(asked, {"content": f"{word} "})
        raise ConnectionAbortedError("broken off, as asked for")

    return streamed(asked, half())


async def tool_caller(asked: Asked) -> Response:
    """Calls the first tool that it was given, with the text as its argument."""
    tools = asked.body.get("tools") or []
    if not tools:
        return refusal(400, "tool-caller needs tools", kind="invalid_request_error", code="missing_tools")
    arguments = json.dumps({"text": asked.text})
    call = {"id": "call_1", "type": "function"}
    name = tools[0]["function"]["name"]
    if not asked.streamed:
        called = {**call, "function": {"name": name, "arguments": arguments}}
        return completion(asked, {"content": None, "tool_calls": [called]}, finish_reason="tool_calls")

    async def pieces() -> AsyncIterator[str]:
        called = {"index": 0, **call, "function": {"name": name, "arguments": ""}}
        yield delta(asked, {"role": "assistant", "content": None, "tool_calls": [called]})
        for start in range(0, len(arguments), 5):
            function = {"arguments": arguments[start : start + 5]}
            yield delta(asked, {"tool_calls": [{"index": 0, "function": function}]})
        yield delta(asked, {}, "tool_calls")
        if asked.wants_usage:
            yield event({**asked.named("chat.completion.chunk"), "choices": [], "usage": asked.usage(arguments)})
        yield event("[DONE]")

    return streamed(asked, pieces())


# -- failures ----------------------------------------------------------------------------------------------------------


def refuses(
    status: int, words: str, *, kind: str, code: str | None = None, headers: Mapping[str, str] | None = None
) -> Script:
    async def script(asked: Asked) -> Response:
        del asked
        return refusal(status, words, kind=kind, code=code, headers=headers)

    return script


broken_500 = refuses(500, "The server had an error", kind="server_error")


async def flaky_500(asked: Asked) -> Response:
    """Fails on every first call of two."""
    return await (broken_500 if asked.number % 2 else echo)(asked)


async def unauthorised(asked: Asked) -> Response:
    """Repeats the key, as real servers do in part."""
    return wrong_key(asked.request)


async def error_in_stream(asked: Asked) -> Response:
    async def pieces() -> AsyncIterator[str]:
        yield delta(asked, {"role": "assistant", "content": "so far so "})
        yield event({"error": {"message": "The engine is overloaded", "type": "server_error", "code": None}})

    return streamed(asked, pieces())


SOUND = frozenset({"echo", "cached-prompt", "no-usage"})
"""The models that answer as models do. The others are there to show what failures and oddities look like."""

SCRIPTS: Mapping[str, Script] = {
    "echo": echo,
    "cached-prompt": echo,
    "no-usage": no_usage,
    "many-tokens": many_tokens,
    "tool-caller": tool_caller,
    "slow-first-token": slow_first_token,
    "breaks-off": breaks_off,
    "error-in-stream": error_in_stream,
    "rate-limited": refuses(
        429, "Rate limit reached", kind="requests", code="rate_limit_exceeded", headers={"Retry-After": "7"}
    ),
    "out-of-quota": refuses(
        429, "You exceeded your current quota", kind="insufficient_quota", code="insufficient_quota"
    ),
    "flaky-500": flaky_500,
    "broken-500": broken_500,
    "context-too-long": refuses(
        400,
        "This model's maximum context length is 8 tokens",
        kind="invalid_request_error",
        code="context_length_exceeded",
    ),
    "unauthorised": unauthorised,
}
