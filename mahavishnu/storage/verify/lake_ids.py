"""Which of many ids the lake has: asked day by day, in the files of the days that the ids tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice

from mahavishnu.storage.lake.duck import duck, parquet
from mahavishnu.storage.lake.folder import Folder
from mahavishnu.storage.lake.lookups import day_of_id
from mahavishnu.storage.sql.lake_manifest import Part
from mahavishnu.storage.verify.findings import Subject

AT_ONCE = 20_000
"""Ids that are looked up together."""

Known = Callable[[Folder, Sequence[Part], Sequence[str]], frozenset[str]]
Excused = Callable[[Sequence[Part]], bool]


def missing(subject: Subject, ids: Iterable[str], known: Known, excused: Excused) -> Iterator[str]:
    """Those of these ids, in any order, that the lake should have and has not.

    `excused` says of the parts of an id's day whether they may have had it and have it no more.
    """
    for day, some in groupby(ids, day_of_id):
        if day is not None and day < subject.first_day:
            continue
        near = [part for part in subject.parts if day is None or abs(part.day - day) <= 1]
        while page := list(islice(some, AT_ONCE)):
            unknown = set(page) - known(subject.moment.lake, near, page) if near else set(page)
            if unknown:
                unknown -= known(subject.moment.lake, subject.parts, sorted(unknown))
            if unknown and not excused(near):
                yield from (id_ for id_ in page if id_ in unknown)


def not_raw(parts: Sequence[Part]) -> bool:
    """Whether a day has nothing left but its sums."""
    return any(not part.raw for part in parts)


def succeeded_among(folder: Folder, parts: Sequence[Part], decision_ids: Sequence[str]) -> frozenset[str]:
    """Those of these decisions that have an execution in the lake which succeeded."""
    files = folder.files([part.name for part in parts], "executions")
    if not files:
        return frozenset()
    query = (
        f"SELECT DISTINCT decision_id FROM {parquet(files)}"  # noqa: S608
        " SEMI JOIN (SELECT unnest($ids) AS decision_id) USING (decision_id) WHERE status = 'succeeded'"
    )
    with duck() as connection:
        return frozenset(row[0] for row in connection.execute(query, {"ids": list(decision_ids)}).fetchall())
