"""QueuedTask: a task that waits until a budget has room for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mahavishnu.model.task import Task


class QueueStatus(StrEnum):
    """Waiting, then running, then done; given up where it waited too long, or was taken out by hand."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    EXPIRED = "expired"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedTask:
    """Ids sort by the time of queueing, which is the order of running. `decision_id` is that of the run it came to."""

    id: str
    budget: str
    task: Task
    queued_at_us: int
    expires_at_us: int
    policy: str | None = None
    status: QueueStatus = QueueStatus.WAITING
    decision_id: str | None = None
    ended_at_us: int | None = None
    note: str = ""
