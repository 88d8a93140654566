"""Workflows: steps with dependencies between them, each of them routed and run like any other task."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from mahavishnu.engine.workflows.definitions import definition_of, workflow_of
from mahavishnu.engine.workflows.execution import RUN_TAG, STOPPED, Carry, Passage, Perform, Performs
from mahavishnu.engine.workflows.progress import Progress
from mahavishnu.engine.workflows.reports import report_on, unknown_run
from mahavishnu.errors import AdapterError, InputError, RepositoryError, UnknownName
from mahavishnu.model import Status
from mahavishnu.model.task import NAME
from mahavishnu.model.workflow import Step, Workflow, invalid_workflow
from mahavishnu.model.workflow_run import (
    HERE,
    StepReport,
    WorkflowEnd,
    WorkflowReport,
    WorkflowRun,
    WorkflowStart,
)
from mahavishnu.ports import Clock, ExecutionQuery, Store
from mahavishnu.settings import Settings


async def by_itself(_step: Step, perform: Perform) -> StepReport:
    """A step with nothing around it."""
    return await perform()


class WorkflowRunner:
    """Runs workflows, and says how they stand.

    Every step runs under an idempotency key made of the run's id and its name. To run a workflow again under the same
    id is therefore to resume it: what has succeeded is answered from its key, in any process, and never runs twice.
    """

    def __init__(self, tasks: Performs, store: Store, clock: Clock, settings: Settings) -> None:
        self._tasks = tasks
        self._store = store
        self._clock = clock
        self._settings = settings

    async def execute_workflow(
        self,
        workflow: Workflow,
        inputs: Mapping[str, Any] | None = None,
        *,
        run_id: str | None = None,
        concurrency: int | None = None,
        progress: Progress | None = None,
        place: str = HERE,
        carry: Carry = by_itself,
    ) -> WorkflowReport:
        """Run every step as soon as what it needs has succeeded, at most `concurrency` at once.

        A step that fails stops only what needs it. Raises InputError, before anything runs, for a workflow that cannot
        be meant, and RepositoryError where it cannot be recorded; how its steps ended is in the report.
        """
        given = self.check(workflow, inputs or {})
        start = await self.begin(workflow, given, run_id=run_id, place=place, process_id=self._store.process_id)
        passage = Passage(self._tasks, self._store, self._clock, self._settings, workflow, start, carry, progress)
        try:
            status, reason = await passage.to_its_end(concurrency or self._settings.limits.concurrency)
        except asyncio.CancelledError:
            await self.end(start.run_id, Status.CANCELLED, STOPPED)
            raise
        except Exception as why:
            # Otherwise it would look as if it still ran, for as long as this process lives.
            with suppress(RepositoryError):
                await self.end(start.run_id, Status.FAILED, f"it broke off: {type(why).__name__}: {why}")
            raise
        await self.end(start.run_id, status, reason)
        return await self.report(start.run_id)

    def check(self, workflow: Workflow, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs of a run; raises InputError where the workflow, or any of its steps, cannot be meant here."""
        given = workflow.with_inputs(inputs)
        for step in workflow.steps:
            try:
                self._tasks.check(step.task({}, rendered=False))
            except InputError as error:
                raise step.invalid(str(error).rstrip(".")) from error
        return given

    async def begin(
        self, workflow: Workflow, inputs: Mapping[str, Any], *, run_id: str | None, place: str, process_id: str | None
    ) -> WorkflowStart:
        """Record the start of a run. Without a `process_id` it is handed to an engine, where a process takes it up."""
        if run_id is not None and not NAME.fullmatch(run_id):
            raise invalid_workflow(f"run {run_id!r:.120}", "its id must be one word of letters, digits and _.:/@-")
        start = WorkflowStart(
            id=self._clock.new_id(),
            run_id=run_id or self._clock.new_id(),
            definition=definition_of(workflow),
            inputs=inputs,
            place=place,
            process_id=process_id,
            at_us=self._clock.now_us(),
        )
        await self._store.record_workflow_start(start)
        return start

    async def take_up(
        self, definition: Mapping[str, Any], inputs: Mapping[str, Any], *, run_id: str, place: str, carry: Carry
    ) -> WorkflowReport:
        """Carry out, in a process of an engine's, a run that was handed over to it."""
        workflow = workflow_of(definition, f'run "{run_id}"')
        return await self.execute_workflow(workflow, inputs, run_id=run_id, place=place, carry=carry)

    async def resume(
        self,
        run_id: str,
        *,
        concurrency: int | None = None,
        progress: Progress | None = None,
    ) -> WorkflowReport:
        """Run what is left of a run, here. What it is comes from the store. Raises what `put_to_rest` does."""
        run = await self.put_to_rest(run_id)
        return await self.execute_workflow(
            workflow_of(run.definition, f'run "{run_id}"'),
            run.inputs,
            run_id=run_id,
            concurrency=concurrency,
            progress=progress,
        )

    async def put_to_rest(self, run_id: str) -> WorkflowRun:
        """The run; where its process is gone, that is recorded as its end.

        Raises UnknownName, and InputError where a process is at it.
        """
        run = await self._run(run_id)
        if run.status is Status.RUNNING and run.begun:
            raise invalid_workflow(f'run "{run_id}"', "it is still running; wait for its end, or cancel it first")
        if run.status is Status.LOST:
            # What was asked of a process that is gone must not stop the next one.
            await self.end(run_id, Status.LOST, "the process that ran it is gone")
        return run

    async def report(self, run_id: str) -> WorkflowReport:
        """How a run stands, in whichever process it runs. Raises UnknownName."""
        return await report_on(self._store, await self._run(run_id))

    async def cancel(self, run_id: str) -> bool:
        """Ask for a run to stop, in whichever process it runs; whether there was one to stop.

        The process looks once a second. Its running steps are cancelled, also where they run remotely; steps that have
        not begun never do. Where the process is gone, what it left running on an engine is stopped from here. Raises
        UnknownName, and AdapterError where an engine could not be told: ask again.
        """
        run = await self._run(run_id)
        if run.status is Status.LOST:
            await self._stop_what_is_left(run)
            await self.end(run_id, Status.CANCELLED, "it was cancelled after its process was gone")
            return True
        return await self._store.request_cancel(run_id)

    async def _stop_what_is_left(self, run: WorkflowRun) -> None:
        away: list[AdapterError] = []
        for decision_id in await self._left_behind(run):
            try:
                await self._tasks.cancel(decision_id)
            except UnknownName:
                continue  # Its target was removed, and nobody knows any more whom to tell.
            except AdapterError as why:
                away.append(why)
        if away:
            raise away[0]

    async def _left_behind(self, run: WorkflowRun) -> list[str]:
        """The decisions whose attempts never ended. Their keys are free again, so the attempts are looked through."""
        queries = [ExecutionQuery(status=status, last=None) for status in (Status.RUNNING, Status.LOST)]
        attempts = [each for query in queries for each in await self._store.executions(query)]
        since = {each.decision_id for each in attempts if each.started_at_us >= run.started_at_us}
        decisions = [await self._store.decision(each) for each in sorted(since)]
        return [each.id for each in decisions if each is not None and each.task.tags.get(RUN_TAG) == run.id]

    async def _run(self, run_id: str) -> WorkflowRun:
        run = await self._store.workflow(run_id)
        if run is None:
            raise unknown_run(run_id)
        return run

    async def end(self, run_id: str, status: Status, reason: str | None) -> None:
        await self._store.record_workflow_end(
            WorkflowEnd(
                id=self._clock.new_id(), run_id=run_id, status=status, reason=reason, at_us=self._clock.now_us()
            )
        )
