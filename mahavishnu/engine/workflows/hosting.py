"""Hosting: a workflow that is handed to an engine, which carries it out in a process of its own, perhaps far away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from zlib import crc32

from mahavishnu.engine.workflows.progress import Progress
from mahavishnu.engine.workflows.runner import WorkflowRunner
from mahavishnu.errors import AdapterError, Transient
from mahavishnu.model import Status, Target
from mahavishnu.model.workflow import Workflow
from mahavishnu.model.workflow_run import StepReport, WorkflowReport, WorkflowStart
from mahavishnu.ports import Adapter, Clock, HostsWorkflows, RunRef

ENTRYPOINT = "mahavishnu_flows.workflow.run_workflow"
"""The flow that carries out workflows; it is installed wherever mahavishnu is."""

FLOW = "mahavishnu-workflow"

T = TypeVar("T")

LOOK_EVERY_S = 0.5
PATIENCE_S = 30.0
"""How long an engine that is busy is asked again; nothing of it begins twice, by its name or by its key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Where to run it: an adapter's engine, one of its work pools, and the folder that its workers work in.

    `store_url` and `config` are what the worker opens; None leaves it to its own environment.
    """

    name: str
    adapter: Adapter
    engine: HostsWorkflows
    pool: str
    folder: str
    store_url: str | None
    config: str | None

    @property
    def place(self) -> str:
        """As people say it, and as it is recorded with a run."""
        return f"{self.name}/{self.pool}"

    @property
    def deployment(self) -> str:
        """One for each folder, so that two projects can share the workers of a pool."""
        return f"{FLOW}/{self.pool}-{crc32(self.folder.encode()):08x}"


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A run that an engine has been given, and the engine's own name for it."""

    run_id: str
    ref: RunRef


async def hand_over(
    runner: WorkflowRunner, host: Host, clock: Clock, workflow: Workflow, inputs: Mapping[str, Any], run_id: str
) -> HandedOver:
    """Deploy the flow if need be, and begin a run of it. Raises InputError, AdapterError."""
    given = runner.check(workflow, inputs)
    await _patiently(
        clock,
        lambda: host.engine.deploy_workflow(host.deployment, ENTRYPOINT, work_pool=host.pool, source=host.folder),
    )
    start = await runner.begin(workflow, given, run_id=run_id, place=host.place, process_id=None)
    try:
        # Each start is a flow run of its own: one that died with its worker may still look alive to the engine.
        begun = await _patiently(
            clock,
            lambda: host.engine.execute_workflow(host.deployment, _parameters(start, host), idempotency_key=start.id),
        )
    except AdapterError as why:
        await runner.end(run_id, Status.FAILED, f"{host.place} did not take it: {why}")
        raise
    target = Target(name=FLOW, adapter=host.name, run=host.deployment, task_types=frozenset({"workflow"}))
    return HandedOver(run_id, RunRef(target=target, execution_id=start.id, run_id=begun))


async def follow(
    runner: WorkflowRunner, host: Host, clock: Clock, handed: HandedOver, progress: Progress
) -> WorkflowReport:
    """The report on a run that was handed over, once it has ended, or its process is gone.

    To stop following it leaves it as it is.
    """
    seen: dict[str, StepReport] = {}
    while True:
        # In this order: the flow records its end before the engine knows of it.
        there = await _now(host, handed)
        report = await runner.report(handed.run_id)
        for each in report.steps:
            if each.status is not seen.get(each.step, StepReport(step=each.step)).status:
                progress(each)
            seen[each.step] = each
        if report.status is not Status.RUNNING:
            return report
        if there is not None and there.ended:
            await runner.end(handed.run_id, _as_it_ended(there), f"{host.place} ended its run as {there.value}")
            return await runner.report(handed.run_id)
        await clock.sleep(LOOK_EVERY_S)


async def _now(host: Host, handed: HandedOver) -> Status | None:
    """How the engine sees the run; None where it cannot say: it may be busy, or away, while its worker goes on."""
    try:
        return await host.adapter.status(handed.ref)
    except Transient:
        return None


async def _patiently(clock: Clock, ask: Callable[[], Awaitable[T]]) -> T:
    until_s = clock.monotonic_s() + PATIENCE_S
    while True:
        try:
            return await ask()
        except Transient as silence:
            rest_s = max(silence.retry_after_s or 0.0, LOOK_EVERY_S)
            if clock.monotonic_s() + rest_s > until_s:
                raise
        await clock.sleep(rest_s)


def _as_it_ended(there: Status) -> Status:
    return Status.CANCELLED if there is Status.CANCELLED else Status.FAILED


def _parameters(start: WorkflowStart, host: Host) -> dict[str, Any]:
    return {
        "definition": dict(start.definition),
        "inputs": dict(start.inputs),
        "run_id": start.run_id,
        "place": start.place,
        "store_url": host.store_url,
        "config": host.config,
    }
