"""Course: how far a workflow has come, and which of its steps may go next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mahavishnu.model.workflow import INPUTS, Step, Workflow
from mahavishnu.model.workflow_run import StepReport, StepStatus

Progress = Callable[[StepReport], None]
"""Told of every step whenever its status changes."""


class Course:
    """Keeps what became of each step. Pure bookkeeping: it runs nothing and waits for nothing."""

    def __init__(self, workflow: Workflow, inputs: dict[str, Any], progress: Progress | None) -> None:
        self._workflow = workflow
        self._progress = progress
        self._reports = {step.name: StepReport(step=step.name) for step in workflow.steps}
        self.known: dict[str, Any] = {INPUTS: inputs}
        """What templates may name: the inputs, and of each step that succeeded its value."""

    @property
    def reports(self) -> tuple[StepReport, ...]:
        return tuple(self._reports.values())

    def ready(self) -> list[Step]:
        """The steps that wait for nothing any more, in the order in which they were written."""
        return [step for step in self._workflow.steps if self._is(step.name, StepStatus.WAITING) and self._may_go(step)]

    def begin(self, step: Step) -> None:
        self._keep(replace(self._reports[step.name], status=StepStatus.RUNNING))

    def end(self, report: StepReport) -> list[StepReport]:
        """What a step ended as, followed by every step that can no longer run because of it."""
        self._keep(report)
        if report.status is StepStatus.SUCCEEDED:
            self.known[report.step] = {"value": report.value}
            return [report]
        return [report, *self._skip_what_needs(report)]

    def give_up(self, status: StepStatus, reason: str) -> list[StepReport]:
        """End every step that has not begun."""
        waiting = [each for each in self._reports.values() if each.status is StepStatus.WAITING]
        return [self._keep(replace(each, status=status, reason=reason)) for each in waiting]

    def _skip_what_needs(self, report: StepReport) -> list[StepReport]:
        skipped: list[StepReport] = []
        without = {report.step}
        # A step may be written above one that it needs, so once through is not enough.
        while lost := self._next_without(without):
            without.add(lost.name)
            reason = f'needs "{report.step}", which {_ended(report.status)}'
            skipped.append(self._keep(StepReport(step=lost.name, status=StepStatus.SKIPPED, reason=reason)))
        return skipped

    def _next_without(self, without: set[str]) -> Step | None:
        steps = (each for each in self._workflow.steps if self._is(each.name, StepStatus.WAITING))
        return next((each for each in steps if not without.isdisjoint(each.needs)), None)

    def _may_go(self, step: Step) -> bool:
        return all(self._is(need, StepStatus.SUCCEEDED) for need in step.needs)

    def _is(self, name: str, status: StepStatus) -> bool:
        return self._reports[name].status is status

    def _keep(self, report: StepReport) -> StepReport:
        self._reports[report.step] = report
        if self._progress is not None:
            self._progress(report)
        return report


def _ended(status: StepStatus) -> str:
    return "was cancelled" if status is StepStatus.CANCELLED else status.value
