"""The pool: everybody who takes one task type, with what is known of each, kept from one decision to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mahavishnu.model import Candidate, Estimate, Target
from mahavishnu.stats.columns import Candidates
from mahavishnu.stats.thompson import DISCOUNT, Beliefs

A_TARGETS_MEMORY = 600
"""Samples for each target that are remembered at the least: where there are hundreds of targets, what is known of one
would otherwise be forgotten before its turn comes again."""


class Pool:
    """The targets of one task type in their default order, as candidates that change only where evidence did.

    Beliefs outlive what is switched, added and taken away: a target that comes back is still known.
    """

    def __init__(self, discount: float = DISCOUNT) -> None:
        self._discount = discount
        self._beliefs = Beliefs(discount)
        self._targets: tuple[Target, ...] = ()
        self._estimates: list[Estimate] = []
        self._where: Any = []
        self._everybody: Candidates | None = None
        self._changed: dict[int, Candidate] = {}
        self._parts: dict[tuple[int, ...], Candidates] = {}

    @property
    def targets(self) -> Sequence[Target]:
        return self._targets

    @property
    def estimates(self) -> Sequence[Estimate]:
        return self._estimates

    def set_up(self, targets: Sequence[Target], estimates: Sequence[Estimate]) -> None:
        """Begin again with these targets."""
        self._targets, self._estimates = tuple(targets), list(estimates)
        names = [each.name for each in targets]
        self._beliefs.discount_by(max(self._discount, 1 - 1 / (A_TARGETS_MEMORY * max(len(names), 1))))
        self._beliefs.follow(dict(zip(names, estimates, strict=True)))
        self._where = self._beliefs.where(names)
        self._everybody = None
        self._parts.clear()

    def learn(self, news: Mapping[int, Estimate]) -> None:
        """Take in the newest estimates of some, by their places."""
        self._beliefs.follow({self._targets[place].name: seen for place, seen in news.items()})
        self._parts.clear()
        for place, seen in news.items():
            self._estimates[place] = seen
            self._changed[place] = Candidate(self._targets[place], seen)

    def everybody(self) -> Candidates:
        if self._everybody is None:
            rows = map(Candidate, self._targets, self._estimates)
            self._everybody = Candidates(rows, *self._beliefs.counts(self._where))
            self._changed.clear()
        elif self._changed:
            self._everybody = self._everybody.replaced(self._changed, *self._beliefs.counts(self._where))
            self._changed.clear()
        return self._everybody

    def part(self, places: tuple[int, ...]) -> Candidates:
        """Only the ones in these places, in their order."""
        if len(places) == len(self._targets):
            return self.everybody()
        found = self._parts.get(places)
        if found is None:
            where = self._beliefs.where([self._targets[place].name for place in places])
            rows = map(self.everybody().__getitem__, places)
            found = self._parts[places] = Candidates(rows, *self._beliefs.counts(where))
        return found
