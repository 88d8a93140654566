"""Reading facts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from heapq import merge
from itertools import groupby, islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, exists, func, select

from mahavishnu.model import Decision, Execution, Outcome, Status
from mahavishnu.ports import Between, Evidence, ExecutionQuery
from mahavishnu.storage.sql.connection.columns import between
from mahavishnu.storage.sql.connection.tables import (
    announcements,
    assignments,
    counter,
    decisions,
    executions,
    metadata,
    outcomes,
    starts,
)
from mahavishnu.storage.sql.facts.fact_rows import (
    assignment_of,
    decision_of,
    ended_of,
    escaped,
    outcome_of,
    revision_of,
    running_of,
)
from mahavishnu.storage.unreadable import read_or_none

_STARTED = select(starts, announcements.c.run_id).select_from(
    starts.outerjoin(announcements, announcements.c.execution_id == starts.c.id)
)
_ENDED = select(executions, announcements.c.run_id.label("announced")).select_from(
    executions.outerjoin(announcements, announcements.c.execution_id == executions.c.id)
)
# In one statement: while a day moves, a decision that was still there may lose its assignments the moment after.
_DECIDED = select(decisions, assignments)
_ITS_ASSIGNMENTS = assignments.c.decision_id == decisions.c.id
_WITHOUT_END = ~exists().where(executions.c.id == starts.c.id)


def newest_position(connection: Connection) -> int:
    """Every fact up to here is visible: the counter commits together with the facts that it numbers."""
    newest: int = connection.execute(select(counter.c.value)).scalar_one()
    return newest


def evidence(
    connection: Connection, since: int, upto: int, besides: str | None, limit: int
) -> list[tuple[int, Evidence]]:
    """The next pieces of evidence after `since`; fewer than `limit` only where there are no more up to `upto`.

    A row that this version cannot read counts for nothing: evidence goes on after it.
    """
    found: list[tuple[int, Evidence]] = []
    while len(found) < limit:
        page, since = _evidence(connection, since, upto, besides, limit - len(found))
        found += page
        if since >= upto:
            break
    return found


def _evidence(
    connection: Connection, since: int, upto: int, besides: str | None, limit: int
) -> tuple[list[tuple[int, Evidence]], int]:
    """What could be read of the next `limit` rows, and up to which position that is."""
    ending = _page(_ENDED, executions, since, upto).limit(limit)
    if besides is not None:
        ending = ending.where(executions.c.process_id != besides)
    ended: Iterable[tuple[int, Evidence | None]] = (
        (row[0], read_or_none("execution", row[1], partial(_ended, row))) for row in connection.execute(ending).all()
    )
    changing = _page(select(outcomes), outcomes, since, upto).where(outcomes.c.target.is_not(None)).limit(limit)
    revised: Iterable[tuple[int, Evidence | None]] = (
        (row[0], read_or_none("outcome", row[1], partial(revision_of, row)))
        for row in connection.execute(changing).all()
    )
    rows = list(islice(merge(ended, revised, key=_position), limit))
    reached = rows[-1][0] if len(rows) == limit else upto
    return [(position, fact) for position, fact in rows if fact is not None], reached


def decision(connection: Connection, decision_id: str) -> Decision | None:
    joined = decisions.outerjoin(assignments, _ITS_ASSIGNMENTS)
    statement = _DECIDED.select_from(joined).where(decisions.c.id == escaped(decision_id))
    found = _decisions(connection.execute(statement.order_by(assignments.c.position)))
    return found[0] if found else None


def newest_decisions(connection: Connection, last: int, task_type: str | None, within: Between) -> list[Decision]:
    newest = select(decisions.c.position).order_by(decisions.c.position.desc()).limit(max(last, 0))
    if task_type is not None:
        newest = newest.where(decisions.c.task_type == escaped(task_type))
    newest = newest.where(*between(decisions.c.at_us, within))
    statement = (
        _DECIDED.select_from(decisions.outerjoin(assignments, _ITS_ASSIGNMENTS))
        .where(decisions.c.position.in_(newest))
        .order_by(decisions.c.position.desc(), assignments.c.position)
    )
    return _decisions(connection.execute(statement))


def execution(connection: Connection, execution_id: str) -> Execution | None:
    id_ = escaped(execution_id)
    ended = connection.execute(_ENDED.where(executions.c.id == id_)).first()
    if ended is not None:
        return _ended(ended)
    started = connection.execute(_STARTED.where(starts.c.id == id_)).first()
    return None if started is None else _running(started)


def newest_executions(connection: Connection, query: ExecutionQuery) -> list[Execution]:
    """Of the newest starts and the newest ends, those that are the newest executions.

    A start whose end is there as well gives way to it. Only a query for those that run has to look whether every start
    has ended; any other stops after the first `last` of each table, however long they have become.
    """
    found: dict[str, Execution] = {}
    if query.status in (None, Status.RUNNING):
        started = _matching(_STARTED, starts, query)
        if query.status is Status.RUNNING or query.last is None:
            started = started.where(_WITHOUT_END)
        found.update((row.id, _running(row)) for row in connection.execute(started))
    if query.status is not Status.RUNNING:
        ended = _matching(_ENDED, executions, query)
        if query.status is not None:
            ended = ended.where(executions.c.status == query.status.value)
        found.update((row.id, _ended(row)) for row in connection.execute(ended))
    newest = sorted(found.values(), key=lambda each: each.id, reverse=True)
    return newest if query.last is None else newest[: max(query.last, 0)]


def outcomes_of(connection: Connection, decision_id: str) -> list[Outcome]:
    statement = select(outcomes).where(outcomes.c.decision_id == escaped(decision_id)).order_by(outcomes.c.position)
    return [outcome_of(row) for row in connection.execute(statement)]


def row_counts(connection: Connection) -> dict[str, int]:
    tables = (table for table in metadata.sorted_tables if table is not counter)
    return {table.name: connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables}


def _decisions(rows: Iterable[Sequence[Any]]) -> list[Decision]:
    """Of rows of decisions, each with one of its assignments, or with nothing."""
    width = len(decisions.c)
    found = []
    for _, ours in groupby(rows, key=_position):
        first, *others = ours
        drawn = [assignment_of(row[width:]) for row in (first, *others) if row[width] is not None]
        found.append(decision_of(first[:width], drawn))
    return found


def _page(statement: Select[Any], table: Table, since: int, upto: int) -> Select[Any]:
    position: ColumnElement[int] = table.c.position
    return statement.where(position > since, position <= upto).order_by(position)


def _matching(statement: Select[Any], table: Table, query: ExecutionQuery) -> Select[Any]:
    conditions = {"decision_id": query.decision_id, "target": query.target, "task_type": query.task_type}
    for column, wanted in conditions.items():
        if wanted is not None:
            statement = statement.where(table.c[column] == escaped(wanted))
    statement = statement.where(*between(table.c.started_at_us, query.within))
    # Identifiers rise with time, so that no index on time is needed besides theirs.
    statement = statement.order_by(table.c.id.desc())
    return statement if query.last is None else statement.limit(max(query.last, 0))


def _position(found: Sequence[Any]) -> int:
    position: int = found[0]
    return position


def _ended(row: Row[Any] | Sequence[Any]) -> Execution:
    *end, announced = row
    return ended_of(end, announced)


def _running(row: Row[Any] | Sequence[Any]) -> Execution:
    *start, run_id = row
    return running_of(start, run_id)
