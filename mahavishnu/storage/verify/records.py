"""Whether the records hold together: positions, and what records say of each other."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Column, Select, Table, exists, func, select, union_all

from mahavishnu.model import Status
from mahavishnu.storage.lake.lookups import known_among
from mahavishnu.storage.sql.connection.tables import (
    announcements,
    assignments,
    decisions,
    executions,
    experiments,
    keys,
    marks,
    metadata,
    outcomes,
    snapshots,
    starts,
    step_ends,
    workflow_ends,
    workflow_starts,
)
from mahavishnu.storage.sql.facts.fact_rows import unescaped
from mahavishnu.storage.sql.facts.facts_read import newest_position
from mahavishnu.storage.verify.findings import SHOWN, Finding, Subject
from mahavishnu.storage.verify.lake_ids import missing, not_raw, succeeded_among

_NUMBERED = [
    table
    for table in metadata.sorted_tables
    # An announcement has the position of the start that it came with.
    if table is not announcements and "position" in table.primary_key.columns
]
_POSITIONS = union_all(*(select(table.c.position) for table in _NUMBERED)).subquery()
_TWICE = select(_POSITIONS.c.position).group_by(_POSITIONS.c.position).having(func.count() > 1)
_CURSORS: tuple[tuple[str, Select[tuple[int | None]]], ...] = (
    ("the aggregates have counted", select(func.max(marks.c.position)).where(marks.c.name == "aggregates")),
    ("a snapshot has read", select(func.max(snapshots.c.cursor))),
    ("an experiment has read", select(func.max(experiments.c.cursor))),
)
_OF_DECISIONS: tuple[tuple[Table, Column[str]], ...] = (
    (starts, starts.c.decision_id),
    (executions, executions.c.decision_id),
    (outcomes, outcomes.c.decision_id),
    (assignments, assignments.c.decision_id),
)
_WITHOUT_SUCCESS = (
    select(keys.c.decision_id)
    .where(
        keys.c.succeeded == 1,
        ~exists().where(executions.c.decision_id == keys.c.decision_id, executions.c.status == Status.SUCCEEDED.value),
    )
    .order_by(keys.c.decision_id)
)


def positions_are_unique(subject: Subject, finding: Finding) -> None:
    """Every position was given once, none lies beyond the counter, and nothing has read further than that."""
    newest = newest_position(subject.connection)
    for table in _NUMBERED:
        count, most = subject.connection.execute(select(func.count(), func.max(table.c.position))).one()
        finding.looked_at += count
        if (most or 0) > newest:
            finding.fail(f"{table.name} has position {most}, and the counter is at {newest}")
    for what, cursor in _CURSORS:
        read = subject.connection.execute(cursor).scalar() or 0
        if read > newest:
            finding.fail(f"{what} up to {read}, and the counter is at {newest}")
    for row in subject.connection.execute(_TWICE.limit(SHOWN)):
        finding.fail(f"position {row.position} was given more than once")


def records_have_decisions(subject: Subject, finding: Finding) -> None:
    """What was run, learnt or assigned belongs to a decision: in the tables, or of a day that is in the lake."""
    for table, decision_id in _OF_DECISIONS:
        finding.looked_at += subject.connection.execute(select(func.count()).select_from(table)).scalar_one()
        # A day keeps a share of its decisions: its part says nothing of the others.
        for id_ in missing(subject, _without_decision(subject, table, decision_id), known_among, bool):
            finding.fail(f"{table.name} of decision {id_}")


def workflows_have_starts(subject: Subject, finding: Finding) -> None:
    for table in (workflow_ends, step_ends):
        finding.looked_at += subject.connection.execute(select(func.count()).select_from(table)).scalar_one()
        lonely = select(table.c.run_id).where(~exists().where(workflow_starts.c.run_id == table.c.run_id)).distinct()
        for row in subject.connection.execute(lonely):
            finding.fail(f"{table.name} of run {unescaped(row.run_id)}")


def keys_have_successes(subject: Subject, finding: Finding) -> None:
    """A key that answers for ever answers with an execution that succeeded."""
    succeeded = select(func.count()).where(keys.c.succeeded == 1)
    finding.looked_at += subject.connection.execute(succeeded).scalar_one()
    ids = (unescaped(row.decision_id) for row in subject.connection.execute(_WITHOUT_SUCCESS))
    for id_ in missing(subject, ids, succeeded_among, not_raw):
        finding.fail(f"the key of decision {id_}")


def _without_decision(subject: Subject, table: Table, decision_id: Column[str]) -> Iterator[str]:
    lonely = (
        select(decision_id)
        .outerjoin(decisions, decisions.c.id == decision_id)
        .where(decisions.c.id.is_(None))
        .order_by(table.c.position)
    )
    for row in subject.connection.execute(lonely):
        yield unescaped(row.decision_id)
