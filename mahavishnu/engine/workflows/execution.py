"""Passage: one start of a workflow in this process, from its first step to its last."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from mahavishnu.engine.supervision import Loop, Part
from mahavishnu.engine.workflows.progress import Course, Progress
from mahavishnu.engine.workflows.reports import report_of_end, report_of_task, step_key
from mahavishnu.errors import InputError, RepositoryError
from mahavishnu.model import Report, Status, Task
from mahavishnu.model.workflow import Step, Workflow
from mahavishnu.model.workflow_run import StepEnd, StepReport, StepStatus, WorkflowStart
from mahavishnu.ports import Clock, Store
from mahavishnu.settings import Settings

LOOK_EVERY_S = 1.0
"""How often a running workflow looks whether somebody, perhaps in another process, has asked for it to stop."""

RUN_TAG = "workflow_run"
"""The tag that says of a task which run it belongs to."""

LATE = "the workflow's deadline passed"
ASKED = "it was cancelled"
STOPPED = "the process that ran it was stopped"

Perform = Callable[[], Awaitable[StepReport]]

Carry = Callable[[Step, Perform], Awaitable[StepReport]]
"""What stands around each step: awaits it and returns its report. An engine shows the step as a task of its own."""


class Performs(Protocol):
    """What workflows need of the orchestrator."""

    def check(self, task: Task) -> None: ...

    async def perform(self, task: Task) -> Report: ...

    async def cancel(self, decision_id: str) -> bool: ...


class Passage:
    """Begins each step as soon as it may go, and stops on request, at the deadline, and with its process."""

    def __init__(
        self,
        tasks: Performs,
        store: Store,
        clock: Clock,
        settings: Settings,
        workflow: Workflow,
        start: WorkflowStart,
        carry: Carry,
        progress: Progress | None,
    ) -> None:
        self._tasks = tasks
        self._store = store
        self._clock = clock
        self._workflow = workflow
        self._run_id = start.run_id
        self._carry = carry
        self._step_deadline_ms = settings.attempts.deadline_ms
        self._course = Course(workflow, dict(start.inputs), progress)
        limit_ms = workflow.deadline_ms
        self._deadline_s = None if limit_ms is None else clock.monotonic_s() + limit_ms / 1000
        self._running: dict[asyncio.Task[StepReport], Step] = {}
        self._tasks_of: dict[str, asyncio.Task[Report]] = {}
        self._decisions: dict[str, str] = {}
        self._stopped: str | None = None
        self._late = False

    async def to_its_end(self, most: int) -> tuple[Status, str | None]:
        """How the workflow ended, and why; every step has ended by then. Cancelled itself, it cancels its steps."""
        if await self._store.cancel_requested(self._run_id):
            await self._stop(ASKED)
        name = f"cancellation of workflow run {self._run_id}"
        watching = Loop(name, [Part(name, self._watch, self._clock, LOOK_EVERY_S)], self._clock, LOOK_EVERY_S)
        watching.start()
        try:
            await self._work(most)
        except asyncio.CancelledError:
            await self._stop(STOPPED)
            await self._work(most)
            raise
        finally:
            await watching.stop()
            for each in self._running:
                each.cancel()
            if self._running:
                await asyncio.wait(self._running)
        return self._verdict()

    async def _work(self, most: int) -> None:
        while True:
            await self._begin(most)
            if not self._running:
                return
            done, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            for each in sorted(done, key=lambda one: self._running[one].name):
                step = self._running.pop(each)
                # One that was cancelled was so by whatever stands around it, or with everything else of its process.
                report = await self._cancelled(step) if each.cancelled() else each.result()
                await self._record(self._course.end(report))

    async def _begin(self, most: int) -> None:
        """Begin what may go, as far as there is room; nothing any more once the time is up."""
        ready = self._course.ready()
        if ready and self._left_ms() == 0:
            self._late = True
            await self._record(self._course.give_up(StepStatus.SKIPPED, LATE))
            return
        for step in ready[: max(most - len(self._running), 0)]:
            self._course.begin(step)
            carrying = asyncio.ensure_future(self._carry(step, partial(self._perform, step)))
            self._running[carrying] = step

    async def _perform(self, step: Step) -> StepReport:
        """One step, as a task of its own that can be cancelled without whatever stands around it."""
        if self._stopped is not None:
            return StepReport(step=step.name, status=StepStatus.CANCELLED, reason=self._stopped)
        try:
            task = self._task(step)
        except InputError as error:
            return StepReport(step=step.name, status=StepStatus.FAILED, reason=str(error))
        performing = self._tasks_of[step.name] = asyncio.create_task(self._tasks.perform(task))
        try:
            await asyncio.wait({performing})
        except asyncio.CancelledError:
            performing.cancel()
            await asyncio.wait({performing})
            raise
        finally:
            del self._tasks_of[step.name]
        if performing.cancelled():
            return await self._cancelled(step)
        try:
            return report_of_task(step.name, performing.result())
        except InputError as error:
            return StepReport(step=step.name, status=StepStatus.FAILED, reason=str(error))

    def _task(self, step: Step) -> Task:
        given: dict[str, Any] = {
            "idempotency_key": step_key(self._run_id, step.name),
            "tags": {
                **self._workflow.tags,
                "workflow": self._workflow.name,
                RUN_TAG: self._run_id,
                "step": step.name,
            },
        }
        left_ms = self._left_ms()
        if left_ms is not None:
            given["deadline_ms"] = max(1, min(left_ms, step.deadline_ms or self._step_deadline_ms))
        return step.task(self._course.known, **given)

    async def _cancelled(self, step: Step) -> StepReport:
        return await report_of_end(self._store, self._end_of(step.name, StepStatus.CANCELLED, self._stopped))

    # -- stopping ------------------------------------------------------------------------------------------------------

    async def _watch(self) -> Sequence[str]:
        if self._stopped is None and await self._store.cancel_requested(self._run_id):
            await self._stop(ASKED)
        return ()

    async def _stop(self, why: str) -> None:
        """Nothing begins any more, and the engine is told to cancel what runs."""
        if self._stopped is not None:
            return
        self._stopped = why
        given_up = self._course.give_up(StepStatus.CANCELLED, why)
        for name in list(self._tasks_of):
            # Cancelled, a task cannot say any more which decision it came to.
            with suppress(RepositoryError):
                claim = await self._store.holder(step_key(self._run_id, name))
                if claim is not None:
                    self._decisions[name] = claim.decision_id
        for performing in self._tasks_of.values():
            performing.cancel()
        await self._record(given_up)

    # -- what came of it -----------------------------------------------------------------------------------------------

    async def _record(self, reports: Iterable[StepReport]) -> None:
        for each in reports:
            if each.status is not StepStatus.SUCCEEDED:
                if each.decision_id is not None:
                    self._decisions[each.step] = each.decision_id
                await self._store.record_step_end(self._end_of(each.step, each.status, each.reason))

    def _end_of(self, step: str, status: StepStatus, reason: str | None) -> StepEnd:
        return StepEnd(
            id=self._clock.new_id(),
            run_id=self._run_id,
            step=step,
            status=status,
            decision_id=self._decisions.get(step),
            reason=reason,
            at_us=self._clock.now_us(),
        )

    def _verdict(self) -> tuple[Status, str | None]:
        steps = self._course.reports
        bad = [each.step for each in steps if each.status in (StepStatus.FAILED, StepStatus.CANCELLED)]
        if all(each.status is StepStatus.SUCCEEDED for each in steps):
            return Status.SUCCEEDED, None
        if self._stopped is not None:
            return Status.CANCELLED, self._stopped
        if self._late or self._left_ms() == 0:
            return Status.TIMED_OUT, LATE
        return Status.FAILED, f"{', '.join(bad)} did not succeed"

    def _left_ms(self) -> int | None:
        """What is left of the deadline; None where there is none."""
        if self._deadline_s is None:
            return None
        return max(0, int((self._deadline_s - self._clock.monotonic_s()) * 1000))
