"""Runs of workflows in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from mahavishnu.model import Status
from mahavishnu.model.workflow_run import StepEnd, WorkflowEnd, WorkflowRun, WorkflowStart
from mahavishnu.storage.sql.workflows import another_workflow

F = TypeVar("F", WorkflowStart, WorkflowEnd, StepEnd)


@dataclass(slots=True)
class WorkflowMemory:
    """Facts with their positions, in the order in which they came."""

    position: int = 0
    starts: list[tuple[int, WorkflowStart]] = field(default_factory=list)
    ends: list[tuple[int, WorkflowEnd]] = field(default_factory=list)
    step_ends: list[tuple[int, StepEnd]] = field(default_factory=list)
    cancellations: list[tuple[int, str]] = field(default_factory=list)

    def add_start(self, start: WorkflowStart) -> None:
        kept = replace(start, definition=_copy(start.definition), inputs=_copy(start.inputs))
        for _, other in self.starts:
            if other.run_id == start.run_id and (other.definition, other.inputs) != (kept.definition, kept.inputs):
                raise another_workflow(start.run_id)
        self._add(self.starts, kept)

    def add_end(self, end: WorkflowEnd) -> None:
        self._add(self.ends, end)

    def add_step_end(self, end: StepEnd) -> None:
        self._add(self.step_ends, end)

    def run(self, run_id: str, is_alive: Callable[[str], bool]) -> WorkflowRun | None:
        found = self._newest(self.starts, run_id)
        if found is None:
            return None
        begun_at, start = found
        ended_at, end = self._newest(self.ends, run_id) or (0, None)
        if ended_at < begun_at:
            end = None
        status = Status.RUNNING
        if end is not None:
            status = end.status
        elif start.process_id is not None and not is_alive(start.process_id):
            status = Status.LOST
        return WorkflowRun(
            id=run_id,
            definition=_copy(start.definition),
            inputs=_copy(start.inputs),
            place=start.place,
            status=status,
            begun=start.process_id is not None,
            started_at_us=min(each.at_us for _, each in self.starts if each.run_id == run_id),
            ended_at_us=None if end is None else end.at_us,
            reason=None if end is None else end.reason,
            cancel_requested=self.cancel_requested(run_id),
            ends=tuple(each for at, each in self.step_ends if each.run_id == run_id and at > begun_at),
        )

    def runs(self, last: int, is_alive: Callable[[str], bool]) -> list[WorkflowRun]:
        newest = list(dict.fromkeys(each.run_id for _, each in reversed(self.starts)))[: max(last, 0)]
        found = (self.run(run_id, is_alive) for run_id in newest)
        return [replace(each, ends=()) for each in found if each is not None]

    def request_cancel(self, run_id: str) -> bool:
        start, end = self._newest(self.starts, run_id), self._newest(self.ends, run_id)
        if start is None or (end is not None and end[0] > start[0]):
            return False
        self.position += 1
        self.cancellations.append((self.position, run_id))
        return True

    def cancel_requested(self, run_id: str) -> bool:
        ended_at, _ = self._newest(self.ends, run_id) or (0, None)
        return any(at > ended_at for at, each in self.cancellations if each == run_id)

    def _add(self, kept: list[tuple[int, F]], fact: F) -> None:
        """Keep a fact, unless there is one with its id: the first stands."""
        if all(each.id != fact.id for _, each in kept):
            self.position += 1
            kept.append((self.position, fact))

    @staticmethod
    def _newest(kept: list[tuple[int, F]], run_id: str) -> tuple[int, F] | None:
        return next((each for each in reversed(kept) if each[1].run_id == run_id), None)


def _copy(value: object) -> dict[str, object]:
    """As it would come back from a database."""
    copied: dict[str, object] = json.loads(json.dumps(value, allow_nan=False))
    return copied
