"""Betting on assignments: whether outcomes tell which arm they come from, however often one looks and whatever drifts.

A task is assigned to the treatment with a probability π that is known and written down. If the treatment changes
nothing, an outcome says nothing about the arm, so nobody can win by betting on it: whoever does has, on average, what
he began with, and has 1/α of it at any time with probability α at most (J. Ville, 1939). What was won is the e-value
(G. Shafer, JRSS A 184, 2021; A. Ramdas, P. Grünwald, V. Vovk, G. Shafer, Statistical Science 38, 2023). Nothing is
assumed about the outcomes: rates may fall, seasons may change and the share may ramp; only π has to be right.

The bet: outcomes fall into ordered categories, of which the first is the worst or the best one. An alternative says
how much likelier than the control each category is under the treatment, up to a constant: P_b(j) = P_a(j)·tilt_j/c.
With ρ = P_b/P_a of the category that came, wealth is multiplied by ρ/(1 − π + πρ) where the task was treated and by
1/(1 − π + πρ) where it was not. That is P_arm/P_0 with P_0 = π·P_b + (1 − π)·P_a. Whatever ρ is, the two average to 1
over the assignment. P_a is estimated from controls of strictly earlier, so that ρ is fixed before the outcome comes.

It is one-sided: with tilts that only rise or only fall along the categories, a treatment that shifts outcomes the
other way makes wealth shrink on average, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import exp, fsum, isnan, log
from operator import add, mul
from typing import Any

from mahavishnu.errors import InvalidOutcome

SHIFTS = (0.25, 0.5, 1.0, 1.5)
"""By how much the log-odds of success are lower under each alternative."""

LARGEST_LOG = 690.0
"""The e-value of a larger one would be no number."""

LEAST_PROBABILITY = 1e-300
"""What is less likely is bet on as this: it changes no e-value, and what is divided by it stays a number."""

_FURTHEST = 230.0
"""The largest shift: the exponential of it is 1e100."""

_STEEPEST = 1e100
"""How far priors and tilts may lie from 1: every product of one of each with a count is a number above 0."""


def randomised(probability: float | None) -> float:
    """The probability of the treatment, where there was a draw; what was not drawn may not be bet on.

    Raises InvalidOutcome for all but numbers above 0 and below 1.

    >>> randomised(0.1)
    0.1
    """
    if probability is None:
        raise InvalidOutcome(problem="carries no probability of its assignment; leave out what was not randomised")
    if LEAST_PROBABILITY <= probability < 1:
        return probability
    if not 0 < probability < 1:
        raise InvalidOutcome(
            problem=f"was assigned with probability {probability}; leave out what was not randomised (it must lie "
            "above 0 and below 1)"
        )
    return LEAST_PROBABILITY


def e_value(log_wealth: Sequence[float]) -> float:
    """What the bets have won together, who began with equal shares: the mean of their wealths.

    1 of no bets at all; a wealth that is no number is none. Never more than the exponential of LARGEST_LOG.

    >>> round(e_value([0.0, 0.0]), 9), e_value([1e9]) > 1e290, e_value([])
    (1.0, True, 1.0)
    """
    if not log_wealth:
        return 1.0
    return fsum(exp(min(each, LARGEST_LOG)) for each in log_wealth if not isnan(each)) / len(log_wealth)


@dataclass(frozen=True, slots=True)
class Game:
    """What is bet on. `prior` are the counts of the categories that are imagined before the first control was seen.

    A tilt says how much likelier an alternative makes each category, up to a constant.
    """

    prior: tuple[float, ...]
    tilts: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        if not self.tilts or any(len(tilt) != len(self.prior) for tilt in self.tilts):
            raise ValueError("tilts must be there, each with a number for every category")
        numbers = (*self.prior, *chain.from_iterable(self.tilts))
        if not all(1 / _STEEPEST <= number <= _STEEPEST for number in numbers):
            raise ValueError("prior and tilts must be above 0, and lie between 1e-100 and 1e100")


def falling(shifts: Iterable[float] = SHIFTS) -> Game:
    """A bet that successes have become rarer. Categories: failed (0), succeeded (1).

    An alternative has the control's log-odds less a shift; before anything is seen, control is taken to succeed in nine
    cases out of ten. Raises ValueError for a shift beyond 230, or that is no number.
    """
    shifts = tuple(shifts)
    if not all(-_FURTHEST <= shift <= _FURTHEST for shift in shifts):
        raise ValueError(f"shifts must lie between -{_FURTHEST:g} and {_FURTHEST:g}")
    return Game(prior=(0.1, 0.9), tilts=tuple((1.0, exp(-shift)) for shift in shifts))


SUCCESS = falling()


class AssignmentBet:
    """The wealth of the bets of one game, outcome by outcome in the order in which they are heard of.

    Controls are counted by stratum (a task type), because what is usual for one is not for another; the wealth is one.
    What it remembers are plain numbers: `kept` hands them out, `resumed` goes on from them as if nothing had happened.

    >>> bet = AssignmentBet()
    >>> for number in range(300):
    ...     bet.add(number % 4 == 0, number % 3 > 0 or number % 4 > 0, 0.25)
    >>> bet.treated, bet.e_value > 20
    (75, True)
    >>> AssignmentBet.resumed(SUCCESS, bet.kept()).e_value == bet.e_value
    True
    """

    __slots__ = ("_controls", "_logs", "game", "treated")

    def __init__(self, game: Game = SUCCESS) -> None:
        self.game = game
        self.treated = 0
        self._logs = [0.0] * len(game.tilts)
        self._controls: dict[str, list[int]] = {}

    def add(self, treated: bool, category: int, probability: float | None, stratum: str = "") -> None:
        """One outcome, of a task that was to be treated with this probability."""
        share = randomised(probability)
        prior = self.game.prior
        if not 0 <= category < len(prior):
            raise InvalidOutcome(problem=f"is of category {category}; there are {len(prior)}")
        controls = self._controls.get(stratum)
        if controls is None:
            controls = self._controls[stratum] = [0] * len(prior)
        believed = list(map(add, controls, prior))
        total = sum(believed)
        for place, tilt in enumerate(self.game.tilts):
            ratio = tilt[category] * total / sum(map(mul, believed, tilt))
            won = 1 / (1 - share + share * ratio)
            self._logs[place] += log(ratio * won if treated else won)
        if treated:
            self.treated += 1
        else:
            controls[category] += 1

    @property
    def e_value(self) -> float:
        """Under the null at least 1/α, at any time ever, with probability α at most."""
        return e_value(self._logs)

    @property
    def controls(self) -> int:
        return sum(map(sum, self._controls.values()))

    def kept(self) -> dict[str, Any]:
        """All it remembers, for JSON, which keeps floats exactly."""
        controls = {stratum: list(counts) for stratum, counts in self._controls.items()}
        return {"logs": list(self._logs), "treated": self.treated, "controls": controls}

    @classmethod
    def resumed(cls, game: Game, kept: Mapping[str, Any]) -> AssignmentBet:
        bet = cls(game)
        if len(kept["logs"]) != len(game.tilts):
            raise ValueError("these numbers must be of a bet on the same game")
        bet._logs = list(kept["logs"])
        bet.treated = kept["treated"]
        bet._controls = {stratum: list(counts) for stratum, counts in kept["controls"].items()}
        return bet
