"""Report: what became of one task, its decision and every attempt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mahavishnu.errors import MahavishnuError
from mahavishnu.model.decision import Decision
from mahavishnu.model.execution import Execution, Status
from mahavishnu.model.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`error` is None exactly when the task succeeded; `value` may be None all the same, if that is what came back.

    `replayed`: nothing ran now, this is what the same idempotency key brought before.
    """

    task: Task
    decision: Decision | None
    executions: tuple[Execution, ...] = ()
    value: Any = None
    error: MahavishnuError | None = None
    replayed: bool = False
    latency_us: int = 0

    @property
    def succeeded(self) -> bool:
        return self.error is None

    @property
    def last(self) -> Execution | None:
        return self.executions[-1] if self.executions else None

    @property
    def status(self) -> Status | None:
        """How the last attempt ended; None where none was made."""
        return self.last.status if self.last else None

    @property
    def cost_micros(self) -> int:
        """What all attempts cost together."""
        return sum(each.cost_micros for each in self.executions)
