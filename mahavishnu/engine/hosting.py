"""Hosting: a workflow that is handed to an engine, which carries it out in a process of its own, perhaps far away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mahavishnu.engine.course import Progress
from mahavishnu.engine.workflows import WorkflowRunner
from mahavishnu.model import Status, Target
from mahavishnu.model.workflow import Workflow
from mahavishnu.model.workflow_run import StepReport, WorkflowReport, WorkflowStart
from mahavishnu.ports import Adapter, Clock, HostsWorkflows, RunRef

ENTRYPOINT = "mahavishnu_flows.workflow.run_workflow"
"""The flow that carries out workflows; it is installed wherever mahavishnu is."""

FLOW = "mahavishnu-workflow"

LOOK_EVERY_S = 0.5


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
    def deployment(self) -> str:
        return f"{FLOW}/{self.pool}"


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A run that an engine has been given, and the engine's own name for it."""

    run_id: str
    ref: RunRef


async def hand_over(
    runner: WorkflowRunner, host: Host, workflow: Workflow, inputs: Mapping[str, Any], run_id: str
) -> HandedOver:
    """Deploy the flow if need be, and begin a run of it. Raises InputError, AdapterError."""
    given = runner.check(workflow, inputs)
    await host.engine.deploy_workflow(host.deployment, ENTRYPOINT, work_pool=host.pool, source=host.folder)
    start = await runner.begin(workflow, given, run_id=run_id, place=host.name, process_id=None)
    # Each start is a flow run of its own: one that died with its worker may still look alive to the engine.
    begun = await host.engine.execute_workflow(host.deployment, _parameters(start, host), idempotency_key=start.id)
    target = Target(name=FLOW, adapter=host.name, run=host.deployment, task_types=frozenset({"workflow"}))
    return HandedOver(run_id, RunRef(target=target, execution_id=start.id, run_id=begun))


async def follow(
    runner: WorkflowRunner, host: Host, handed: HandedOver, clock: Clock, progress: Progress
) -> WorkflowReport:
    """The report on a run that was handed over, once it has ended. To stop following it leaves it as it is."""
    seen: dict[str, StepReport] = {}
    while True:
        # In this order: the flow records its end before the engine knows of it.
        there = await host.adapter.status(handed.ref)
        report = await runner.report(handed.run_id)
        for each in report.steps:
            if each.status is not seen.get(each.step, StepReport(step=each.step)).status:
                progress(each)
            seen[each.step] = each
        if report.status not in (Status.RUNNING, Status.LOST):
            return report
        if there is not None and there.ended:
            await runner.end(handed.run_id, _as_it_ended(there), f"{host.name} ended its run as {there.value}")
            return await runner.report(handed.run_id)
        await clock.sleep(LOOK_EVERY_S)


def _as_it_ended(there: Status) -> Status:
    return Status.CANCELLED if there is Status.CANCELLED else Status.FAILED


def _parameters(start: WorkflowStart, host: Host) -> dict[str, Any]:
    return {
        "definition": dict(start.definition),
        "inputs": dict(start.inputs),
        "run_id": start.run_id,
        "store_url": host.store_url,
        "config": host.config,
    }
