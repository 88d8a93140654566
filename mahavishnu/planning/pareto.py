"""The Pareto frontier: who is dominated by nobody, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import inf, log, sqrt
from typing import TYPE_CHECKING, NamedTuple

from mahavishnu.model import Estimate, Scorecard
from mahavishnu.model.plan import Frontier, Standing
from mahavishnu.stats.evidence import estimate
from mahavishnu.stats.intervals import FEWEST_FOR_A_MEAN
from mahavishnu.stats.sketch import moments

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

DRAWS = 2_000
"""Worlds that are drawn: a probability is off by 0.011 at the most (one standard error)."""

_WIDEST = 100.0
"""How far the logarithm of a mean is taken to be off at most."""

_FIRMEST = 1e12
"""Samples that are told apart: with more of them a Beta distribution is one number."""

_AT_ONCE = 4_000_000
"""Comparisons that are held in memory at once."""


def frontier(cards: Iterable[Scorecard], draws: int = DRAWS, seed: int = 1) -> Frontier:
    """How the targets of one task type stand against each other in success, cost and latency.

    One dominates another when it is at least as good in all of them and better in one (H. T. Kung, F. Luccio and F. P.
    Preparata, JACM 22, 1975). Two that are the same in everything do not dominate each other. Quality counts too where
    all of them have been rated. A target that has never been seen, or never succeeded, is left out.

    Of a hundred samples each, the set of those that seem undominated is mostly wrong. So each has a probability as
    well: worlds are drawn from what the evidence leaves possible, and counted in how many of them nobody dominates it
    (compare E. J. Hughes, EMO 2001, on ranking under noise). A success rate is drawn from Beta(1 + successes, 1 +
    failures), on Kish's n; a mean cost or latency m from the normal distribution of its logarithm, with the deviation
    s/(m·√(n - 1)) that the delta method gives; a quality from the Beta distribution of as many yeses and noes, which
    is at least as wide as it should be. One world is drawn at least.

    >>> from mahavishnu.stats.sketch import bucket_of
    >>> def card(name, successes, micros):
    ...     return Scorecard(target=name, task_type="t", samples=500, squares=500, successes=successes,
    ...                      cost_micros=500 * micros, cost_samples=500, cost={bucket_of(micros): 500},
    ...                      latency_us=successes * 100_000, latency={bucket_of(100.0): successes})
    >>> found = frontier([card("cheap", 400, 10), card("good", 480, 1000), card("neither", 401, 2000)])
    >>> [(each.target, each.dominated_by, round(each.probability, 2)) for each in found]
    [('cheap', (), 1.0), ('good', (), 1.0), ('neither', ('good',), 0.0)]
    """
    draws = max(draws, 1)
    points = [point for card in cards if (point := _point(card)) is not None]
    rated = all(each.quality is not None for each in points)
    shares = _chances(points, rated, draws, seed) if len(points) > 1 else [1.0] * len(points)
    standings = [_standing(each, points, rated, share) for each, share in zip(points, shares, strict=True)]
    return tuple(sorted(standings, key=lambda each: (-each.probability, each.target)))


class _Point(NamedTuple):
    """What one target is known for, and how widely its figures may be off: in logarithms for cost and latency."""

    target: str
    seen: Estimate
    cost: float
    cost_spread: float
    latency: float
    latency_spread: float
    quality: float | None


def _point(card: Scorecard) -> _Point | None:
    seen = estimate(card)
    if not seen.successes > 0 or seen.mean_cost_micros is None:
        return None
    scale = seen.effective / seen.samples
    return _Point(
        target=card.target,
        seen=seen,
        cost=seen.mean_cost_micros,
        cost_spread=_spread(card.cost, scale),
        latency=inf if seen.mean_latency_ms is None else seen.mean_latency_ms,
        latency_spread=_spread(card.latency, scale),
        quality=seen.quality,
    )


def _spread(counts: Mapping[int, float], scale: float) -> float:
    """The standard deviation of the logarithm of a mean; of next to nothing it is taken to be off by a factor of e."""
    weight, mean, variance = moments(counts)
    values = weight * scale
    if not values >= FEWEST_FOR_A_MEAN:
        return 1.0
    # `min` keeps the first of two that cannot be compared.
    return min(_WIDEST, sqrt(variance / (values - 1)) / mean) if mean > 0 else 0.0


def _losses(each: _Point, rated: bool) -> tuple[float, ...]:
    """What is to be as low as possible."""
    quality = each.quality if rated and each.quality is not None else 0.0
    return -(each.seen.rate or 0.0), each.cost, each.latency, -quality


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def _standing(each: _Point, points: Sequence[_Point], rated: bool, probability: float) -> Standing:
    own = _losses(each, rated)
    return Standing(
        target=each.target,
        samples=each.seen.samples,
        success=each.seen.rate or 0.0,
        cost_micros=each.cost,
        latency_ms=None if each.latency == inf else each.latency,
        quality=each.quality,
        dominated_by=tuple(sorted(other.target for other in points if _dominates(_losses(other, rated), own))),
        probability=probability,
    )


def _chances(points: Sequence[_Point], rated: bool, draws: int, seed: int) -> list[float]:
    """In which share of the drawn worlds nobody dominates each of them."""
    import numpy as np

    rng = np.random.default_rng(seed)
    count = len(points)
    free = np.zeros(count)
    left = draws
    while left:
        now = min(left, max(1, _AT_ONCE // (count * count)))
        losses = _worlds(points, rated, now, rng)
        worse = np.zeros((now, count, count), dtype=bool)
        better = np.zeros((now, count, count), dtype=bool)
        for loss in losses:
            worse |= loss[:, :, None] > loss[:, None, :]
            better |= loss[:, :, None] < loss[:, None, :]
        # dominated[w, k]: in world w somebody is nowhere worse than k, and somewhere better.
        free += (~(better & ~worse).any(axis=1)).sum(axis=0)
        left -= now
    shares: list[float] = (free / draws).tolist()
    return shares


def _worlds(points: Sequence[_Point], rated: bool, count: int, rng: Generator) -> list[Array]:
    """For each thing that counts one array: of so many worlds, how much each target loses by it there."""
    import numpy as np

    effective = np.minimum([each.seen.effective for each in points], _FIRMEST)
    successes = effective * np.array([each.seen.rate or 0.0 for each in points])
    shape = (count, len(points))
    losses = [-rng.beta(1 + successes, 1 + effective - successes, shape)]
    for means, spreads in (
        ([each.cost for each in points], [each.cost_spread for each in points]),
        ([each.latency for each in points], [each.latency_spread for each in points]),
    ):
        # Whatever is free is free in every world.
        logs = np.array([log(mean) if mean > 0 else -inf for mean in means])
        losses.append(logs + np.array(spreads) * rng.standard_normal(shape))
    if rated:
        ratings = np.minimum([each.seen.rated for each in points], _FIRMEST)
        good = ratings * np.array([each.quality or 0.0 for each in points])
        losses.append(-rng.beta(1 + good, 1 + ratings - good, shape))
    return losses
