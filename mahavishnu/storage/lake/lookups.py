"""Single records of the lake, found by their ids and by what people ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import Table

from mahavishnu.model import Decision, Execution, Outcome, day_of
from mahavishnu.model.identity import made_at_us
from mahavishnu.ports import Between, ExecutionQuery
from mahavishnu.storage.lake.drawn import assignments_of
from mahavishnu.storage.lake.duck import columns_of, duck, parquet
from mahavishnu.storage.lake.folder import Folder
from mahavishnu.storage.sql.connection.tables import decisions, executions, outcomes
from mahavishnu.storage.sql.facts.fact_rows import decision_of, ended_of, escaped, outcome_of, revision_of, unescaped
from mahavishnu.storage.sql.facts.revisions import Past
from mahavishnu.storage.sql.lake_manifest import Part

_IDS = ("executions", "decisions", "dropped")

Rows = list[tuple[Any, ...]]


def day_of_id(id_: str) -> int | None:
    """The day on which an id was made; None where it does not say.

    >>> day_of_id("01ARYZ6S410000000000000000"), day_of_id("nightly")
    (17012, None)
    """
    at_us = made_at_us(id_)
    return None if at_us is None else day_of(at_us)


def find_execution(folder: Folder, parts: Sequence[Part], execution_id: str) -> Execution | None:
    rows = _by_id(folder, parts, executions, execution_id)
    return ended_of(rows[0], None) if rows else None


def find_decision(folder: Folder, parts: Sequence[Part], decision_id: str) -> Decision | None:
    found = _with_assignments(folder, parts, _by_id(folder, parts, decisions, decision_id))
    return found[0] if found else None


def find_executions(folder: Folder, parts: Sequence[Part], query: ExecutionQuery) -> list[Execution]:
    if query.decision_id is not None:
        parts = _since(parts, query.decision_id)
    wanted = {
        "decision_id": query.decision_id,
        "target": query.target,
        "task_type": query.task_type,
        "status": None if query.status is None else query.status.value,
    }
    asked = {name: escaped(value) for name, value in wanted.items() if value is not None}
    when = _when("started_at_us", query.within)
    return [ended_of(row, None) for row in _select(folder, parts, executions, asked, "id DESC", query.last, when)]


def find_decisions(
    folder: Folder, parts: Sequence[Part], last: int, task_type: str | None, within: Between
) -> list[Decision]:
    asked = {} if task_type is None else {"task_type": escaped(task_type)}
    rows = _select(folder, parts, decisions, asked, "position DESC", last, _when("at_us", within))
    return _with_assignments(folder, parts, rows)


def find_outcomes(folder: Folder, parts: Sequence[Part], decision_id: str) -> list[Outcome]:
    asked = {"decision_id": escaped(decision_id)}
    return [outcome_of(row) for row in _select(folder, _since(parts, decision_id), outcomes, asked, "position", None)]


def known_among(folder: Folder, parts: Sequence[Part], ids: Sequence[str]) -> frozenset[str]:
    """Those of these ids of executions and decisions that the lake has, or had."""
    names = [part.name for part in parts]
    sources = [parquet(files) for kind in _IDS if (files := folder.files(names, kind))]
    if not sources:
        return frozenset()
    every = " UNION ALL ".join(f"SELECT id FROM {source}" for source in sources)  # noqa: S608
    wanted = f"SELECT id FROM ({every}) SEMI JOIN (SELECT unnest($ids) AS id) USING (id)"  # noqa: S608
    with duck() as connection:
        found = connection.execute(wanted, {"ids": [escaped(id_) for id_ in ids]}).fetchall()
    return frozenset(unescaped(row[0]) for row in found)


def ids_ending(folder: Folder, parts: Sequence[Part], table: Table, tail: str, last: int) -> frozenset[str]:
    files = folder.files([part.name for part in parts], table.name)
    if not files:
        return frozenset()
    wanted = f"SELECT id FROM {parquet(files)} WHERE ends_with(id, ?) LIMIT {last}"  # noqa: S608
    with duck() as connection:
        return frozenset(unescaped(row[0]) for row in connection.execute(wanted, [escaped(tail)]).fetchall())


def pasts(folder: Folder, parts: Sequence[Part], decision_ids: Sequence[str]) -> Mapping[str, Past]:
    """What outcomes on these decisions have to know of what is here."""
    names = [part.name for part in parts]
    found: dict[str, Past] = {}
    with duck() as connection:

        def about(table: Table, column: str) -> Rows:
            files = folder.files(names, table.name)
            wanted = (
                f"SELECT {columns_of(table)} FROM {parquet(files)} AS facts"  # noqa: S608
                f" SEMI JOIN (SELECT unnest($ids) AS {column}) USING ({column}) ORDER BY position"
            )
            about = {"ids": [escaped(id_) for id_ in decision_ids]}
            return connection.execute(wanted, about).fetchall() if files else []

        for row in about(decisions, "id"):
            decision = decision_of(row)
            found.setdefault(decision.id, Past()).decision = decision
        for row in about(executions, "decision_id"):
            execution = ended_of(row, None)
            found.setdefault(execution.decision_id, Past()).ended.append(execution)
        for row in about(outcomes, "decision_id"):
            outcome = outcome_of(row)
            found.setdefault(outcome.decision_id, Past()).outcomes.append((outcome, revision_of(row)))
    return found


def _with_assignments(folder: Folder, parts: Sequence[Part], rows: Rows) -> list[Decision]:
    theirs = assignments_of(folder, parts, [row[1] for row in rows])
    return [decision_of(row, theirs.get(row[1], ())) for row in rows]


def _by_id(folder: Folder, parts: Sequence[Part], table: Table, id_: str) -> Rows:
    """An id tells its day, but a clock may have been wrong: what is not found there is looked for everywhere."""
    day = day_of_id(id_)
    near = [part for part in parts if day is not None and abs(part.day - day) <= 1]
    far = [part for part in parts if part not in near]
    asked = {"id": escaped(id_)}
    return _select(folder, near, table, asked, "id", 1) or _select(folder, far, table, asked, "id", 1)


def _since(parts: Sequence[Part], decision_id: str) -> list[Part]:
    """What belongs to a decision happened on its day or later."""
    day = day_of_id(decision_id)
    return [part for part in parts if day is None or part.day >= day - 1]


def _when(column: str, within: Between) -> dict[str, int]:
    """Conditions on a time, with their values."""
    bounds = {f'"{column}" >= ?': within.since_us, f'"{column}" < ?': within.until_us}
    return {condition: bound for condition, bound in bounds.items() if bound is not None}


def _select(
    folder: Folder,
    parts: Sequence[Part],
    table: Table,
    asked: Mapping[str, str],
    order: str,
    last: int | None,
    when: Mapping[str, int] = MappingProxyType({}),
) -> Rows:
    files = folder.files([part.name for part in parts], table.name)
    if not files:
        return []
    where = " AND ".join([*(f'"{column}" = ?' for column in asked), *when]) or "true"
    limit = "" if last is None else f" LIMIT {max(last, 0)}"
    query = f"SELECT {columns_of(table)} FROM {parquet(files)} WHERE {where} ORDER BY {order}{limit}"  # noqa: S608
    with duck() as connection:
        return connection.execute(query, [*asked.values(), *when.values()]).fetchall()
