"""One day's way into the lake: what may move, out of the tables into files, and then out of the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Connection, Select, Table, bindparam, delete, func, select, update

from mahavishnu.model import DAY_US, Status, day_of
from mahavishnu.model.experiment import ExperimentStatus
from mahavishnu.ports import Keeping
from mahavishnu.storage.lake.duck import append, columns_of, copy_out, create_table, duck
from mahavishnu.storage.lake.thinning import judge
from mahavishnu.storage.lake.totals import add_executions
from mahavishnu.storage.sql.connection.tables import (
    announcements,
    assignments,
    decisions,
    executions,
    experiments,
    keys,
    outcomes,
    processes,
    snapshots,
    starts,
    workflow_ends,
    workflow_starts,
)
from mahavishnu.storage.sql.connection.transaction import IN_LIST, Transaction
from mahavishnu.storage.sql.facts.aggregates import Days, standing
from mahavishnu.storage.sql.facts.documents import scorecard_json
from mahavishnu.storage.sql.lake_manifest import Part

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PAGE = 5_000
"""Rows read at once on their way to a file, each of which may hold a large value."""

AT_ONCE = 2_000
"""Rows deleted in one transaction, for which everybody else who writes has to wait."""

DATED: tuple[tuple[Table, Column[int], Column[str]], ...] = (
    (executions, executions.c.started_at_us, executions.c.decision_id),
    (decisions, decisions.c.at_us, decisions.c.id),
    (assignments, assignments.c.at_us, assignments.c.decision_id),
    (outcomes, outcomes.c.of_us, outcomes.c.decision_id),
)
"""What moves: each with the time that says to which day it belongs, and the decision that it belongs to.

