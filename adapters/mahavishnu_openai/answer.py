"""An answer as it comes, whole or bit by bit, until it is a Result."""

from __future__ import annotations

import json
import time
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from mahavishnu.errors import AdapterError, Crashed, Refused
from mahavishnu.errors.wording import in_plain_words
from mahavishnu.model import Result, Usage
from mahavishnu_openai.failures import failure_inside
from mahavishnu_openai.prompt import Request
from mahavishnu_openai.tokens import Estimate, Reported, reported


class _Part(BaseModel):
    text: str | None = None


class _Said(BaseModel):
    content: str | list[_Part] | None = None
    refusal: str | None = None
    reasoning: Any = None
    reasoning_content: Any = None
    tool_calls: list[dict[str, JsonValue]] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "".join(part.text or "" for part in self.content)
        return self.content or self.refusal or ""

    @property
    def thought(self) -> str:
        """What it thinks aloud, under the names that servers have for it: no text, but paid for."""
        thought = self.reasoning_content or self.reasoning
        return thought if isinstance(thought, str) else ""


class _Choice(BaseModel):
    message: _Said | None = None
    delta: _Said | None = None
    finish_reason: str | None = None


class Reply(BaseModel):
    """A chat completion, or one chunk of it: only what is read here, since servers differ in the rest."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    id: str | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None


def reply_of(data: bytes | str, request: Request) -> Reply:
    """A body or an event, understood. Raises Crashed where it is none, or what the error in it means."""
    host = request.endpoint.host
    try:
        reply = Reply.model_validate(json.loads(data))
    except ValidationError as problem:
        first = problem.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "it"
        raise Crashed(f"{host} sent no chat completion: {place} {in_plain_words(first['msg'])}") from None
    except (ValueError, RecursionError):
        text = data if isinstance(data, str) else data.decode("utf-8", "replace")
        raise Crashed(f"{host} sent no JSON, but {request.endpoint.quoted(text)[:80]!r}; check base_url") from None
    if reply.error:
        raise failure_inside(reply.error, request.endpoint, request.model)
    return reply


class Answer:
    """What has come of one answer so far."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._started_s = time.monotonic()
        self._texts: list[str] = []
        self._tool_calls: list[dict[str, Any]] = []
        self._written = Estimate()
        self._reported: Reported | None = None
        self._named: dict[str, str] = {}

    @property
    def id(self) -> str | None:
        return self._named.get("id")

    @property
    def finished(self) -> bool:
        """Whether the model came to an end, whatever the connection did after that."""
        return "finish_reason" in self._named

    def add(self, reply: Reply) -> str | None:
        """Take in a whole answer or the next bit; the text in it, "" for a token that is no text, None for neither."""
        named = {"id": reply.id, "model": reply.model, "system_fingerprint": reply.system_fingerprint}
        self._named |= {name: value for name, value in named.items() if value}
        text = self._choice(reply.choices[0]) if reply.choices else None
        if usage := reported(reply.usage):
            self._reported = usage
        elif text is not None:
            # More was written since the last report.
            self._reported = None
        return text

    def _choice(self, choice: _Choice) -> str | None:
        if choice.finish_reason:
            self._named["finish_reason"] = choice.finish_reason
        said = choice.message or choice.delta
        if said is None:
            return None
        self._texts.append(said.text)
        self._written.add(said.text)
        self._written.add(said.thought)
        for call in said.tool_calls or ():
            self._written.add(self._tool_call(call))
        return said.text if said.text or said.thought or said.tool_calls else None

    def _tool_call(self, piece: dict[str, Any]) -> str:
        """Put a piece of a tool call where it belongs, and say what was written in it."""
        function = piece.get("function")
        given = function if isinstance(function, dict) else {}
        name, arguments = (each if isinstance(each := given.get(part), str) else "" for part in ("name", "arguments"))
        call = self._called(piece)
        call["id"] = call["id"] or piece.get("id") or ""
        call["function"]["name"] += name
        call["function"]["arguments"] += arguments
        return f"{name}{arguments}"

    def _called(self, piece: dict[str, Any]) -> dict[str, Any]:
        """The tool call that a piece belongs to: told by its index, or, where a server gives none, by a new id."""
        last = len(self._tool_calls) - 1
        index = piece.get("index")
        if not isinstance(index, int):
            goes_on = last >= 0 and piece.get("id") in (None, "", self._tool_calls[last]["id"])
            index = last if goes_on else last + 1
        if not 0 <= index <= last:
            kind = piece.get("type") or "function"
            self._tool_calls.append({"id": "", "type": kind, "function": {"name": "", "arguments": ""}})
            index = last + 1
        return self._tool_calls[index]

    def usage(self) -> Usage:
        """What was used so far: as reported, or estimated where the server has not said."""
        seconds = time.monotonic() - self._started_s
        if self._reported is None:
            return Usage(
                seconds=seconds,
                input_tokens=self._request.prompt_tokens,
                output_tokens=self._written.tokens,
                estimated=True,
            )
        cached = self._reported.cached_tokens
        return Usage(
            seconds=seconds,
            input_tokens=self._reported.prompt_tokens - cached,
            cached_tokens=cached,
            output_tokens=self._reported.completion_tokens,
        )

    def result(self) -> Result:
        """The Result: the text, or, where the model calls tools, the text with the calls."""
        text = "".join(self._texts)
        if self._named.get("finish_reason") == "content_filter" and not text:
            raise self._filtered()
        value: Any = text
        if self._tool_calls:
            finish_reason = self._named.get("finish_reason", "tool_calls")
            value = {"text": text, "tool_calls": self._tool_calls, "finish_reason": finish_reason}
        return Result(value=value, usage=self.usage(), run_id=self.id, detail=dict(self._named))

    def _filtered(self) -> AdapterError:
        return Refused(f"{self._request.endpoint.host} filtered the whole answer; ask for something else", True)
