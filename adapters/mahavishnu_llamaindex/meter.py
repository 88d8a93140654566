"""Counting what one run uses, also where many runs share one engine."""

from __future__ import annotations

import math
import time
from contextvars import ContextVar

from mahavishnu.model import Usage


def estimate(text: str) -> int:
    """About how many tokens a text has, without a tokenizer: those of models are downloaded, and differ by model.

    >>> estimate("A breaker opens after five failures in a row.")
    12
    """
    return math.ceil(len(text.encode()) / 4)


class Meter:
    """What one run has used up to now: the time, and what its models were asked and answered."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._over = Usage()
        self._under_way: dict[str, Usage] = {}
        self.embedded_tokens = 0

    @property
    def usage(self) -> Usage:
        calls = [self._over, *self._under_way.values()]
        return Usage(
            seconds=time.monotonic() - self._began_s,
            queries=1,
            input_tokens=sum(each.input_tokens for each in calls),
            cached_tokens=sum(each.cached_tokens for each in calls),
            output_tokens=sum(each.output_tokens for each in calls),
            estimated=any(each.estimated for each in calls),
        )

    def count_here(self) -> None:
        """From here on, count what happens in this context, and in the tasks and threads that are started from it."""
        self._began_s = time.monotonic()
        _counting.set(self)

    def said(self, call: str, used: Usage) -> None:
        """A call of a model is under way, and has used this much."""
        self._under_way[call] = used

    def ended(self, call: str, used: Usage) -> None:
        self._under_way.pop(call, None)
        self._over = Usage(
            input_tokens=self._over.input_tokens + used.input_tokens,
            cached_tokens=self._over.cached_tokens + used.cached_tokens,
            output_tokens=self._over.output_tokens + used.output_tokens,
            estimated=self._over.estimated or used.estimated,
        )

    def embedded(self, texts: list[str]) -> None:
        self.embedded_tokens += sum(estimate(text) for text in texts)


_counting: ContextVar[Meter | None] = ContextVar("mahavishnu_llamaindex_meter", default=None)


def meter_here() -> Meter | None:
    """The meter of the run that this context belongs to."""
    return _counting.get()
