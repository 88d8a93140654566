"""What was drawn in experiments and what came of it, found in the lake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mahavishnu.model.experiment import Assignment
from mahavishnu.storage.lake.duck import columns_of, duck, parquet
from mahavishnu.storage.lake.folder import Folder
from mahavishnu.storage.position_range import Stretch
from mahavishnu.storage.sql.connection.tables import assignments
from mahavishnu.storage.sql.experiments.rows import COUNTING, ENDED, OBSERVATION
from mahavishnu.storage.sql.facts.fact_rows import assignment_of
from mahavishnu.storage.sql.lake_manifest import Part

Rows = list[tuple[Any, ...]]

_DRAWN = "experiment = $experiment AND probability IS NOT NULL"
_ENDED = ", ".join(f"ended.{column.name}" for column in ENDED)
_OF_OBSERVATION = ", ".join((_ENDED, *(f"drawn.{column.name}" for column in OBSERVATION[len(ENDED) :])))


def find_observations(folder: Folder, parts: Sequence[Part], experiment: str, stretch: Stretch, limit: int) -> Rows:
    """Observations of which both halves are here."""
    drawn = _files(folder, parts, "assignments")
    ended = _files(folder, reaching(parts, stretch.since), "executions")
    if not drawn or not ended:
        return []
    counting = ", ".join(f"'{status}'" for status in COUNTING)
    query = (
        f"SELECT {_OF_OBSERVATION} FROM {parquet(ended)} AS ended JOIN {parquet(drawn)} AS drawn USING (decision_id)"  # noqa: S608
        f" WHERE {_DRAWN} AND ended.position > $since AND ended.position <= $upto"
        f" AND attempt = 1 AND fallback = 0 AND status IN ({counting}) ORDER BY ended.position LIMIT $limit"
    )
    with duck() as connection:
        return connection.execute(query, _about(experiment, stretch, limit)).fetchall()


def with_what_was_drawn(
    folder: Folder, parts: Sequence[Part], experiment: str, strays: Sequence[Sequence[Any]]
) -> Rows:
    """Of these rows of `ENDED`, those whose assignments are here, as rows of `OBSERVATION`."""
    files = _files(folder, parts, "assignments")
    if not files or not strays:
        return []
    query = (
        f"SELECT decision_id, unit, treated, probability FROM {parquet(files)}"  # noqa: S608
        f" SEMI JOIN (SELECT unnest($ids) AS decision_id) USING (decision_id) WHERE {_DRAWN}"
    )
    ids = [row[1] for row in strays]
    with duck() as connection:
        found = connection.execute(query, {"ids": ids, "experiment": experiment}).fetchall()
    drawn = {decision_id: rest for decision_id, *rest in found}
    return [(*row, *drawn[row[1]]) for row in strays if row[1] in drawn]


def find_assigned(folder: Folder, parts: Sequence[Part], experiment: str, stretch: Stretch, limit: int) -> Rows:
    """Rows of `assignments`."""
    files = _files(folder, reaching(parts, stretch.since), "assignments")
    if not files:
        return []
    query = (
        f"SELECT {columns_of(assignments)} FROM {parquet(files)}"  # noqa: S608
        f" WHERE {_DRAWN} AND position > $since AND position <= $upto ORDER BY position LIMIT $limit"
    )
    with duck() as connection:
        return connection.execute(query, _about(experiment, stretch, limit)).fetchall()


def heard_among(folder: Folder, parts: Sequence[Part], decision_ids: Sequence[str]) -> frozenset[str]:
    """Those of these decisions of which the lake has any end, or that had nobody to choose."""
    ended = _decisions_among(folder, parts, "executions", decision_ids)
    return ended | _decisions_among(folder, parts, "decisions", decision_ids, "id AS decision_id", "selected IS NULL")


def drawn_among(folder: Folder, parts: Sequence[Part], decision_ids: Sequence[str]) -> frozenset[str]:
    """Those of these decisions that were in an experiment, as far as the lake knows."""
    return _decisions_among(folder, parts, "assignments", decision_ids)


def assignments_of(
    folder: Folder, parts: Sequence[Part], decision_ids: Sequence[str]
) -> Mapping[str, Sequence[Assignment]]:
    """What these decisions were in experiments, in the order in which it was drawn; nothing for the others."""
    files = _files(folder, parts, "assignments")
    if not files or not decision_ids:
        return {}
    query = (
        f"SELECT {columns_of(assignments)} FROM {parquet(files)}"  # noqa: S608
        " SEMI JOIN (SELECT unnest($ids) AS decision_id) USING (decision_id) ORDER BY position"
    )
    found: dict[str, list[Assignment]] = {}
    with duck() as connection:
        for row in connection.execute(query, {"ids": list(decision_ids)}).fetchall():
            found.setdefault(row[2], []).append(assignment_of(row))
    return found


def _decisions_among(
    folder: Folder,
    parts: Sequence[Part],
    kind: str,
    decision_ids: Sequence[str],
    named: str = "decision_id",
    where: str = "true",
) -> frozenset[str]:
    files = _files(folder, parts, kind)
    if not files or not decision_ids:
        return frozenset()
    query = (
        f"SELECT DISTINCT decision_id FROM (SELECT {named} FROM {parquet(files)} WHERE {where})"  # noqa: S608
        " SEMI JOIN (SELECT unnest($ids) AS decision_id) USING (decision_id)"
    )
    with duck() as connection:
        return frozenset(row[0] for row in connection.execute(query, {"ids": list(decision_ids)}).fetchall())


def reaching(parts: Sequence[Part], since: int) -> list[Part]:
    """Those that may hold anything after a position."""
    return [part for part in parts if part.upto > since]


def _files(folder: Folder, parts: Sequence[Part], kind: str) -> list[str]:
    return folder.files([part.name for part in parts], kind)


def _about(experiment: str, stretch: Stretch, limit: int) -> dict[str, Any]:
    return {"experiment": experiment, "since": stretch.since, "upto": stretch.upto, "limit": limit}
