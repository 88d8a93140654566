"""Columns: one number for each candidate, as a list where there are few and as an array where there are many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, overload

from mahavishnu.model import Candidate

T = TypeVar("T")

Column = Any
"""A list of floats where there are fewer than FEW, else an array of numpy: which is not imported for a few."""

FEW = 25
"""Below this many candidates plain Python is faster than numpy."""

Worth = Callable[[Candidate], float]


class Candidates(Sequence[Candidate]):
    """Candidates that stay the same, with columns that are worked out once and kept.

    `successes` and `failures` are their discounted counts (see `thompson.Beliefs`), one for each. `replaced` gives the
    next version, in which only what changed is worked out again.
    """

    __slots__ = ("_columns", "_memory", "_rows", "failures", "successes")

    def __init__(self, rows: Iterable[Candidate], successes: Column, failures: Column) -> None:
        self._rows = tuple(rows)
        self.successes = successes
        self.failures = failures
        self._columns: dict[Worth, Column] = {}
        self._memory: dict[Callable[[Candidates], Any], Any] = {}

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Candidate: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Candidate, ...]: ...
    def __getitem__(self, place: int | slice) -> Candidate | tuple[Candidate, ...]:
        return self._rows[place]

    @property
    def few(self) -> bool:
        return len(self._rows) < FEW

    def column(self, worth: Worth) -> Column:
        """What the function says of each candidate, worked out for each once."""
        found = self._columns.get(worth)
        if found is None:
            found = self._columns[worth] = column_of(map(worth, self._rows), len(self._rows))
        return found

    def memory(self, work: Callable[[Candidates], T]) -> T:
        """What the function makes of these candidates, made once."""
        found: T | None = self._memory.get(work)
        if found is None:
            found = self._memory[work] = work(self)
        return found

    def replaced(self, changes: Mapping[int, Candidate], successes: Column, failures: Column) -> Candidates:
        """These candidates with some of them changed, by their places, and with new counts."""
        rows = list(self._rows)
        for place, candidate in changes.items():
            rows[place] = candidate
        following = Candidates(rows, successes, failures)
        for worth, column in self._columns.items():
            fresh = column.copy()
            for place, candidate in changes.items():
                fresh[place] = worth(candidate)
            following._columns[worth] = fresh
        return following


def column_of(values: Iterable[float], count: int) -> Column:
    if count < FEW:
        return list(values)
    import numpy as np

    return np.fromiter(values, np.float64, count)
