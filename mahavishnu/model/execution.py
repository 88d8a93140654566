"""Execution: one attempt on one target, and the Result that an adapter hands back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from mahavishnu.model.money import NOTHING, Micros


class Status(StrEnum):
    """What an execution ended as. `RUNNING` is the one that moves; every other is final."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    REFUSED = "refused"
    UNSUITABLE = "unsuitable"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def ended(self) -> bool:
        return self is not Status.RUNNING

    @property
    def counts(self) -> bool:
        """Whether it says how well the target does tasks of this type.

        The caller's errors and cancellations do not, and a lost execution is the end of a process of ours.
        """
        return self in _COUNTING

    @property
    def counts_in_experiment(self) -> bool:
        """Whether an experiment reads it: also what was lost, or else an arm that kills its process would lose
        nothing by it."""
        return self in _COUNTING_IN_EXPERIMENT


# Looked up once: every execution is asked whether it counts.
_COUNTING = (Status.SUCCEEDED, Status.FAILED, Status.TIMED_OUT, Status.UNSUITABLE)
_COUNTING_IN_EXPERIMENT = (*_COUNTING, Status.LOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a run used of the things that engines charge for. `estimated` where the engine did not say.

    `input_tokens` are those that were not cached; `agent_seconds` add up over the agents that worked.
    """

    seconds: float = 0.0
    agent_seconds: float = 0.0
    queries: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    estimated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of an answer that comes bit by bit, with what has been used up to here."""

    text: str
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What an adapter hands back after a success. `cost_usd` None: price it by the target's cost model."""

    value: Any = None
    cost_usd: Decimal | None = None
    usage: Usage = Usage()
    quality: float | None = None
    run_id: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One attempt. Two facts share one id: the start (`RUNNING`), and the end, which repeats it and adds what came."""

    id: str
    decision_id: str
    process_id: str
    target: str
    adapter: str
    task_type: str
    attempt: int
    fallback: bool
    randomised: bool
    status: Status
    started_at_us: int
    ended_at_us: int | None = None
    latency_us: int | None = None
    cost_micros: Micros = NOTHING
    price_version: str = ""
    usage: Usage = Usage()
    quality: float | None = None
    value: Any = None
    error_code: str | None = None
    error: str | None = None
    run_id: str | None = None

    @property
    def latency_ms(self) -> float | None:
        return None if self.latency_us is None else self.latency_us / 1000