They leave the tables in this order: as long as a decision is there, what it was in experiments is there too.
"""

_RUNNING = (
    select(starts.c.decision_id)
    .select_from(starts.outerjoin(executions, executions.c.id == starts.c.id))
    .where(executions.c.id.is_(None))
)
_CLAIMED = (
    select(keys.c.decision_id)
    .join_from(keys, processes, processes.c.id == keys.c.process_id)
    .where(keys.c.succeeded == 0, processes.c.released == 0)
)
_OPEN_RUNS = (
    select(workflow_starts.c.run_id)
    .select_from(workflow_starts.outerjoin(workflow_ends, workflow_ends.c.run_id == workflow_starts.c.run_id))
    .group_by(workflow_starts.c.run_id)
    .having(func.max(workflow_starts.c.position) > func.coalesce(func.max(workflow_ends.c.position), 0))
)
_READ = select(func.min(experiments.c.cursor), func.min(experiments.c.assigned_cursor)).where(
    experiments.c.status.in_((ExperimentStatus.RUNNING.value, ExperimentStatus.PAUSED.value))
)
_CUT = (
    select(assignments.c.decision_id)
    .where(assignments.c.position > bindparam("upto"))
    .order_by(assignments.c.position)
    .limit(1)
)
# Its attempt began on an earlier day, by a clock that was set back.
_DRAWN_LATER = (
    select(assignments.c.decision_id)
    .join_from(assignments, executions, executions.c.decision_id == assignments.c.decision_id)
    .where(assignments.c.at_us >= bindparam("before_us"), executions.c.started_at_us < bindparam("before_us"))
)
_DRAWN = (
    select(assignments.c.decision_id)
    .distinct()
    .join_from(executions, assignments, assignments.c.decision_id == executions.c.decision_id)
    .where(executions.c.started_at_us >= bindparam("first_us"), executions.c.started_at_us < bindparam("end_us"))
)
_SUCCEED = (
    update(keys)
    .where(
        keys.c.decision_id.in_(
            select(executions.c.decision_id).where(
                executions.c.position.in_(bindparam("gone", expanding=True)),
                executions.c.status == Status.SUCCEEDED.value,
            )
        )
    )
    .values(succeeded=1)
)


DrawnBefore = Callable[[Sequence[str]], frozenset[str]]
"""Says which of these decisions were in an experiment, as far as the lake knows."""


@dataclass(frozen=True, slots=True)
class Move:
    """A day that may move: everything up to `upto` but for the decisions that have to stay."""

    day: int
    upto: int
    stays: frozenset[str]


def next_move(connection: Connection, before_day: int) -> Move | None:
    """The oldest day that has something that may move.

    Only what the aggregates, the newest snapshot and every experiment on its way have read may: nobody who reads on
    from there misses it.
    """
    published = connection.execute(select(snapshots.c.cursor).order_by(snapshots.c.version.desc()).limit(1)).scalar()
    read = (found for found in connection.execute(_READ).one() if found is not None)
    upto = min(standing(connection).cursor, published or 0, *read)
    stays = _not_over(connection) | _not_whole(connection, upto, before_day)
    days = [
        day_of(oldest)
        for table, at_us, decision in DATED
        if (oldest := _oldest(connection, table, at_us, decision, upto, before_day, stays)) is not None
    ]
    return Move(min(days), upto, stays) if days else None


def write_part(
    connection: Connection, move: Move, keeping: Keeping, drawn_before: DrawnBefore, draft: Path
) -> tuple[int, frozenset[str]]:
    """Write the files of a move; returns how many executions it had, and the decisions that stay of this day."""
    scratch = draft / "scratch.duckdb"
    with duck(scratch) as into:
        stayed: set[str] = set()
        for table, at_us, decision in DATED:
            create_table(into, table)
            for page in _pages(connection, table, at_us, move.day, move.upto):
                place = list(table.c).index(decision)
                append(into, table, [row[: len(table.c)] for row in page if row[place] not in move.stays])
                stayed.update(row[place] for row in page if row[place] in move.stays)
        _note_wanted(connection, into, move.day, drawn_before)
        judge(into, keeping)
        rows = _write_files(into, move.day, draft)
    for left in draft.glob("scratch.duckdb*"):
        left.unlink()
    return rows, frozenset(stayed)


def empty_page(transaction: Transaction, part: Part) -> int:
    """Delete some of what the part holds from the tables; returns how many rows, at last 0."""
    for table, at_us, decision in DATED:
        found = transaction.find(_hot(table, at_us, part.day, part.upto, part.stays, decision).limit(AT_ONCE))
        for first in range(0, len(found), IN_LIST):
            chunk = found[first : first + IN_LIST]
            _delete(transaction, table, [row.position for row in chunk], [row.id for row in chunk])
        if found:
            return len(found)
    return 0


def sums_out(connection: DuckDBPyConnection, days: Days, file: Path) -> None:
    """Write tallies as the Parquet file that `totals.add_sums` reads."""
    connection.execute("CREATE OR REPLACE TABLE sums (day BIGINT, target VARCHAR, task_type VARCHAR, body VARCHAR)")
    rows = [(*cell, scorecard_json(card)) for cell, card in days.cards().items()]
    if rows:
        day, target, task_type, body = (list(column) for column in zip(*rows, strict=True))
        connection.execute(
            "INSERT INTO sums SELECT unnest($day), unnest($target), unnest($task_type), unnest($body)",
            {"day": day, "target": target, "task_type": task_type, "body": body},
        )
    copy_out(connection, "SELECT * FROM sums", file)


def _not_over(connection: Connection) -> frozenset[str]:
    """The decisions whose executions, keys or workflows are not over."""
    found = set(connection.execute(_RUNNING).scalars())
    found.update(connection.execute(_CLAIMED).scalars())
    for run in connection.execute(_OPEN_RUNS).scalars().all():
        ours = select(keys.c.decision_id).where(keys.c.key.startswith(f"workflow:{run}:", autoescape=True))
        found.update(connection.execute(ours).scalars())
    return frozenset(found)


def _not_whole(connection: Connection, upto: int, before_day: int) -> frozenset[str]:
    """The decisions that would move without what they were in experiments: some of it lies beyond, or is too young."""
    found = set(connection.execute(_CUT, {"upto": upto}).scalars())
    found.update(connection.execute(_DRAWN_LATER, {"before_us": before_day * DAY_US}).scalars())
    return frozenset(found)


def _oldest(
    connection: Connection,
    table: Table,
    at_us: Column[int],
    decision: Column[str],
    upto: int,
    before_day: int,
    stays: frozenset[str],
) -> int | None:
    statement = select(func.min(at_us)).where(table.c.position <= upto, at_us < before_day * DAY_US)
    if stays:
        statement = statement.where(decision.not_in(sorted(stays)))
    found: int | None = connection.execute(statement).scalar()
    return found


def _hot(
    table: Table, at_us: Column[int], day: int, upto: int, stays: frozenset[str], decision: Column[str]
) -> Select[Any]:
    statement = (
        select(table.c.position, table.c.id)
        .where(table.c.position <= upto, at_us >= day * DAY_US, at_us < (day + 1) * DAY_US)
        .order_by(table.c.position)
    )
    return statement.where(decision.not_in(sorted(stays))) if stays else statement


def _pages(
    connection: Connection, table: Table, at_us: Column[int], day: int, upto: int
) -> Iterator[Sequence[Sequence[Any]]]:
    statement = select(table)
    if table is executions:
        # The engine's own name for the run goes into the file with its end; the announcement goes.
        joined = executions.outerjoin(announcements, announcements.c.execution_id == executions.c.id)
        run_id = func.coalesce(executions.c.run_id, announcements.c.run_id).label("run_id")
        columns = [run_id if column is executions.c.run_id else column for column in executions.c]
        statement = select(*columns).select_from(joined)
    statement = (
        statement.where(
            table.c.position > bindparam("since"),
            table.c.position <= upto,
            at_us >= day * DAY_US,
            at_us < (day + 1) * DAY_US,
        )
        .order_by(table.c.position)
        .limit(PAGE)
    )
    since = -1
    while page := connection.execute(statement, {"since": since}).all():
        yield page
        since = page[-1][0]


def _note_wanted(connection: Connection, into: DuckDBPyConnection, day: int, drawn_before: DrawnBefore) -> None:
    """Decisions that are kept whole: a key answers with them, or an experiment is worked out from them."""
    into.execute("CREATE TABLE wanted (id VARCHAR)")
    of_day = {"first_us": day * DAY_US, "end_us": (day + 1) * DAY_US}
    for page in connection.execute(select(keys.c.decision_id)).partitions(PAGE):
        _add_wanted(into, page)
    for page in connection.execute(_DRAWN, of_day).partitions(PAGE):
        _add_wanted(into, page)
    # Decided on an earlier day, which has moved.
    strays = into.execute(
        "SELECT DISTINCT decision_id FROM executions WHERE decision_id NOT IN (SELECT id FROM decisions)"
    )
    _add_wanted(into, [(each,) for each in drawn_before([row[0] for row in strays.fetchall()])])


def _add_wanted(into: DuckDBPyConnection, rows: Sequence[Sequence[Any]]) -> None:
    into.execute("INSERT INTO wanted SELECT unnest($ids)", {"ids": [row[0] for row in rows]})


def _write_files(into: DuckDBPyConnection, day: int, draft: Path) -> int:
    kept = (
        f"SELECT {_prefixed(executions, 'e')}, {day} AS day, weight"  # noqa: S608
        " FROM executions e JOIN fate USING (decision_id) WHERE kept ORDER BY e.id"
    )
    copy_out(into, kept, draft / "executions.parquet")
    # A decision without an execution here was only routed, or ran into the next day: it is kept whole.
    chosen = (
        f"SELECT {_prefixed(decisions, 'd')}, coalesce(weight, 1.0) AS weight"  # noqa: S608
        " FROM decisions d LEFT JOIN fate ON fate.decision_id = d.id WHERE coalesce(kept, true) ORDER BY d.id"
    )
    copy_out(into, chosen, draft / "decisions.parquet")
    for table in (assignments, outcomes):
        every = f"SELECT {columns_of(table)} FROM {table.name} ORDER BY position"  # noqa: S608
        copy_out(into, every, draft / f"{table.name}.parquet")
    # The ids of the others, so that one that is recorded again is known.
    copy_out(
        into,
        "SELECT id FROM executions JOIN fate USING (decision_id) WHERE NOT kept ORDER BY id",
        draft / "dropped.parquet",
    )
    dropped = Days()
    thin = f"(SELECT e.*, {day} AS day FROM executions e JOIN fate USING (decision_id) WHERE NOT kept)"  # noqa: S608
    add_executions(dropped, into, thin)
    sums_out(into, dropped, draft / "sums.parquet")
    found = into.execute("SELECT count(*) FROM executions").fetchone()
    return int(found[0]) if found else 0


def _prefixed(table: Table, name: str) -> str:
    return ", ".join(f'{name}."{column.name}"' for column in table.columns)


def _delete(transaction: Transaction, table: Table, positions: Sequence[int], ids: Sequence[str]) -> None:
    if table is executions:
        # A key that was never settled goes by whether its decision succeeded; from now on it says so itself.
        transaction.change(_SUCCEED, {"gone": positions})
        transaction.change(delete(starts).where(starts.c.id.in_(ids)))
        transaction.change(delete(announcements).where(announcements.c.execution_id.in_(ids)))
    transaction.change(delete(table).where(table.c.position.in_(positions)))
