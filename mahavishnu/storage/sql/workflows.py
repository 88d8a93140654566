"""Runs of workflows: their starts, their ends, the ends of their steps, and who asked for them to stop."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, select

from mahavishnu.errors import InputError
from mahavishnu.model import Status
from mahavishnu.model.workflow import invalid_workflow
from mahavishnu.model.workflow_run import StepEnd, StepStatus, WorkflowEnd, WorkflowRun, WorkflowStart
from mahavishnu.storage.sql.connection.tables import cancellations, processes, step_ends, workflow_ends, workflow_starts
from mahavishnu.storage.sql.connection.transaction import Transaction
from mahavishnu.storage.sql.coordination.presence import Census
from mahavishnu.storage.sql.facts.fact_rows import escaped, unescaped
from mahavishnu.storage.sql.store_part import SqlPart

_starts, _ends = workflow_starts.c, workflow_ends.c
_others = workflow_starts.alias()
_other_ends = workflow_ends.alias()

_FIRST_AT = select(func.min(_others.c.at_us)).where(_others.c.run_id == _starts.run_id).scalar_subquery()
_NEWEST_START = select(func.max(_others.c.position)).where(_others.c.run_id == _starts.run_id).scalar_subquery()
_NEWEST_END = select(func.max(_other_ends.c.position)).where(_other_ends.c.run_id == _starts.run_id).scalar_subquery()
_CANCELLED = (
    select(func.max(cancellations.c.position)).where(cancellations.c.run_id == _starts.run_id).scalar_subquery()
)
_RUNS = (
    select(
        _starts.position,
        _starts.run_id,
        _starts.definition,
        _starts.inputs,
        _starts.place,
        _starts.process_id,
        _FIRST_AT.label("first_at_us"),
        func.coalesce(_ends.position, 0).label("end_position"),
        _ends.status,
        _ends.reason,
        _ends.at_us.label("ended_at_us"),
        func.coalesce(_CANCELLED, 0).label("cancel_position"),
        *(column.label(f"owner_{column.name}") for column in processes.c),
    )
    .select_from(
        workflow_starts.outerjoin(workflow_ends, _ends.position == _NEWEST_END).outerjoin(
            processes, processes.c.id == _starts.process_id
        )
    )
    .where(_starts.position == _NEWEST_START)
)
_RUN = _RUNS.where(_starts.run_id == bindparam("run"))
_ANY_START = (
    select(_starts.definition, _starts.inputs).where(_starts.run_id == bindparam("run")).order_by(_starts.position)
).limit(1)
_STEP_ENDS = (
    select(step_ends)
    .where(step_ends.c.run_id == bindparam("run"), step_ends.c.position > bindparam("since"))
    .order_by(step_ends.c.position)
)


class SqlWorkflows(SqlPart):
    """The part of the store in a database that keeps runs of workflows."""

    _census: Census

    async def record_workflow_start(self, start: WorkflowStart) -> None:
        await self._write(partial(_record_start, start=start), facts=1)

    async def record_step_end(self, end: StepEnd) -> None:
        await self._write(partial(_record_step_end, end=end), facts=1)

    async def record_workflow_end(self, end: WorkflowEnd) -> None:
        await self._write(partial(_record_end, end=end), facts=1)

    async def workflow(self, run_id: str) -> WorkflowRun | None:
        return await self._read(partial(_workflow_run, run_id=run_id, census=self._census))

    async def workflows(self, last: int) -> Sequence[WorkflowRun]:
        return await self._read(partial(_newest_runs, last=last, census=self._census))

    async def request_cancel(self, run_id: str) -> bool:
        now_us = self._clock.now_us()
        return await self._write(partial(_request_cancel, run_id=run_id, at_us=now_us), facts=1)

    async def cancel_requested(self, run_id: str) -> bool:
        return await self._read(partial(_cancel_requested, run_id=run_id))


def another_workflow(run_id: str) -> InputError:
    """What is raised where one run id is used for two things."""
    return invalid_workflow(
        f'run "{run_id}"',
        "it belongs to another workflow or to other inputs; choose another id, or resume it as it was",
    )


def _record_start(transaction: Transaction, start: WorkflowStart) -> None:
    definition, inputs = _json(start.definition), _json(start.inputs)
    for row in transaction.find(_ANY_START, {"run": escaped(start.run_id)}):
        if (row.definition, row.inputs) != (definition, inputs):
            raise another_workflow(start.run_id)
    transaction.add(
        workflow_starts,
        (
            transaction.position(),
            start.id,
            escaped(start.run_id),
            definition,
            inputs,
            escaped(start.place),
            start.process_id,
            start.at_us,
        ),
    )


def _record_end(transaction: Transaction, end: WorkflowEnd) -> None:
    transaction.add(
        workflow_ends,
        (transaction.position(), end.id, escaped(end.run_id), end.status.value, _escaped(end.reason), end.at_us),
    )


def _record_step_end(transaction: Transaction, end: StepEnd) -> None:
    transaction.add(
        step_ends,
        (
            transaction.position(),
            end.id,
            escaped(end.run_id),
            escaped(end.step),
            end.status.value,
            end.decision_id,
            _escaped(end.reason),
            end.at_us,
        ),
    )


def _request_cancel(transaction: Transaction, run_id: str, at_us: int) -> bool:
    found = transaction.find(_RUN, {"run": escaped(run_id)})
    if not found or found[0].end_position > found[0].position:
        return False
    transaction.add(cancellations, (transaction.position(), escaped(run_id), at_us))
    return True


def _cancel_requested(connection: Connection, run_id: str) -> bool:
    row = connection.execute(_RUN, {"run": escaped(run_id)}).first()
    return row is not None and row.cancel_position > row.end_position


def _workflow_run(connection: Connection, run_id: str, census: Census) -> WorkflowRun | None:
    row = connection.execute(_RUN, {"run": escaped(run_id)}).first()
    if row is None:
        return None
    found = connection.execute(_STEP_ENDS, {"run": escaped(run_id), "since": row.position})
    return replace(_run_of(row, census), ends=tuple(_step_end_of(each) for each in found))


def _newest_runs(connection: Connection, last: int, census: Census) -> list[WorkflowRun]:
    newest: Select[Any] = _RUNS.order_by(_starts.position.desc()).limit(max(last, 0))
    return [_run_of(row, census) for row in connection.execute(newest)]


def _run_of(row: Row[Any], census: Census) -> WorkflowRun:
    over = row.end_position > row.position
    begun = row.process_id is not None
    status = Status.RUNNING
    if over:
        status = Status(row.status)
    elif begun and census.is_gone(row[-len(processes.c) :]):
        status = Status.LOST
    return WorkflowRun(
        id=unescaped(row.run_id),
        definition=json.loads(row.definition),
        inputs=json.loads(row.inputs),
        place=unescaped(row.place),
        status=status,
        begun=begun,
        started_at_us=row.first_at_us,
        ended_at_us=row.ended_at_us if over else None,
        reason=_unescaped(row.reason) if over else None,
        cancel_requested=row.cancel_position > row.end_position,
    )


def _step_end_of(row: Row[Any]) -> StepEnd:
    _position, id_, run_id, step, status, decision_id, reason, at_us = row
    return StepEnd(
        id=id_,
        run_id=unescaped(run_id),
        step=unescaped(step),
        status=StepStatus(status),
        decision_id=decision_id,
        reason=_unescaped(reason),
        at_us=at_us,
    )


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), allow_nan=False)


def _escaped(text: str | None) -> str | None:
    return None if text is None else escaped(text)


def _unescaped(text: str | None) -> str | None:
    return None if text is None else unescaped(text)
