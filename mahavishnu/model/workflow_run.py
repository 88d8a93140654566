"""What became of a workflow: the facts that are recorded, and the reports that are read off them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mahavishnu.model.execution import Status


class StepStatus(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self not in (StepStatus.WAITING, StepStatus.RUNNING)


HERE = "here"
"""The place of a workflow that runs in the process that was asked to run it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowStart:
    """A fact: a run of a workflow was started, or started again under the same `run_id` to finish what is left.

    `place` is where: here, or on the engine of an adapter. `process_id` is None where the run was handed to an engine
    and no process has begun it yet.
    """

    id: str
    run_id: str
    definition: Mapping[str, Any]
    inputs: Mapping[str, Any]
    place: str
    process_id: str | None
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowEnd:
    """A fact: the newest start of a run has ended."""

    id: str
    run_id: str
    status: Status
    reason: str | None
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnd:
    """A fact: a step ended without success. Where it succeeded its idempotency key says so, and under which decision.

    `decision_id` is None where nothing was decided: it was skipped, or its task could not be made.
    """

    id: str
    run_id: str
    step: str
    status: StepStatus
    decision_id: str | None
    reason: str | None
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowRun:
    """A run as the store knows it.

    `status` is RUNNING until an end is recorded, and LOST where the process that was to record it is gone. `begun` says
    whether a process has taken it up. `ends` are those of steps since it was started last.
    """

    id: str
    definition: Mapping[str, Any]
    inputs: Mapping[str, Any]
    place: str
    status: Status
    begun: bool
    started_at_us: int
    ended_at_us: int | None
    reason: str | None
    cancel_requested: bool
    ends: tuple[StepEnd, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """How a step stands: `target`, `latency_us` and `value` are those of its last attempt, the cost that of all."""

    step: str
    status: StepStatus = StepStatus.WAITING
    reason: str | None = None
    decision_id: str | None = None
    target: str | None = None
    attempts: int = 0
    cost_micros: int = 0
    latency_us: int | None = None
    value: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowReport:
    """How a run of a workflow stands, or how it ended; the steps stand in the order in which they were written."""

    run_id: str
    workflow: str
    place: str
    status: Status
    reason: str | None
    started_at_us: int
    ended_at_us: int | None
    steps: tuple[StepReport, ...]

    @property
    def succeeded(self) -> bool:
        return self.status is Status.SUCCEEDED

    @property
    def cost_micros(self) -> int:
        return sum(each.cost_micros for each in self.steps)

    def step(self, name: str) -> StepReport:
        return next(each for each in self.steps if each.step == name)
