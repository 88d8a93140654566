"""A model that needs no network, for trying out and for tests: everything it says is simulated."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from agno.metrics import MessageMetrics
from agno.models.base import Model
from agno.models.message import Message
from agno.models.response import ModelResponse

_MEMBER = re.compile(r'<member id="([^"]+)"')


def echo(text: str) -> str:
    """The answer that every offline model gives unless it is told another.

    >>> echo("Sum up the week")
    'Simulated answer to: Sum up the week'
    """
    return f"Simulated answer to: {text}"


@dataclass
class OfflineModel(Model):
    """Answers by a function of the text, word by word, and counts words as tokens.

    At the head of a team it delegates once, to the member that the text names or else to the first, and hands on what
    comes back: enough to let a real Team work without a real model.
    """

    id: str = "offline"
    name: str | None = "Offline"
    provider: str | None = "Offline (simulated)"
    answer: Callable[[str], str] = echo
    word_delay_s: float = 0.0

    def invoke(
        self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] | None = None, **_given: Any
    ) -> ModelResponse:
        said = list(self._say(messages, tools))
        time.sleep(self.word_delay_s * len(said))
        return _joined(said)

    async def ainvoke(
        self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] | None = None, **_given: Any
    ) -> ModelResponse:
        said = list(self._say(messages, tools))
        await asyncio.sleep(self.word_delay_s * len(said))
        return _joined(said)

    def invoke_stream(
        self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] | None = None, **_given: Any
    ) -> Iterator[ModelResponse]:
        for word in self._say(messages, tools):
            time.sleep(self.word_delay_s)
            yield word

    async def ainvoke_stream(
        self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] | None = None, **_given: Any
    ) -> AsyncIterator[ModelResponse]:
        for word in self._say(messages, tools):
            await asyncio.sleep(self.word_delay_s)
            yield word

    def _parse_provider_response(self, response: ModelResponse, **_given: Any) -> ModelResponse:
        return response

    def _parse_provider_response_delta(self, response: ModelResponse) -> ModelResponse:
        return response

    def _say(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] | None) -> Iterator[ModelResponse]:
        words_in = sum(len(str(message.content or "").split()) for message in messages)
        if call := _delegation(messages, tools or ()):
            yield ModelResponse(role="assistant", tool_calls=[call], response_usage=_usage(words_in, 1))
            return
        for place, word in enumerate(re.findall(r"\S+\s*|\s+", self._answer(messages))):
            yield ModelResponse(role="assistant", content=word, response_usage=_usage(0 if place else words_in, 1))

    def _answer(self, messages: Sequence[Message]) -> str:
        brought = [str(message.content) for message in messages if message.role == self.tool_message_role]
        return brought[-1] if brought else self.answer(_asked(messages))


def _delegation(messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The call that hands the text to members, where there are any and it was not made before."""
    if any(message.role == "tool" for message in messages):
        return None
    names = {tool.get("function", {}).get("name") for tool in tools}
    text = _asked(messages)
    arguments = {"task": text}
    if "delegate_task_to_members" in names:
        name = "delegate_task_to_members"
    elif "delegate_task_to_member" in names:
        name = "delegate_task_to_member"
        members = _MEMBER.findall(" ".join(str(m.content) for m in messages if m.role == "system"))
        arguments["member_id"] = next((each for each in members if each in text.lower()), members[0])
    else:
        return None
    return {"id": "delegation", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def _asked(messages: Sequence[Message]) -> str:
    return next((str(message.content) for message in reversed(messages) if message.role == "user"), "")


def _joined(said: Sequence[ModelResponse]) -> ModelResponse:
    usage = sum((each.response_usage for each in said if each.response_usage), MessageMetrics())
    calls = [call for each in said for call in each.tool_calls]
    text = "".join(each.content for each in said if each.content)
    return ModelResponse(role="assistant", content=text or None, tool_calls=calls, response_usage=usage)


def _usage(words_in: int, words_out: int) -> MessageMetrics:
    return MessageMetrics(input_tokens=words_in, output_tokens=words_out, total_tokens=words_in + words_out)
