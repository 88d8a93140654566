"""Whether the daily aggregates are what the facts add up to, one by one, in the tables and in the lake."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields

from mahavishnu.model import DAY_US, Daily, Scorecard
from mahavishnu.storage.lake.folder import date_of
from mahavishnu.storage.lake.rewriting import add_parts
from mahavishnu.storage.sql.facts.aggregates import Cell, Days, count_facts, read_dailies, standing
from mahavishnu.storage.sql.lake_manifest import Shadow
from mahavishnu.storage.verify.findings import Finding, Subject


def aggregates_equal_facts(subject: Subject, finding: Finding) -> None:
    first = subject.first_day
    days = Days()
    cursor = standing(subject.connection).cursor
    count_facts(subject.connection, days, 0, cursor, first * DAY_US, Shadow(subject.parts).covers)
    gone = set(subject.moment.missing)
    ours = [part for part in subject.parts if part.day >= first and part.name not in gone]
    try:
        add_parts(days, subject.moment.lake, ours)
    except OSError as error:
        finding.fail(f"the lake cannot be added up ({error})")
        return
    counted = _by_cell(days.dailies())
    kept = _by_cell(read_dailies(subject.connection, first)[1])
    for cell in sorted({*counted, *kept}):
        finding.looked_at += 1
        if counted.get(cell) != kept.get(cell):
            day, target, task_type = cell
            what = _difference(kept.get(cell), counted.get(cell))
            finding.fail(f"{date_of(day)} {target} {task_type}: {what}")


def _by_cell(dailies: Iterable[Daily]) -> Mapping[Cell, Scorecard]:
    return {(daily.day, daily.card.target, daily.card.task_type): daily.card for daily in dailies}


def _difference(kept: Scorecard | None, counted: Scorecard | None) -> str:
    if counted is None:
        return "kept, and there is no fact of it"
    if kept is None:
        return "there are facts of it, and nothing is kept"
    names = [field.name for field in fields(Scorecard) if getattr(kept, field.name) != getattr(counted, field.name)]
    return "; ".join(f"{name} is {getattr(kept, name)}, the facts say {getattr(counted, name)}" for name in names[:3])
