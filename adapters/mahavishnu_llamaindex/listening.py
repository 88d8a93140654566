"""Hearing what LlamaIndex asks its models, for the meter of the run that it asks them for.

A TokenCountingHandler belongs to an engine, so that it mixes the runs of that engine. LlamaIndex tells the same events
to its dispatcher, in the context of the run that caused them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.embedding import EmbeddingEndEvent
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatInProgressEvent,
    LLMChatStartEvent,
    LLMCompletionEndEvent,
    LLMCompletionInProgressEvent,
    LLMCompletionStartEvent,
)
from llama_index_instrumentation import get_dispatcher

from mahavishnu.model import Usage
from mahavishnu_llamaindex.answers import tokens_in
from mahavishnu_llamaindex.meter import Meter, estimate, meter_here

_in_chat: ContextVar[bool] = ContextVar("mahavishnu_llamaindex_in_chat", default=False)


class Listener(BaseEventHandler):
    """Tells the meter of a run what its models use; what belongs to no run of ours is not listened to."""

    @classmethod
    def class_name(cls) -> str:
        return "MahavishnuListener"

    def handle(self, event: BaseEvent, **_: Any) -> None:
        meter = meter_here()
        if meter is None:
            return
        if isinstance(event, EmbeddingEndEvent):
            meter.embedded(event.chunks)
        elif isinstance(event, LLMChatStartEvent | LLMChatInProgressEvent | LLMChatEndEvent):
            _hear_chat(meter, event)
        elif not _in_chat.get():
            # Inside a chat, a completion is how a model that cannot chat answers it: one call, told twice.
            _hear_completion(meter, event)


def _hear_chat(meter: Meter, event: LLMChatStartEvent | LLMChatInProgressEvent | LLMChatEndEvent) -> None:
    call, asked = event.span_id or "", _text(event.messages)
    match event:
        case LLMChatStartEvent():
            _in_chat.set(True)
            meter.said(call, _usage(asked))
        case LLMChatInProgressEvent():
            meter.said(call, _usage(asked, event.response))
        case LLMChatEndEvent():
            _in_chat.set(False)
            meter.ended(call, _usage(asked, event.response))


def _hear_completion(meter: Meter, event: BaseEvent) -> None:
    match event:
        case LLMCompletionStartEvent():
            meter.said(event.span_id or "", _usage(event.prompt))
        case LLMCompletionInProgressEvent():
            meter.said(event.span_id or "", _usage(event.prompt, event.response))
        case LLMCompletionEndEvent():
            meter.ended(event.span_id or "", _usage(event.prompt, event.response))


def _text(messages: list[ChatMessage]) -> str:
    return "\n".join(message.content or "" for message in messages)


def _usage(asked: str, answer: ChatResponse | CompletionResponse | None = None) -> Usage:
    """What the model itself says; where it says nothing, what its texts look like."""
    if answer is None:
        return Usage(input_tokens=estimate(asked), estimated=True)
    told = tokens_in(answer.raw if isinstance(answer.raw, Mapping) else getattr(answer.raw, "__dict__", {}))
    if told is not None:
        return told
    answered = (answer.message.content or "") if isinstance(answer, ChatResponse) else answer.text
    return Usage(input_tokens=estimate(asked), output_tokens=estimate(answered), estimated=True)


def begin() -> None:
    """From now on, in this process."""
    get_dispatcher().add_event_handler(Listener())
