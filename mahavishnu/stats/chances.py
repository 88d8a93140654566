"""How likely each candidate is to come first in a Thompson draw, by quadrature."""

from __future__ import annotations

from math import lgamma

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_FINE = 16.0
"""Cells in a standard deviation of the narrowest one that competes."""

_FEWEST, _MOST = 150, 4000
_MOST_POINTS = 2**17

_STEEP = 3.0
"""A density with a smaller second parameter bends where its range ends."""

_CLOSER: Array = np.array([1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64])
_COARSE = 0.25
_AROUND: Array = np.linspace(-6.0, 6.0, 97)
"""In steps and in standard deviations: edges before an end, and around what is narrower than four cells."""

_FAR = 1e300
"""What stands for an infinite number: sums and differences of two are still numbers."""

_SLIGHTEST = 1e-300
"""A weight that moves no base."""

_FIRMEST = 2e9
"""What two parameters weigh together at most: of larger ones the log-gammas leave too few digits for a density."""


def chances(base: Array, weight: float, alpha: Array, beta: Array) -> Array:
    """The probability that base + weight · Beta(alpha, beta) is the largest, for each; they sum to 1.

    It is the integral of one's density times the others' distribution functions (Thompson, Biometrika 25, 1933), over
    the stretch in which the largest can lie: from where the best one surely is above, to where all of them end. Those
    that never come near it are left out. Within 3e-4 of the truth, and mostly far closer; more where a thousand compete
    of which each has more than 10,000 samples. Both parameters must be 1 or
    more: below that a density has no top. What is less, or no number, counts for 1, and together they weigh no more
    than 2e9. A base that is no number is the lowest.

    >>> same = chances(np.zeros(4), 1.0, np.full(4, 9.0), np.full(4, 3.0))
    >>> bool(abs(same - 0.25).max() < 1e-9)
    True
    >>> better = chances(np.zeros(2), 1.0, np.array([2.0, 1.0]), np.array([1.0, 1.0]))
    >>> [round(float(each), 4) for each in better]  # by hand: 2/3 and 1/3
    [0.6667, 0.3333]
    """
    found = np.zeros(len(base))
    if not np.abs(base).max() <= _FAR:
        base = np.clip(np.nan_to_num(base, nan=-_FAR), -_FAR, _FAR)
    if not _SLIGHTEST < weight < np.inf:
        found[base.argmax()] = 1.0
        return found
    # In units of the weight, from the highest one down: whatever lies a whole weight lower never comes first.
    base = np.maximum(base - base.max(), -weight) / weight
    smaller = np.minimum(alpha, beta)
    if not (smaller.min() >= 1 and max(alpha.max(), beta.max()) <= _FIRMEST / 2):
        alpha, beta = _bounded(alpha, beta)
        smaller = np.minimum(alpha, beta)
    total = alpha + beta
    mean = alpha / total
    deviation = np.sqrt(mean * (1 - mean) / (total + 1))
    # Where 1e-7 is left of the tail. It is that of a Gamma distribution whose shape is the smaller parameter.
    reach = deviation * (5.8 + 10.0 * smaller**-0.75)
    lowest = (base + np.maximum(mean - reach, 0.0)).max()
    highest = base + np.minimum(mean + reach, 1.0)
    competing = np.flatnonzero(highest >= lowest)
    if len(competing) == 1:
        found[competing] = 1.0
        return found
    stretch = lowest, highest.max()
    found[competing] = _shares(base[competing], alpha[competing], beta[competing], deviation[competing], stretch)
    return found


def _bounded(alpha: Array, beta: Array) -> tuple[Array, Array]:
    alpha, beta = (np.clip(np.nan_to_num(each, nan=1.0), 1.0, _FAR) for each in (alpha, beta))
    factor = np.minimum(_FIRMEST / (alpha + beta), 1.0)
    return np.maximum(alpha * factor, 1.0), np.maximum(beta * factor, 1.0)


def _shares(base: Array, alpha: Array, beta: Array, deviation: Array, stretch: tuple[float, float]) -> Array:
    edges = _edges(base, alpha, beta, deviation, stretch)
    inside = np.clip(edges - base[:, None], 0.0, 1.0)
    mass = _masses(alpha, beta, inside)
    # The distribution function in the middle of each cell, counted from above: all of them end within the stretch.
    below = 1.0 - (np.cumsum(mass[:, ::-1], axis=1)[:, ::-1] - mass / 2)
    log_below = np.log(np.maximum(below, 1e-300))
    everybody = log_below.sum(axis=0)
    shares: Array = (mass * np.exp(np.minimum(everybody - log_below, 0.0))).sum(axis=1)
    shares /= shares.sum()
    return shares


def _edges(base: Array, alpha: Array, beta: Array, deviation: Array, stretch: tuple[float, float]) -> Array:
    """The edges of the cells: even, and closer where a density falls steeply or is narrow."""
    low, high = stretch
    narrowest = deviation.min()
    cells = (high - low) / max(narrowest / _FINE, 1e-12)
    count = int(min(max(cells, _FEWEST), _MOST, max(_MOST_POINTS / len(base), 64)))
    even = np.linspace(low, high, count + 1)
    if len(base) >= count:
        return even
    # No range ends inside a cell, so that every density is smooth in every one of them.
    edges = [even, np.clip(base + 1.0, low, high)]
    step = (high - low) / count
    if beta.min() < _STEEP:
        edges.append(np.clip((base[beta < _STEEP, None] + 1.0 - step * _CLOSER).ravel(), low, high))
    if narrowest * _COARSE < step:
        narrow = deviation * _COARSE < step
        middle = base + alpha / (alpha + beta)
        around = (middle[narrow, None] + deviation[narrow, None] * _AROUND).ravel()
        if (count + len(around)) * len(base) <= 2 * _MOST_POINTS:
            edges.append(np.clip(around, low, high))
    return np.sort(np.concatenate(edges))


def _masses(alpha: Array, beta: Array, edges: Array) -> Array:
    """What each Beta distribution has in each cell, by the density in the cell's middle."""
    norm = np.array([lgamma(a) + lgamma(b) - lgamma(a + b) for a, b in zip(alpha, beta, strict=True)])
    # Where a range has ended its cells are empty, and no logarithm is to be taken at 0.
    middle = np.clip((edges[:, 1:] + edges[:, :-1]) / 2, 1e-300, 1 - 1e-16)
    log_density = (alpha - 1)[:, None] * np.log(middle) + (beta - 1)[:, None] * np.log1p(-middle) - norm[:, None]
    mass: Array = np.exp(log_density) * (edges[:, 1:] - edges[:, :-1])
    return mass
