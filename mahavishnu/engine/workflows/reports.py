"""How a workflow stands, read off what the store knows of its keys, decisions and executions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from mahavishnu.errors import TaskCancelled, UnknownName
from mahavishnu.model import Execution, Report
from mahavishnu.model.workflow_run import StepEnd, StepReport, StepStatus, WorkflowReport, WorkflowRun
from mahavishnu.ports import ExecutionQuery, Store


def step_key(run_id: str, step: str) -> str:
    """The idempotency key of a step: the same for every start of the run, so that a success is never repeated."""
    return f"workflow:{run_id}:{step}"


def unknown_run(run_id: str) -> UnknownName:
    return UnknownName(kind="workflow run", name=run_id, see="mahavishnu workflow list")


async def report_on(store: Store, run: WorkflowRun) -> WorkflowReport:
    ends = {each.step: each for each in run.ends}
    steps = await asyncio.gather(*(_stands(store, run.id, name, ends.get(name)) for name in run.definition["steps"]))
    return WorkflowReport(
        run_id=run.id,
        workflow=run.definition["workflow"]["name"],
        place=run.place,
        status=run.status,
        reason=run.reason,
        started_at_us=run.started_at_us,
        ended_at_us=run.ended_at_us,
        steps=tuple(steps),
    )


async def _stands(store: Store, run_id: str, step: str, end: StepEnd | None) -> StepReport:
    claim = await store.holder(step_key(run_id, step))
    if claim is not None:
        executions = await _executions(store, claim.decision_id)
        status = StepStatus.SUCCEEDED if claim.over else StepStatus.RUNNING
        value = executions[-1].value if claim.over and executions else None
        return StepReport(step=step, status=status, decision_id=claim.decision_id, value=value, **_seen(executions))
    if end is None:
        return StepReport(step=step)
    return await report_of_end(store, end)


async def report_of_end(store: Store, end: StepEnd) -> StepReport:
    executions = await _executions(store, end.decision_id) if end.decision_id is not None else []
    return StepReport(
        step=end.step, status=end.status, reason=end.reason, decision_id=end.decision_id, **_seen(executions)
    )


def report_of_task(step: str, report: Report) -> StepReport:
    """What one task came to, as the report of its step."""
    match report.error:
        case None:
            status = StepStatus.SUCCEEDED
        case TaskCancelled():
            status = StepStatus.CANCELLED
        case _:
            status = StepStatus.FAILED
    return StepReport(
        step=step,
        status=status,
        reason=None if report.error is None else str(report.error),
        decision_id=report.decision.id if report.decision else None,
        value=report.value,
        **_seen(report.executions),
    )


async def _executions(store: Store, decision_id: str) -> Sequence[Execution]:
    """The oldest first."""
    return list(await store.executions(ExecutionQuery(decision_id=decision_id, last=None)))[::-1]


def _seen(executions: Sequence[Execution]) -> dict[str, Any]:
    last = executions[-1] if executions else None
    return {
        "target": last.target if last else None,
        "attempts": len(executions),
        "cost_micros": sum(each.cost_micros for each in executions),
        "latency_us": last.latency_us if last else None,
    }
