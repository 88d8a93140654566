"""What a run used, read from the metrics of everybody who worked in it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from mahavishnu.model import Usage

_LETTERS_PER_TOKEN = 4

Body = Mapping[str, Any]
"""A run as Agno writes it down: a RunOutput, TeamRunOutput or WorkflowRunOutput, or the event that ended one."""


def usage_of(body: Body, seconds: float) -> Usage:
    """Team and workflow metrics do not hold those of their members, so that all are added up.

    Agent seconds are those of the agents that worked: a team's head that only waited for its members costs none.
    """
    metered = list(_metered(body))
    return Usage(
        seconds=seconds,
        agent_seconds=sum(_number(metrics, "duration") for metrics, worked in metered if worked),
        input_tokens=sum(_uncached(metrics) for metrics, _ in metered),
        cached_tokens=sum(_count(metrics, "cache_read_tokens") for metrics, _ in metered),
        output_tokens=sum(_count(metrics, "output_tokens") for metrics, _ in metered),
    )


def cost_of(body: Body) -> Decimal | None:
    """What the models themselves say that it cost; None where none of them does."""
    said = [metrics["cost"] for metrics, _ in _metered(body) if metrics.get("cost") is not None]
    return sum((Decimal(str(cost)) for cost in said), Decimal(0)) if said else None


class Meter:
    """Adds up while a run goes on, so that an answer which breaks off is never free."""

    def __init__(self, asked: str) -> None:
        self._asked = len(asked)
        self._unmetered = 0
        self._metered = Usage()

    def read(self, event: Body) -> None:
        """Every request to a model, of whomever, ends with an event that counts its tokens."""
        if not str(event.get("event", "")).endswith("ModelRequestCompleted"):
            return
        self._asked = self._unmetered = 0
        self._metered = Usage(
            input_tokens=self._metered.input_tokens + _uncached(event),
            cached_tokens=self._metered.cached_tokens + _count(event, "cache_read_tokens"),
            output_tokens=self._metered.output_tokens + _count(event, "output_tokens"),
        )

    def so_far(self, text: str, seconds: float) -> Usage:
        """With a guess for what the models have not counted yet."""
        self._unmetered += len(text)
        return Usage(
            seconds=seconds,
            agent_seconds=seconds,
            input_tokens=self._metered.input_tokens + math.ceil(self._asked / _LETTERS_PER_TOKEN),
            cached_tokens=self._metered.cached_tokens,
            output_tokens=self._metered.output_tokens + math.ceil(self._unmetered / _LETTERS_PER_TOKEN),
            estimated=True,
        )


def _metered(body: Body) -> Iterator[tuple[Body, bool]]:
    """The metrics of a run and of all runs inside it, each with whether it did the work itself."""
    metrics = body.get("metrics") or {}
    inside = [*(body.get("member_responses") or ()), *(body.get("step_executor_runs") or ())]
    if "steps" not in metrics:
        yield metrics, not inside
    elif not inside:
        yield from ((step.get("metrics") or {}, True) for step in metrics["steps"].values())
    for each in inside:
        yield from _metered(each)


def _uncached(metrics: Body) -> int:
    """Most providers count cached tokens among the input; Claude counts them apart."""
    counted, cached = _count(metrics, "input_tokens"), _count(metrics, "cache_read_tokens")
    models = [each for listed in (metrics.get("details") or {}).values() for each in listed]
    apart = cached > counted or any("claude" in str(each.get("id", "")).lower() for each in models)
    return counted if apart else counted - cached


def _count(metrics: Body, name: str) -> int:
    return int(_number(metrics, name))


def _number(metrics: Body, name: str) -> float:
    value = metrics.get(name)
    return value if isinstance(value, int | float) and math.isfinite(value) and value > 0 else 0
