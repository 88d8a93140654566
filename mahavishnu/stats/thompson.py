"""Beliefs about targets for Thompson sampling, discounted by count."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from math import exp, expm1, log
from typing import Any, NamedTuple, Protocol

from mahavishnu.stats.columns import FEW

DISCOUNT = 0.9998

_MOST = 1e9
_SMALLEST_UNIT = 1e-100


class Counted(Protocol):
    """What beliefs ask of the evidence for a target: an Estimate has it."""

    @property
    def samples(self) -> float: ...

    @property
    def successes(self) -> float: ...

    @property
    def effective(self) -> float: ...


class Beliefs:
    """Successes and failures of every target of one task type, each worth `discount` as much with every one after it.

    Discounting is by count and over all targets together: what was learnt about an idle target fades as well, so that
    it is tried again, and all of it together never weighs more than 1 / (1 - discount) samples (5,000 by default).
    Raj & Kalyani, "Taming non-stationary bandits in Bernoulli environments", 2017. Learning never stops.

    How this fits with the decay by days: published evidence comes with its days weighed by their age already, and that
    is what a process starts from. It is a batch of whose inner order nothing is known, so it is thinned evenly to what
    a batch of its size would weigh. From then on `follow` is handed the totals of each target whenever they change, and
    works out the difference. What is new counts fully and discounts what was before, however it came (an execution
    here, others' executions, a newer snapshot). Where totals fall (a day has passed, evidence was withdrawn), the
    belief falls in proportion. A correction moves a sample from one side to the other. Whatever totals may come (zero,
    negative, NaN), a belief stays a pair of finite numbers of 0 or more.

    >>> class Seen(NamedTuple):
    ...     samples: float
    ...     successes: float
    ...     effective: float
    >>> beliefs = Beliefs(discount=0.5)
    >>> beliefs.follow({"a": Seen(1, 1, 1), "b": Seen(0, 0, 0)})
    >>> beliefs.follow({"a": Seen(2, 1, 2)})
    >>> beliefs.counts(beliefs.where(["a", "b"]))
    ([0.5, 0.0], [1.0, 0.0])
    """

    def __init__(self, discount: float = DISCOUNT) -> None:
        self.discount_by(discount)
        self._places: dict[str, int] = {}
        self._totals: list[tuple[float, float]] = []
        # In a unit that shrinks, so that discounting every one of them is a single multiplication.
        self._unit = 1.0
        self._successes = array("d")
        self._failures = array("d")

    def discount_by(self, discount: float) -> None:
        """Weigh what is known by this for every sample that comes from now on."""
        if not 0 < discount <= 1:
            raise ValueError("discount must lie above 0, and at most at 1")
        self._log_discount = log(discount)

    def follow(self, totals: Mapping[str, Counted]) -> None:
        """Take in how the totals of some targets stand now; what is new since they were last seen is learnt."""
        moves = [self._move(name, seen) for name, seen in totals.items()]
        came = sum(move.came for move in moves)
        if came > 0:
            self._discount_all(came)
        worth = self._worth_of_each(came)
        for move in moves:
            self._take(move, worth)

    def where(self, names: Sequence[str]) -> Any:
        """Where these targets, which it follows, stand: what `counts` wants to be handed."""
        places = [self._places[name] for name in names]
        if len(places) < FEW:
            return places
        if places == list(range(len(places))):
            return slice(len(places))
        import numpy as np

        return np.array(places)

    def counts(self, where: Any) -> tuple[Any, Any]:
        """Discounted successes and failures of some targets, as columns that nobody else changes."""
        unit = self._unit
        if isinstance(where, list):
            return [self._successes[i] * unit for i in where], [self._failures[i] * unit for i in where]
        import numpy as np

        return np.frombuffer(self._successes)[where] * unit, np.frombuffer(self._failures)[where] * unit

    def _move(self, name: str, seen: Counted) -> _Move:
        """How a target's totals have changed. Those that are new here may be decayed: they count for Kish's n."""
        samples, successes = _clean(seen.samples, seen.successes)
        place = self._places.get(name)
        if place is None:
            place = self._places[name] = len(self._totals)
            self._totals.append((samples, successes))
            self._successes.append(0.0)
            self._failures.append(0.0)
            effective, _ = _clean(seen.effective, 0.0)
            share = successes / samples if samples else 0.0
            return _Move(place, 1.0, effective, effective * share)
        before, before_successes = self._totals[place]
        self._totals[place] = (samples, successes)
        if samples < before:
            # The successes that the fall explains; what differs beyond that was corrected.
            kept = samples / before
            return _Move(place, kept, 0.0, successes - before_successes * kept)
        return _Move(place, 1.0, samples - before, successes - before_successes)

    def _take(self, move: _Move, worth: float) -> None:
        """Change one belief. What was corrected weighs one sample each, as far as there is any on that side."""
        place, unit = move.place, self._unit
        worth /= unit
        successes = self._successes[place] * move.kept
        failures = self._failures[place] * move.kept
        fresh = min(max(move.successes, 0.0), move.came)
        successes += fresh * worth
        failures += (move.came - fresh) * worth
        turned = min(max((move.successes - fresh) * worth, -successes), failures)
        self._successes[place] = successes + turned
        self._failures[place] = failures - turned

    def _discount_all(self, came: float) -> None:
        self._unit *= exp(max(came * self._log_discount, -200.0))
        if self._unit < _SMALLEST_UNIT:
            for column in (self._successes, self._failures):
                column[:] = array("d", [each * self._unit for each in column])
            self._unit = 1.0

    def _worth_of_each(self, came: float) -> float:
        """Of a batch without order, each sample weighs what the samples of an ordered one weigh on average.

        That is (1 - discount^n) / (n · (1 - discount)): 1 for a single one.
        """
        if came <= 1 or self._log_discount == 0:
            return 1.0
        return expm1(came * self._log_discount) / (came * expm1(self._log_discount))


class _Move(NamedTuple):
    """How one target's totals have changed: the share of the old that is left, what came, and how many more succeeded
    (fewer, where it is negative)."""

    place: int
    kept: float
    came: float
    successes: float


def _clean(samples: float, successes: float) -> tuple[float, float]:
    """Counts as they can be: finite, not negative, and no more successes than samples."""
    samples = min(samples, _MOST) if samples > 0 else 0.0
    return samples, min(successes, samples) if successes > 0 else 0.0
