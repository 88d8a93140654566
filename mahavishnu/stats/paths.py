"""The bets of an experiment over a whole run at once: the e-value after every outcome, for simulations.

The product's own bets go outcome by outcome; unit tests hold every path here to them, to 1e-9.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mahavishnu.stats.betting import LARGEST_LOG, SUCCESS, Game
from mahavishnu.stats.difference import BOLDEST, CALM, FURTHEST, GAINS, GUESS, STAKE
from mahavishnu.stats.ratio import FIRMNESS

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.int64]

Figure = float | Callable[[Array], Array]
"""One number, or what it is so far along the way, which goes from 0 to 1."""

_SPARE = 1.02
"""So many more tasks are drawn than are expected to be needed."""


def along(figure: Figure, way: Array) -> Array:
    return figure(way) if callable(figure) else np.full(len(way), float(figure))


@dataclass(frozen=True)
class Arrivals:
    """How tasks are assigned, and when what came of them is heard of, in tasks.

    As many tasks as give `candidates` treated ones. `slower` multiplies the delay where a task was treated, `missing`
    of the outcomes are never heard of.
    """

    share: Figure = 0.1
    candidates: int = 10_000
    delay: float = 0.0
    slower: float = 1.0
    missing: float = 0.0

    def arms(self, draws: Generator) -> tuple[Flags, Array, Array, Places]:
        """Who is treated, with which probability, how far along, and the places of what is heard of as it arrives."""
        way: Array = np.linspace(0, 1, 10_000, endpoint=False)
        tasks = int(self.candidates / along(self.share, way).mean() * _SPARE)
        way = np.arange(tasks) / tasks
        share = along(self.share, way)
        treated: Flags = draws.random(tasks) < share
        order: Places = np.arange(tasks)
        if self.delay:
            late = draws.exponential(self.delay, tasks) * np.where(treated, self.slower, 1.0)
            order = np.argsort(order + late, kind="stable")
        if self.missing:
            order = order[draws.random(tasks)[order] >= self.missing]
        return treated, share, way, order

    def rates(self, draws: Generator, control: Figure, treatment: Figure) -> tuple[Flags, Flags, Array]:
        """Treated, succeeded, share: of one run, in the order of arrival."""
        treated, share, way, order = self.arms(draws)
        succeeded: Flags = draws.random(len(way)) < np.where(treated, along(treatment, way), along(control, way))
        return treated[order], succeeded[order], share[order]


def before(values: Array) -> Array:
    """The sum of all that came earlier."""
    found: Array = np.cumsum(values)
    found -= values
    return found


def mean_wealth(logs: Array) -> Array:
    """The e-values, of the logarithms of the wealths; it writes over them."""
    np.minimum(logs, LARGEST_LOG, out=logs)
    found: Array = np.exp(logs, out=logs).mean(axis=0)
    return found


def assignment(
    treated: Flags, category: NDArray[np.generic], share: Array, game: Game = SUCCESS, strata: Places | None = None
) -> Array:
    """The e-value of `AssignmentBet` after every outcome."""
    return mean_wealth(assignment_logs(treated, category, share, game, strata))


def assignment_logs(
    treated: Flags, category: NDArray[np.generic], share: Array, game: Game = SUCCESS, strata: Places | None = None
) -> Array:
    """The log-wealth of each of its alternatives after every outcome."""
    places = category.astype(np.int8)
    if strata is None:
        return _log_factors(treated, places, share, game).cumsum(axis=1)
    logs = np.zeros((len(game.tilts), len(treated)))
    for stratum in np.unique(strata):
        mine = strata == stratum
        logs[:, mine] = _log_factors(treated[mine], places[mine], share[mine], game)
    return logs.cumsum(axis=1)


def _log_factors(treated: Flags, category: NDArray[np.int8], share: Array, game: Game) -> Array:
    """What each outcome multiplies the wealth of each alternative by, within one stratum."""
    logs: Array = np.empty((len(game.tilts), len(treated)))
    controls = (~treated).astype(float)
    total = before(controls) + sum(game.prior)
    spared = 1 - share
    for place, tilt in enumerate(game.tilts):
        weight: Array = np.array(tilt).take(category)
        ratio = before(weight * controls)
        ratio += np.dot(game.prior, tilt)
        np.divide(total, ratio, out=ratio)
        ratio *= weight
        won = ratio * share
        won += spared
        ratio[~treated] = 1.0
        np.log(np.divide(ratio, won, out=won), out=logs[place])
    return logs


def _guesses(treated: Flags, value: Array, *, of_rates: bool) -> tuple[Array, Array, Array, Array]:
    """The two rates and variances of `Guesses`, before every outcome."""
    arm = treated.astype(float)
    controls = 1 - arm
    seen = before(controls) + 1
    weight = before(arm) + CALM

    def means(value: Array) -> tuple[Array, Array]:
        control = (before(controls * value) + GUESS) / seen
        return control, (before(arm * value) + CALM * control) / weight

    control, test = means(value)
    # Of successes the squares are the successes.
    squares, test_squares = (control, test) if of_rates else means(value * value)
    return control, test, squares - control * control, test_squares - test * test


def difference(
    treated: Flags, value: NDArray[np.generic], share: Array, margin: float = 0.0, sides: tuple[int, ...] = (-1, 1)
) -> list[Array]:
    """The e-values of `DifferenceBet` after every outcome: that it is worse (-1), and that it is better (1).

    Where the margin is 0 the bet on assignments has its part in "worse"; `success` puts the two together.
    """
    return [mean_wealth(each) for each in difference_logs(treated, value, share, margin, sides)]


def difference_logs(
    treated: Flags, value: NDArray[np.generic], share: Array, margin: float = 0.0, sides: tuple[int, ...] = (-1, 1)
) -> list[Array]:
    """The log-wealth of each of its gains after every outcome, side by side."""
    seen: Array = value.astype(float)
    control, test, control_variance, test_variance = _guesses(treated, seen, of_rates=value.dtype == bool)
    gap = test - control
    score = gap + np.where(treated, (seen - test) / share, (control - seen) / (1 - share))
    variance = test_variance / share + control_variance / (1 - share)
    boldness = 1 / variance
    beyond = score + margin
    found: list[Array] = []
    for side in sides:
        # How far a score can lie on the side where wealth is lost.
        if side < 0:
            furthest = gap + np.maximum((1 - test) / share, control / (1 - share))
        else:
            furthest = np.maximum(test / share, (1 - control) / (1 - share)) - gap
        cap = BOLDEST / (furthest + FURTHEST)
        logs: Array = np.empty((len(GAINS), len(seen)))
        for place, gain in enumerate(GAINS):
            bold = np.minimum(gain * boldness, cap)
            bold *= beyond
            bold *= side
            # Twice as fast as log1p, and as good: the factors are no closer to 1 than a thousandth or so.
            bold += 1
            np.cumsum(np.log(bold, out=bold), out=logs[place])
        found.append(logs)
    return found


def success(treated: Flags, value: NDArray[np.generic], share: Array, margin: float = 0.0) -> Array:
    """The e-value that `DifferenceBet` rolls back by, after every outcome."""
    (worse,) = difference(treated, value, share, margin, sides=(-1,))
    return worse if margin else STAKE * assignment(treated, value, share) + (1 - STAKE) * worse


def success_reached(
    treated: Flags, value: NDArray[np.generic], share: Array, needed: float, margin: float = 0.0
) -> Flags:
    """Where `success` is `needed` or more; sooner known, as hardly any e-value has to be worked out for it."""
    (worse,) = difference_logs(treated, value, share, margin, sides=(-1,))
    parts = [(1.0, worse)] if margin else [(STAKE, assignment_logs(treated, value, share)), (1 - STAKE, worse)]
    # A mean is never above its largest part.
    largest = np.maximum.reduce([logs.max(axis=0) for _, logs in parts])
    places = np.flatnonzero(largest >= np.log(needed) - 1e-9)
    reached: Flags = np.zeros(len(treated), dtype=bool)
    reached[places] = sum(stake * mean_wealth(logs[:, places]) for stake, logs in parts) >= needed
    return reached


def sample_ratio(treated: Flags, share: Array) -> Array:
    """The e-value of `RatioBet` after every assignment."""
    due, had, seen = before(share), before(treated.astype(float)), np.arange(len(share))
    more = (had + FIRMNESS * share) / (due + FIRMNESS * share)
    others = (seen - had + FIRMNESS * (1 - share)) / (seen - due + FIRMNESS * (1 - share))
    won = np.log(np.where(treated, more, others) / (share * more + (1 - share) * others))
    found: Array = np.exp(np.minimum(np.cumsum(won), LARGEST_LOG))
    return found


def found_after(reached: Flags, treated: Flags, fewest: int = 1, *, at_controls: bool = False) -> float:
    """How many treated outcomes there were, from `fewest` on, when a rule first said so; infinity if it never did.

    It is looked for after every treated outcome, or, with `at_controls`, after every outcome at all.
    """
    count: Places = np.cumsum(treated)
    looks = reached & (count >= fewest) & (treated | at_controls)
    place = int(looks.argmax()) if len(looks) else 0
    return float(count[place]) if len(looks) and looks[place] else inf
