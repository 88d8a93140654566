"""Tokens: as the server counted them, or, where it did not, as many as the text probably has."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

_BYTES_PER_TOKEN = 4
_TOKENS_PER_WORD = 4 / 3
_PER_MESSAGE = 4
"""What a message costs besides its text: its role and its borders."""

_PER_ATTACHMENT = 1000
"""An image or a sound: about what one of middle size costs with the models of today."""


class _Cached(BaseModel):
    cached_tokens: int | None = Field(default=None, ge=0)


class Reported(BaseModel):
    """The usage of an answer, as its server reported it."""

    model_config = ConfigDict(frozen=True)

    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(default=0, ge=0)
    prompt_tokens_details: _Cached | None = None

    @property
    def cached_tokens(self) -> int:
        details = self.prompt_tokens_details
        return min(self.prompt_tokens, (details and details.cached_tokens) or 0)


def reported(usage: object) -> Reported | None:
    """What a server reported; None where it is no report, such as the zeros that some servers send in its place.

    >>> reported({"prompt_tokens": 9, "completion_tokens": 2}).prompt_tokens
    9
    >>> reported({"prompt_tokens": 0, "completion_tokens": 0}) is None
    True
    """
    try:
        found = Reported.model_validate(usage)
    except ValidationError:
        return None
    return found if found.prompt_tokens + found.completion_tokens else None


class Estimate:
    """About how many tokens a text has, counted as it comes: the larger of UTF-8 bytes / 4 and words * 4 / 3.

    English has about four bytes and three quarters of a word to a token; bytes in place of letters keep the estimate
    sane for scripts with a token or more to a letter. It errs upwards, so that a budget is not overrun unseen.

    >>> counted = Estimate()
    >>> for piece in ("The quick brown ", "fo", "x."):
    ...     counted.add(piece)
    >>> counted.tokens
    6
    """

    def __init__(self) -> None:
        self._bytes = 0
        self._words = 0
        self._within_word = False

    def add(self, text: str) -> None:
        if not text:
            return
        self._bytes += len(text.encode("utf-8", "surrogatepass"))
        self._words += len(text.split())
        if self._within_word and not text[0].isspace():
            # This piece goes on with a word that was counted already.
            self._words -= 1
        self._within_word = not text[-1].isspace()

    @property
    def tokens(self) -> int:
        return math.ceil(max(self._bytes / _BYTES_PER_TOKEN, self._words * _TOKENS_PER_WORD))


def estimate_tokens(text: str) -> int:
    """About how many tokens a whole text has.

    >>> estimate_tokens("The quick brown fox."), estimate_tokens("今日は"), estimate_tokens("")
    (6, 3, 0)
    """
    counted = Estimate()
    counted.add(text)
    return counted.tokens


def estimate_prompt_tokens(body: Mapping[str, Any]) -> int:
    """About how many tokens a request has: its messages, and the tools it describes."""
    told = sum(_PER_MESSAGE + _content_tokens(each.get("content")) for each in body["messages"])
    asked = [each["tool_calls"] for each in body["messages"] if each.get("tool_calls")]
    described = [body[name] for name in ("tools", "response_format") if body.get(name)]
    return int(told) + sum(estimate_tokens(json.dumps(each)) for each in asked + described)


def _content_tokens(content: str | Sequence[Any] | None) -> int:
    if content is None or isinstance(content, str):
        return estimate_tokens(content or "")
    texts = [part.get("text") if isinstance(part, Mapping) else None for part in content]
    return sum(estimate_tokens(text) if isinstance(text, str) else _PER_ATTACHMENT for text in texts)
