"""The flow that carries out a workflow: its tasks are the steps."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed, Failed

from mahavishnu.app import open_app
from mahavishnu.engine.workflows.execution import Perform
from mahavishnu.model import Status
from mahavishnu.model.workflow import Step
from mahavishnu.model.workflow_run import StepReport, StepStatus
from mahavishnu.settings import load_settings


@flow(name="mahavishnu-workflow", flow_run_name="{run_id}", retries=0, persist_result=False)
async def run_workflow(
    definition: dict[str, Any],
    inputs: dict[str, Any],
    run_id: str,
    place: str = "prefect",
    store_url: str | None = None,
    config: str | None = None,
) -> State[Any]:
    """Run what is left of a workflow: steps that have succeeded under this `run_id` are not repeated.

    So this flow run may be run again, and another one may be begun for the same run, after whatever has happened.
    """
    stores = {} if store_url is None else {"store": {"url": store_url}}
    settings = load_settings(Path(config) if config else None, os.environ, stores)
    async with open_app(settings) as app:
        carrying = asyncio.create_task(
            app.workflows.take_up(definition, inputs, run_id=run_id, place=place, carry=AsTasks())
        )
        with _stopped_in_order(carrying):
            await _ended(carrying)
        report = await app.workflows.report(run_id) if carrying.cancelled() else carrying.result()
    return _state(report.status, report.reason)


async def _ended(carrying: asyncio.Task[Any]) -> None:
    """However it ends; where we are cancelled ourselves, it is first."""
    try:
        await asyncio.wait({carrying})
    except asyncio.CancelledError:
        carrying.cancel()
        await asyncio.wait({carrying})
        raise


@contextmanager
def _stopped_in_order(carrying: asyncio.Task[Any]) -> Iterator[None]:
    """SIGTERM, by which Prefect ends a run, cancels the workflow, which then stops what it has begun elsewhere.

    Prefect's own handler raises in the midst of the event loop, which cancels everything at once: whatever was telling
    an engine to stop would be stopped itself.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Signals are somebody else's business here, as in a test of the flow.
        return

    def stop() -> None:
        if not carrying.cancelling():
            carrying.cancel()

    loop = asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGTERM)
    loop.add_signal_handler(signal.SIGTERM, stop)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)


class AsTasks:
    """Stands around each step as a task run, which waits for those of the steps that it needs."""

    def __init__(self) -> None:
        self._states: dict[str, State[Any]] = {}

    async def __call__(self, step: Step, perform: Perform) -> StepReport:
        reports: list[StepReport] = []

        # Tries again, and results to keep, are the engine's business and the store's.
        @task(name=step.name, task_run_name=step.name, retries=0, persist_result=False, cache_policy=NO_CACHE)
        async def carry() -> State[Any]:
            report = await perform()
            reports.append(report)
            return _state(report.status, report.reason or (report.target and f"on {report.target}"))

        needed = [self._states[need] for need in step.needs]
        # Prefect's types forget that with return_state an async task is to be awaited, too.
        running = cast("Awaitable[State[Any]]", carry(return_state=True, wait_for=needed))
        self._states[step.name] = state = await running
        if not reports:
            await state.aresult()  # raises what kept the step from being performed
        return reports[0]


def _state(status: Status | StepStatus, message: str | None) -> State[Any]:
    match status:
        case Status.SUCCEEDED | StepStatus.SUCCEEDED:
            return Completed(message=message)
        case Status.CANCELLED | StepStatus.CANCELLED:
            return Cancelled(message=message)
        case _:
            return Failed(message=message)
