"""Detectors: watching a yes or no for as long as one likes, and saying when its share has changed.

Mixtures of Shiryaev–Roberts e-detectors (J. Shin, A. Ramdas, A. Rinaldo: E-detectors, NEJSDS 2, arXiv 2203.03532). For
each of a few alternatives, every observation multiplies what was there, and one more that begins with it, by its
likelihood ratio. While the share keeps to the null, whatever else it does, the sum grows on average by at most one for
each observation. So it reaches a threshold of 10,000 on average no sooner than after 10,000 observations, although it
is looked at after every one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from math import exp

_MOST = 1e300
"""Where a sum stops growing: far above any threshold, and a product with it is still a number."""

_LEAST, _HAIR = 5e-324, 2**-53
"""The smallest share above 0, and what is missing to 1 at the largest below it."""

_FURTHEST = 100.0
"""How far an alternative may lie from the null: a likelihood ratio is a number, and the sum of many is, too."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What a detector remembers: a few numbers, to be kept anywhere and gone on from.

    `sums` are the e-detectors of the alternatives. `samples` and `hits` count since about when the share may have
    changed: since the likelihood ratio of the middle alternative (`ratio`, Page's CUSUM) last lay at or under 1.
    """

    sums: tuple[float, ...] = ()
    ratio: float = 1.0
    samples: int = 0
    hits: int = 0

    @property
    def share(self) -> float | None:
        """Of hits, since about when it may have changed."""
        return self.hits / self.samples if self.samples else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """Says when the share of hits has gone past `null`: above it where the shifts are positive, else below it.

    An alternative is the null with its log-odds moved by a shift. Three of them find a doubled share almost as fast as
    the best one for it would, and a larger one faster. `threshold` is the average number of observations before a
    false alarm, at least.

    >>> watch = Detector(null=0.10)
    >>> watch.alarmed(watch.after(Suspicion(), [False] * 500)), watch.alarmed(watch.after(Suspicion(), [True] * 12))
    (False, True)
    """

    null: float
    threshold: float = 10_000.0
    shifts: tuple[float, ...] = (0.5, 0.9, 1.5)

    def __post_init__(self) -> None:
        if not 0 < self.null < 1:
            raise ValueError("null must lie between 0 and 1")
        if not self.threshold > 1:
            raise ValueError("threshold must be above 1")
        upward, downward = (all(0 < way * shift <= _FURTHEST for shift in self.shifts) for way in (1, -1))
        if not self.shifts or not (upward or downward):
            raise ValueError(f"shifts must all be above 0, or all below it, and none beyond {_FURTHEST:g}")

    def seen(self, before: Suspicion, hit: bool) -> Suspicion:
        """What is remembered after one more observation; `before` is what this detector has remembered, or nothing."""
        ratios = _ratios(self.null, self.shifts)[hit]
        sums = before.sums or (0.0,) * len(ratios)
        ratio = before.ratio * ratios[len(ratios) // 2]
        rises = ratio > 1
        return Suspicion(
            sums=tuple([min(_MOST, (old + 1) * each) for old, each in zip(sums, ratios, strict=True)]),
            ratio=min(_MOST, ratio) if rises else 1.0,
            samples=before.samples + 1 if rises else 0,
            hits=before.hits + hit if rises else 0,
        )

    def after(self, before: Suspicion, hits: Iterable[bool]) -> Suspicion:
        """What is remembered after several more, the oldest first."""
        for hit in hits:
            before = self.seen(before, hit)
        return before

    def evidence(self, suspicion: Suspicion) -> float:
        """The e-detector: under the null, on average no more than the number of observations."""
        return sum(suspicion.sums) / len(self.shifts)

    def alarmed(self, suspicion: Suspicion) -> bool:
        return self.evidence(suspicion) >= self.threshold

    def mirrored(self, *, gap: float = 0.05, threshold: float = 1_000.0) -> Detector:
        """One that says when the share is well again.

        Its null lies a little beyond this one's, so that what sits between the two does not flap.

        >>> round(Detector(null=0.10).mirrored().null, 3)
        0.145
        """
        upward = self.shifts[0] > 0
        null = self.null + gap * (1 - self.null) if upward else self.null * (1 - gap)
        null = min(max(null, _LEAST), 1 - _HAIR)
        return Detector(null=null, threshold=threshold, shifts=tuple(-each for each in self.shifts))


@lru_cache(maxsize=1024)
def _ratios(null: float, shifts: tuple[float, ...]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The likelihood ratios of a miss and of a hit, alternative by alternative."""
    # Each by its own formula: a share less than 1, or next to nothing, would leave none of its digits.
    misses = tuple(1 / (1 - null + null * exp(shift)) for shift in shifts)
    return misses, tuple(1 / (null + (1 - null) * exp(-shift)) for shift in shifts)
