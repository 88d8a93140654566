"""Asides: releasing what an experiment has put aside, and what a rollback keeps of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mahavishnu.errors import UnknownName, nearest_name
from mahavishnu.jobs.publishing import Published, change
from mahavishnu.model import Snapshot
from mahavishnu.model.aside import AsideReason, AsideRow, Asides, rows_of
from mahavishnu.ports import Clock, Store


async def release(store: Store, clock: Clock, target: str, task_type: str | None = None) -> Published:
    """Publish that a target may be chosen again: for one task type, or for all that it was put aside for.

    Raises UnknownName where it is not put aside there.
    """

    def released_in(before: Snapshot) -> Snapshot:
        rows = [row for row in rows_of(before.put_aside) if task_type in (None, row.task_type)]
        released = [row for row in rows if row.target == target]
        if not released:
            raise _not_aside(target, task_type, [row.target for row in rows])
        return replace(
            before,
            version=before.version + 1,
            published_at_us=clock.now_us(),
            put_aside=_without(before.put_aside, released),
            notes=tuple(map(_released, released)),
        )

    return await change(store, released_in)


def gone_back(now: Snapshot, earlier: Snapshot, *, release: bool) -> tuple[Asides, tuple[str, ...]]:
    """What is put aside after a rollback, and in words what differs from an exact restoration or from now.

    An earlier snapshot knows nothing of harm that was found later. That target stays put aside, unless its release is
    asked for. A promotion is undone with the order that it published.
    """
    put_aside = {task_type: dict(rows) for task_type, rows in earlier.put_aside.items()}
    notes = []
    for row in rows_of(now.put_aside):
        if row.target in earlier.put_aside.get(row.task_type, {}) or row.aside.reason is AsideReason.REPLACED:
            continue
        if release:
            notes.append(_released(row))
            continue
        put_aside.setdefault(row.task_type, {})[row.target] = row.aside
        found = ", which found harm" if row.aside.reason is AsideReason.HARM else ""
        notes.append(f"{row.scope}: {row.target} stays {row.aside}{found}; --release lifts that too")
    notes += [
        f"{row.scope}: {row.target} is put aside again, by experiment {row.aside.experiment}"
        for row in rows_of(earlier.put_aside)
        if row.target not in now.put_aside.get(row.task_type, {})
    ]
    return put_aside, tuple(notes)


def _released(row: AsideRow) -> str:
    return f"{row.scope}: {row.target} is released ({row.aside})"


def _without(put_aside: Asides, released: Sequence[AsideRow]) -> Asides:
    gone = {(row.task_type, row.target) for row in released}
    kept = {
        task_type: {target: aside for target, aside in rows.items() if (task_type, target) not in gone}
        for task_type, rows in put_aside.items()
    }
    return {task_type: rows for task_type, rows in kept.items() if rows}


def _not_aside(target: str, task_type: str | None, known: Sequence[str]) -> UnknownName:
    kind = "target put aside" if task_type is None else f"target put aside for {task_type}"
    nearest = nearest_name(target, known)
    return UnknownName(kind=kind, name=target, nearest=nearest, see="mahavishnu routing aside")
