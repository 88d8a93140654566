"""A task that was not carried out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mahavishnu.errors.root import MahavishnuError, stopped


class WorkflowError(MahavishnuError):
    """A well-formed task that was not carried out."""

    code = "workflow"


@dataclass(eq=False, kw_only=True)
class NothingEligible(WorkflowError):
    """Admission left no target: `why_not` says for each one why."""

    code: ClassVar[str] = "nothing-eligible"
    task_type: str
    why_not: Mapping[str, str]
    decision_id: str | None = None
    waited_ms: int = 0
    relaxation: str | None = None

    def __str__(self) -> str:
        waited = f" (waited {self.waited_ms / 1000:.1f} s for one to recover)" if self.waited_ms >= 100 else ""
        each = "; ".join(f"{target}: {why}" for target, why in self.why_not.items())
        said = f'No target may run "{self.task_type}" now{waited}: {each or "no target is configured"}'
        return stopped(said if self.mend is None else f"{stopped(said)} {self.mend}")

    @property
    def mend(self) -> str | None:
        return self.relaxation


@dataclass(eq=False, kw_only=True)
class TaskFailed(WorkflowError):
    """Every attempt that could be made was made, and none succeeded: `attempts` says what each one ended as."""

    code: ClassVar[str] = "task-failed"
    decision_id: str
    attempts: Sequence[str]
    stopped: str = "no target is left to try"

    def __str__(self) -> str:
        each = "; ".join(self.attempts) or "no attempt could be started"
        return f"The task failed, {self.stopped}: {each.rstrip('.')} ({self.mend})."

    @property
    def mend(self) -> str:
        return f"mahavishnu executions --decision {self.decision_id}"


@dataclass(eq=False, kw_only=True)
class TaskCancelled(WorkflowError):
    code: ClassVar[str] = "task-cancelled"
    decision_id: str

    def __str__(self) -> str:
        return f"The task of decision {self.decision_id} was cancelled; run it again with the same key to start anew."


@dataclass(eq=False, kw_only=True)
class BudgetExhausted(WorkflowError):
    """No attempt was made that the budget had no room for: `why_not` says for each target what it would have taken."""

    code: ClassVar[str] = "budget-exhausted"
    budget: str
    decision_id: str
    why_not: Sequence[str]
    until: str | None = None

    def __str__(self) -> str:
        turns = f"its period turns at {self.until}, or" if self.until else "to go on,"
        each = "; ".join(self.why_not)
        return f'Budget "{self.budget}" has no room: {each}; {turns} raise it: {self.mend}.'

    @property
    def mend(self) -> str:
        return f"mahavishnu budgets set {self.budget}"


@dataclass(eq=False, kw_only=True)
class TaskQueued(WorkflowError):
    """A budget that keeps tasks for later has kept this one; what becomes of it is recorded under its queue id."""

    code: ClassVar[str] = "task-queued"
    budget: str
    decision_id: str
    queued_id: str
    why_not: Sequence[str]
    until: str | None = None

    def __str__(self) -> str:
        turns = f" or its period turns at {self.until}" if self.until else ""
        each = "; ".join(self.why_not)
        return (
            f'Budget "{self.budget}" has no room ({each}); the task waits as {self.queued_id} '
            f"until it is raised{turns} ({self.mend})."
        )

    @property
    def mend(self) -> str:
        return "mahavishnu budgets queue"
