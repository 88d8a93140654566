"""Rows that this version cannot read: what is said of each, and the rows that it could read beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

UPGRADE = "run the version of mahavishnu that wrote it"

MENDS: Mapping[str, str] = {
    "budget": f"{UPGRADE}, or set it anew: mahavishnu budgets set {{name}} --limit USD",
    "target": f"{UPGRADE}, or take it out and add it anew: mahavishnu targets remove {{name}}",
    "switch of target": "set it anew: mahavishnu targets enable {name}, or mahavishnu targets disable {name}",
    "daily sum": f"{UPGRADE}, or count the days again: mahavishnu routing recalculate --full",
    "snapshot": f"{UPGRADE}, or go back to one that can be read: mahavishnu routing rollback VERSION",
}
"""How to mend a row, by its kind."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """One row that is left out.

    >>> str(Unreadable("target", "etl-a", 'it has the unknown field "region"'))
    'target etl-a cannot be read by this version: it has the unknown field "region"; run the version of mahavishnu \
that wrote it, or take it out and add it anew: mahavishnu targets remove etl-a'
    """

    kind: str
    name: str
    problem: str

    @property
    def mend(self) -> str:
        return MENDS.get(self.kind, f"{UPGRADE}, or correct its row").format(name=self.name)

    def __str__(self) -> str:
        return f"{self.kind} {self.name} cannot be read by this version: {self.problem}; {self.mend}"


class Rows(list[T]):
    """The rows that could be read, and what is known of those that could not."""

    unreadable: Sequence[Unreadable] = ()


class Switches(dict[str, bool]):
    """Target by target, whether it was switched on by hand. One whose switch cannot be read counts as off."""

    unreadable: Sequence[Unreadable] = ()
