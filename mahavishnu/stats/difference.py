"""How much the treatment changes a rate: bets against every margin at once, and the interval that they leave.

The score of an outcome y is the augmented inverse-probability-weighted one (J. Robins, A. Rotnitzky, L. P. Zhao, JASA
89, 1994): Z = f_b − f_a + (y − f_arm)·(1/π where it was treated, −1/(1 − π) where not). Whatever the guesses f of the
two rates are, as long as they are made beforehand, its mean is the true difference, treatment less control, at that
moment.

Against "the difference is m or more" the factor 1 − λ·(Z − m) wins on average only where that is wrong; against "m or
less" it is 1 + λ·(Z − m) (I. Waudby-Smith, A. Ramdas, JRSS B 86, 2024, for bounded means; I. Waudby-Smith et al.,
arXiv 2210.10768, for logged probabilities). λ is what would be best if the difference were a few points beyond m, for
a few such gains, capped so that no factor can reach zero. It does not depend on m. So evidence rises with m on one
side and falls on the other, and the margins that neither side has won against are an interval: a confidence sequence,
whose ends are each wrong at any time ever with probability α at most. A rule that acts when m = −margin is won
against says what the interval says, at the same moment.

Against "no worse at all" the bet on assignments (`stats.betting`) wins sooner, and it is as valid against every m of
0 or more. So where the margin is 0 it gets three quarters of the stakes, and what it wins counts for all of those m.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mahavishnu.errors import InvalidOutcome
from mahavishnu.stats.betting import AssignmentBet, randomised

Array = NDArray[np.float64]

GAINS = (0.01, 0.02, 0.04, 0.08, 0.16)
"""How far beyond a margin the difference is taken to lie."""

_GAINS: Array = np.array(GAINS)[:, np.newaxis]

BOLDEST = 0.9
"""Of the largest λ at which wealth could be lost altogether."""

GUESS = 0.9
"""The rate of the control, as if it had been seen once; the treatment's is taken to be the control's, CALM times."""

CALM = 10.0

STEPS = (0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035, 0.04, 0.045, 0.05, 0.06, 0.08, 0.10, 0.15, 0.20, 0.30)
"""Where the interval may end, either way, rounded outwards."""

FURTHEST = STEPS[-1]

_LEAST_VARIANCE = 1e-12

STAKE = 0.75
"""What the bet on assignments gets where the margin is 0."""


class Guesses:
    """The two rates and their variances, as far as they are known by now."""

    __slots__ = ("control", "control_squares", "control_sum", "treated", "treated_squares", "treated_sum")

    def __init__(self) -> None:
        self.control = self.treated = 0
        self.control_sum = self.treated_sum = self.control_squares = self.treated_squares = 0.0

    def add(self, treated: bool, value: float) -> None:
        if treated:
            self.treated += 1
            self.treated_sum += value
            self.treated_squares += value * value
        else:
            self.control += 1
            self.control_sum += value
            self.control_squares += value * value

    def moments(self) -> tuple[float, float, float, float]:
        """Control's and treatment's guessed rates, and the same of the squares."""
        seen = self.control + 1
        control, control_squares = (self.control_sum + GUESS) / seen, (self.control_squares + GUESS) / seen
        seen = self.treated + 1
        weight = self.treated + CALM
        treated = (self.treated_sum + CALM * control) / weight
        return control, treated, control_squares, (self.treated_squares + CALM * control_squares) / weight


class DifferenceBet:
    """The wealth of the bets on a difference of success rates; or, where not `of_rates`, of qualities between 0 and 1.

    >>> bet = DifferenceBet(margin=0.02)
    >>> for number in range(2_000):
    ...     treated = number % 2 == 0
    ...     bet.add(treated, 1.0 if number % 20 >= (6 if treated else 2) else 0.0, 0.5)
    >>> bet.worse > 20, bet.better < 1
    (True, True)
    >>> low, high = bet.interval(0.05)
    >>> low < -0.2 < high < -0.02
    True
    """

    __slots__ = ("_above", "_assigned", "_below", "_guesses", "_margins", "_place", "margin", "of_rates")

    def __init__(self, margin: float = 0.0, *, of_rates: bool = True) -> None:
        if not 0 <= margin < FURTHEST:
            raise ValueError(f"margin must lie between 0 and {FURTHEST}")
        self.margin = margin
        self.of_rates = of_rates
        self._assigned = AssignmentBet() if of_rates and margin == 0 else None
        margins = sorted({0.0, *STEPS, *(-step for step in STEPS), 0.0 - margin})
        self._place = bisect_left(margins, -margin)
        self._margins: Array = np.array(margins)
        self._guesses = Guesses()
        # Log-wealth by gain and margin: that the difference lies below it, and that it lies above.
        self._below: Array = np.zeros((len(GAINS), len(margins)))
        self._above: Array = np.zeros((len(GAINS), len(margins)))

    def add(self, treated: bool, value: float, probability: float | None) -> None:
        """One outcome between 0 and 1, of a task that was to be treated with this probability."""
        share = randomised(probability)
        if not 0 <= value <= 1 or (self.of_rates and value not in (0, 1)):
            raise InvalidOutcome(problem=f"is {value}; it must {'be 0 or 1' if self.of_rates else 'lie in 0 to 1'}")
        if self._assigned is not None:
            self._assigned.add(treated, int(value), probability)
        control, test, control_squares, test_squares = self._guesses.moments()
        gap = test - control
        score = gap + ((value - test) / share if treated else (control - value) / (1 - share))
        # Of values that never vary nothing would be left; any guess that was made beforehand is a fair one.
        variance = (test_squares - test * test) / share + (control_squares - control * control) / (1 - share)
        if variance < _LEAST_VARIANCE:
            variance = _LEAST_VARIANCE
        highest = gap + max((1 - test) / share, control / (1 - share))
        lowest = gap - max(test / share, (1 - control) / (1 - share))
        beyond: Array = score - self._margins
        bold = _GAINS / variance
        self._below += np.log1p(np.minimum(bold, BOLDEST / (highest + FURTHEST)) * -beyond)
        self._above += np.log1p(np.minimum(bold, BOLDEST / (FURTHEST - lowest)) * beyond)
        self._guesses.add(treated, value)

    @property
    def treated(self) -> int:
        return self._guesses.treated

    @property
    def controls(self) -> int:
        return self._guesses.control

    @property
    def worse(self) -> float:
        """The e-value against "the treatment is worse by no more than the margin": roll back when it is 1/α."""
        return float(self._against_worse()[self._place])

    @property
    def better(self) -> float:
        """The e-value against "the treatment is worse by the margin or more": promote when it is 1/α."""
        return float(_e_values(self._above[:, self._place]))

    def interval(self, alpha: float) -> tuple[float, float]:
        """Where the difference may lie: each end is wrong, at any time ever, with probability alpha at most.

        Below -margin as a whole exactly when `worse` has reached 1/alpha, above it exactly when `better` has. All that
        there can be, -1 to 1, for an alpha that is none: it must lie above 0 and below 1.
        """
        if not 0 < alpha < 1:
            return -1.0, 1.0
        low, high = _e_values(self._above) >= 1 / alpha, self._against_worse() >= 1 / alpha
        ends = float(self._margins[low].max(initial=-1.0)), float(self._margins[high].min(initial=1.0))
        # A difference that has changed on the way may leave no margin that neither side has won against: then these are
        # the margins that both have.
        return min(ends), max(ends)

    def kept(self) -> dict[str, Any]:
        """All it remembers, for JSON, which keeps floats exactly."""
        return {
            "margin": self.margin,
            "of_rates": self.of_rates,
            "guesses": {name: getattr(self._guesses, name) for name in Guesses.__slots__},
            "below": self._below.tolist(),
            "above": self._above.tolist(),
            "assigned": None if self._assigned is None else self._assigned.kept(),
        }

    @classmethod
    def resumed(cls, kept: Mapping[str, Any]) -> DifferenceBet:
        bet = cls(kept["margin"], of_rates=kept["of_rates"])
        below, above = np.array(kept["below"]), np.array(kept["above"])
        if below.shape != bet._below.shape or above.shape != bet._above.shape:
            raise ValueError("these numbers must be of a bet on the same margins")
        bet._below, bet._above = below, above
        for name, value in kept["guesses"].items():
            setattr(bet._guesses, name, value)
        if bet._assigned is not None:
            bet._assigned = AssignmentBet.resumed(bet._assigned.game, kept["assigned"])
        return bet

    def _against_worse(self) -> Array:
        """The e-value, for every margin, that the difference lies below it."""
        found = _e_values(self._below)
        if self._assigned is not None:
            found *= 1 - STAKE
            found[self._place :] += STAKE * self._assigned.e_value
        return found


def _e_values(log_wealth: Array) -> Array:
    """The mean wealth over the gains."""
    top = log_wealth.max(axis=0)
    found: Array = np.exp(np.minimum(top + np.log(np.exp(log_wealth - top).mean(axis=0)), 690.0))
    return found
