"""The queue of the store in a database."""

from __future__ import annotations

from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from mahavishnu.model.queued import QueuedTask, QueueStatus
from mahavishnu.model.unreadable import Rows
from mahavishnu.storage.sql.connection.tables import queued_tasks
from mahavishnu.storage.sql.connection.transaction import Transaction
from mahavishnu.storage.sql.facts.documents import task_json, task_of
from mahavishnu.storage.sql.facts.fact_rows import escaped, unescaped
from mahavishnu.storage.sql.store_part import SqlPart
from mahavishnu.storage.unreadable import read_each

_THERE = select(queued_tasks.c.id).where(queued_tasks.c.id == bindparam("id_"))
_ADD = insert(queued_tasks)
_MOVE = update(queued_tasks).where(queued_tasks.c.id == bindparam("id_"), queued_tasks.c.status == bindparam("before"))


class SqlQueue(SqlPart):
    """The part of the store in a database that keeps tasks that wait."""

    async def enqueue(self, queued: QueuedTask) -> None:
        await self._write(partial(_enqueue, queued=queued))

    async def queued(self, status: QueueStatus | None = None, *, last: int | None = None) -> Rows[QueuedTask]:
        return await self._read(partial(_queued, status=status, last=last))

    async def move_queued(self, id_: str, before: QueueStatus, after: QueuedTask) -> bool:
        return await self._write(partial(_move, id_=id_, before=before, after=after))


def _enqueue(transaction: Transaction, queued: QueuedTask) -> None:
    if not transaction.find(_THERE, {"id_": queued.id}):
        transaction.change(_ADD, _row(queued))


def _move(transaction: Transaction, id_: str, before: QueueStatus, after: QueuedTask) -> bool:
    change = {name: value for name, value in _row(after).items() if name != "id"}
    return transaction.change(_MOVE, {"id_": escaped(id_), "before": before.value, **change}) == 1


def _queued(connection: Connection, status: QueueStatus | None, last: int | None) -> Rows[QueuedTask]:
    statement = select(queued_tasks).order_by(queued_tasks.c.id.desc())
    if status is not None:
        statement = statement.where(queued_tasks.c.status == status.value)
    if last is not None:
        statement = statement.limit(max(last, 0))
    rows = reversed(connection.execute(statement).all())
    return read_each("queued task", rows, lambda row: str(row.id), _queued_of)


def _row(queued: QueuedTask) -> dict[str, Any]:
    return {
        "id": queued.id,
        "budget": queued.budget,
        "task": task_json(queued.task),
        "queued_at_us": queued.queued_at_us,
        "expires_at_us": queued.expires_at_us,
        "policy": None if queued.policy is None else escaped(queued.policy),
        "status": queued.status.value,
        "decision_id": queued.decision_id,
        "ended_at_us": queued.ended_at_us,
        "note": escaped(queued.note),
    }


def _queued_of(row: Row[Any]) -> QueuedTask:
    return QueuedTask(
        id=row.id,
        budget=row.budget,
        task=task_of(row.task),
        queued_at_us=row.queued_at_us,
        expires_at_us=row.expires_at_us,
        policy=None if row.policy is None else unescaped(row.policy),
        status=QueueStatus(row.status),
        decision_id=row.decision_id,
        ended_at_us=row.ended_at_us,
        note=unescaped(row.note),
    )
