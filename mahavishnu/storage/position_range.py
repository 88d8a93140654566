"""A stretch of positions, with everything in it that somebody asked for, from wherever it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Stretch:
    """Everything after `since` and up to `upto`, in order: rows that begin with their positions.

    `over` where that was the newest position at the time. A source that gave as many rows as it was asked for may have
    more behind its last one, and cuts the stretch off there.

    >>> Stretch(0, 9).with_rows([(2, "a"), (5, "b")], 3).with_rows([(1, "c"), (4, "d"), (5, "b")], 3)
    Stretch(since=0, upto=5, over=False, rows=((1, 'c'), (2, 'a'), (4, 'd'), (5, 'b')))
    """

    since: int
    upto: int
    over: bool = True
    rows: Sequence[Sequence[Any]] = ()

    def with_rows(self, rows: Sequence[Sequence[Any]], limit: int) -> Stretch:
        """With those of another source, which may have some of the same; of so many at the most."""
        cut = self.up_to_the_last_of(rows, limit)
        both = {row[0]: row for row in (*self.rows, *rows) if row[0] <= cut.upto}
        return replace(cut, rows=tuple(both[position] for position in sorted(both)))

    def up_to_the_last_of(self, rows: Sequence[Sequence[Any]], limit: int) -> Stretch:
        if len(rows) < limit or rows[-1][0] >= self.upto:
            return self
        upto = rows[-1][0]
        return replace(self, upto=upto, over=False, rows=tuple(row for row in self.rows if row[0] <= upto))
