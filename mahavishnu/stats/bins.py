"""Latency and cost as six ordered bins, and breaches of a promised limit, to bet on like on success."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import exp, inf, isnan

from mahavishnu.stats.betting import Game
from mahavishnu.stats.sketch import buckets_at, end_of

LEVELS = (0.50, 0.75, 0.90, 0.95, 0.99)
"""The baseline's quantiles between two bins."""

_MASSES = tuple(high - low for low, high in pairwise((0.0, *LEVELS, 1.0)))
_FIRMNESS = 20.0

_MIDDLES = (-0.80, 0.33, 0.95, 1.45, 1.96, 2.67)
"""The mean of a standard normal within each bin: what a small shift of its logarithm multiplies the odds by, is e to
the power of shift times this."""

_TAIL = (0.95, 0.96, 0.98, 1.05, 1.27, 3.40)
"""One in twenty takes ten times as long, of a lognormal with sigma 1."""

RISE = Game(
    prior=tuple(_FIRMNESS * mass for mass in _MASSES),
    tilts=(*(tuple(exp(shift * middle) for middle in _MIDDLES) for shift in (0.15, 0.3, 0.6, 1.2)), _TAIL),
)
"""A bet that values have moved to higher bins: all of them a little, or a few of them far."""

FALL = Game(prior=RISE.prior, tilts=tuple(tuple(1 / each for each in tilt) for tilt in RISE.tilts))
"""The same mirrored: a bet that values have moved to lower bins, all of them a little, or few are far out any more."""

BREACH = Game(prior=(0.9, 0.1), tilts=tuple((1.0, exp(shift)) for shift in (0.25, 0.5, 1.0, 1.5)))
"""A bet that a limit is broken more often. Categories: kept (0), broken (1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """Which bin a value falls into, by the baseline of its task type, fixed before the experiment begins.

    With a margin a treated value is first divided by 1 + margin: what is longer by no more than that falls into no
    higher bin than it would have.

    >>> bins = Bins(edges={"t": (100.0, 200.0, 300.0, 400.0, 500.0)}, margin=0.1)
    >>> bins.place(treated=False, value=105.0, stratum="t"), bins.place(treated=True, value=105.0, stratum="t")
    (1, 0)
    """

    edges: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    margin: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.margin < inf:
            raise ValueError("margin must be 0 or more")
        for edges in self.edges.values():
            if len(edges) != len(LEVELS) or not all(low <= high for low, high in pairwise(edges)):
                raise ValueError(f"edges must be {len(LEVELS)} numbers in rising order")

    def place(self, *, treated: bool, value: float, stratum: str) -> int | None:
        """None where its task type had no baseline, or the value is no number: nothing to go by, and it is left out."""
        edges = self.edges.get(stratum)
        if edges is None or isnan(value):
            return None
        return bisect_left(edges, value / (1 + self.margin) if treated else value)


def edges_of(counts: Mapping[int, float]) -> tuple[float, ...] | None:
    """The edges between the bins, from a baseline's counts by bucket of `stats.sketch`; None from an empty one.

    An edge is the upper end of its quantile's bucket. A bucket that holds several quantiles, as that of a price which
    hardly ever changes, has a bin of its own: what is less falls below it, and what is more above.

    >>> from mahavishnu.stats.sketch import bucket_of
    >>> price = Bins(edges={"t": edges_of({bucket_of(100.0): 100})})
    >>> [price.place(treated=True, value=value, stratum="t") for value in (90.0, 100.0, 110.0)], edges_of({})
    ([0, 1, 5], None)
    """
    buckets = [bucket for bucket in buckets_at(counts, LEVELS) if bucket is not None]
    if not buckets:
        return None
    own = [first == second for first, second in pairwise(buckets)]
    starts = [equal and not before for before, equal in pairwise((False, *own))]
    return tuple(end_of(bucket - start) for bucket, start in zip(buckets, (*starts, False), strict=True))
