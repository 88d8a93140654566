"""Run: what one task has come to so far, and whose turn it is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from mahavishnu.engine.routing.breaker import Breaker
from mahavishnu.engine.routing.slots import Places
from mahavishnu.engine.running.streams import Stream
from mahavishnu.model import Decision, Execution, Ranked, Reservation, Shortfall, Target, Task
from mahavishnu.model.queued import QueuedTask
from mahavishnu.ports import Adapter, Settlement


@dataclass(slots=True)
class Run:
    """What one task has come to so far."""

    task: Task
    decision_id: str
    began_s: float = 0.0
    deadline_s: float = 0.0
    token: int | None = None
    """What this process went by when the run claimed its key; None for a run without one."""
    carrier: asyncio.Task[Any] | None = None
    stream: Stream | None = None
    decision: Decision | None = None
    cancelled: bool = False
    settled: bool = False
    policy: str | None = None
    queued: QueuedTask | None = None
    shortfalls: list[Shortfall] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def cost_micros(self) -> int:
        return sum(each.cost_micros for each in self.executions)

    def settlement(self, *, succeeded: bool) -> Settlement | None:
        """What is to be written with the last fact, where the run holds an idempotency key."""
        if self.task.idempotency_key is None or self.settled:
            return None
        self.settled = True
        return Settlement(key=self.task.idempotency_key, decision_id=self.decision_id, succeeded=succeeded)


@dataclass(frozen=True, slots=True)
class Leg:
    """One target's turn in the chain."""

    decision: Decision
    ranked: Ranked
    target: Target
    adapter: Adapter
    breaker: Breaker
    places: Places
    fallback: bool
    last: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that is about to begin, and what is set aside for it."""

    start: Execution
    reservation: Reservation | None
    token: int
