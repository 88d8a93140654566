"""The request: what a task and its target become when a model is asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote

from mahavishnu.errors import Misconfigured, Refused, did_you_mean, nearest_name
from mahavishnu.model import Target, Task
from mahavishnu.ports import Call
from mahavishnu_openai.endpoint import Endpoint
from mahavishnu_openai.options import ModelOptions
from mahavishnu_openai.tokens import estimate_prompt_tokens

PASSED_THROUGH = (
    "audio",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "modalities",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
)
"""What a task's payload may hold: the parameters of a chat completion, as the server knows them."""

_LIMITS = ("max_tokens", "max_completion_tokens")
"""The old and the new name of one limit: a request that holds both is refused."""


@dataclass(frozen=True)
class Request:
    """One call, ready to be sent: `within_s` is for the whole answer, `first_within_s` for its first token."""

    endpoint: Endpoint
    model: str
    body: Mapping[str, Any]
    content: bytes
    headers: Mapping[str, str]
    streamed: bool
    within_s: float | None
    first_within_s: float

    @cached_property
    def prompt_tokens(self) -> int:
        """An estimate, worked out only where the server does not say."""
        return estimate_prompt_tokens(self.body)


def request_of(
    task: Task,
    target: Target,
    call: Call,
    *,
    endpoint: Endpoint,
    options: ModelOptions,
    streamed: bool,
    first_within_s: float,
) -> Request:
    """What to send. Raises Refused where the task cannot be asked, Misconfigured where the target cannot be."""
    body = _body(task, target, options)
    if streamed:
        body["stream"] = True
        if options.stream_usage:
            body["stream_options"] = {"include_usage": True}
    return Request(
        endpoint=endpoint,
        model=target.run,
        body=body,
        content=_encoded(body, target),
        headers={
            **endpoint.headers(),
            "Content-Type": "application/json",
            "Accept": "text/event-stream" if streamed else "application/json",
            "Idempotency-Key": _idempotency_key(target, call),
        },
        streamed=streamed,
        within_s=call.deadline_s,
        first_within_s=first_within_s,
    )


def _body(task: Task, target: Target, options: ModelOptions) -> dict[str, Any]:
    """The target's settings, and over them whatever the task asks for itself."""
    for name in task.payload:
        if name not in PASSED_THROUGH:
            nearest = nearest_name(name, PASSED_THROUGH)
            hint = did_you_mean(nearest) or "; a model takes the parameters of a chat completion"
            raise Refused(f'the payload holds "{name}", which no model knows{hint}')
    body: dict[str, Any] = {"model": target.run, "messages": _messages(task, options)}
    set_here = {"temperature": options.temperature, "max_tokens": options.max_tokens}
    body |= {name: value for name, value in set_here.items() if value is not None}
    body |= options.extra
    asked = {name: value for name, value in task.payload.items() if name != "messages"}
    if any(name in asked for name in _LIMITS):
        body = {name: value for name, value in body.items() if name not in _LIMITS}
    return body | asked


def _messages(task: Task, options: ModelOptions) -> list[Any]:
    """The task's messages, or its text as one; before them the target's system prompt, unless they bring their own."""
    messages = task.payload.get("messages")
    if messages is None:
        if not task.text.strip():
            raise Refused("there is nothing to ask: give the task a text, or messages in its payload")
        messages = [{"role": "user", "content": task.text}]
    if not isinstance(messages, list) or not messages or not all(_is_message(each) for each in messages):
        raise Refused('messages must be a list of {"role": ..., "content": ...}, and not empty')
    if options.system is None or any(each["role"] in ("system", "developer") for each in messages):
        return messages
    return [{"role": "system", "content": options.system}, *messages]


def _is_message(given: object) -> bool:
    if not isinstance(given, Mapping) or not isinstance(given.get("role"), str):
        return False
    return isinstance(given.get("content"), str | list | None)


def _encoded(body: Mapping[str, Any], target: Target) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise Refused("the text holds half a character (a lone surrogate), which cannot be sent; mend it") from None
    except ValueError:
        # The payload was checked as the task was made.
        raise Misconfigured(f'target "{target.name}": option extra holds a number that JSON cannot write') from None


def _idempotency_key(target: Target, call: Call) -> str:
    """One for each target: the same task sent to another model is another request, and must not get this answer."""
    return quote(f"{call.idempotency_key or call.execution_id}/{target.name}", safe="/:@")
