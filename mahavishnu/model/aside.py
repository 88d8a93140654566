"""Aside: a target that an experiment has put aside for a task type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class AsideReason(StrEnum):
    """Why a target is put aside: an experiment found harm in it, or found another one better and promoted that.

    Snapshots of earlier versions say only by which experiment.
    """

    HARM = "harm"
    REPLACED = "replaced"
    UNRECORDED = "unrecorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """A target that is not chosen any more for a task type, until it is released. `since_us` None: not recorded."""

    experiment: str
    reason: AsideReason
    since_us: int | None = None

    def __str__(self) -> str:
        did = "replaced" if self.reason is AsideReason.REPLACED else "put aside"
        return f"{did} by experiment {self.experiment}"


Asides = Mapping[str, Mapping[str, Aside]]
"""By task type (or "*", for every one) and target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AsideRow:
    """One target that is not chosen for one task type."""

    task_type: str
    target: str
    aside: Aside

    @property
    def scope(self) -> str:
        return "every task type" if self.task_type == "*" else self.task_type

    def __str__(self) -> str:
        return f"{self.aside} ({self.scope})"


def rows_of(put_aside: Asides) -> tuple[AsideRow, ...]:
    """Every target that is put aside, by task type and then by name."""
    return tuple(
        AsideRow(task_type=task_type, target=target, aside=aside)
        for task_type, rows in sorted(put_aside.items())
        for target, aside in sorted(rows.items())
    )
