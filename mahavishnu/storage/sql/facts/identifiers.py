"""Finding an id by the letters that it ends with, which is how people copy it from a table."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial

from sqlalchemy import ColumnElement, Connection, select, union

from mahavishnu.model.identity import IdKind
from mahavishnu.storage.lake import Lake
from mahavishnu.storage.sql.connection.tables import (
    alerts,
    decisions,
    executions,
    processes,
    queued_tasks,
    starts,
    workflow_starts,
)
from mahavishnu.storage.sql.facts.fact_rows import escaped, unescaped
from mahavishnu.storage.sql.store_part import SqlPart

ENOUGH = 2
"""Two ids with one tail are as good as many: neither is meant."""

_HELD_IN: Mapping[IdKind, Sequence[ColumnElement[str]]] = {
    IdKind.DECISION: (decisions.c.id,),
    IdKind.EXECUTION: (starts.c.id, executions.c.id),
    IdKind.WORKFLOW_RUN: (workflow_starts.c.run_id,),
    IdKind.ALERT: (alerts.c.id,),
    IdKind.PROCESS: (processes.c.id,),
    IdKind.QUEUED_TASK: (queued_tasks.c.id,),
}

_MOVES = {IdKind.DECISION: decisions, IdKind.EXECUTION: executions}
"""What goes to the lake when it is a few days old."""


class SqlIdentifiers(SqlPart):
    """The part of the store in a database that finds ids."""

    @abstractmethod
    def _lake(self) -> Lake: ...

    async def ids_ending(self, kind: IdKind, tail: str) -> Sequence[str]:
        found = set(await self._read(partial(_ending, kind=kind, tail=tail)))
        if kind in _MOVES and len(found) < ENOUGH:
            found |= await self._lake().ids_ending(_MOVES[kind], tail, ENOUGH)
        return sorted(found)[:ENOUGH]


def _ending(connection: Connection, kind: IdKind, tail: str) -> list[str]:
    """Without an index: a table is read from end to end, as people do not do this often."""
    those = (select(column).where(column.endswith(escaped(tail), autoescape=True)) for column in _HELD_IN[kind])
    rows = connection.execute(union(*those).limit(ENOUGH))
    return [unescaped(row[0]) for row in rows]
