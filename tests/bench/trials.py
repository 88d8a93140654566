"""Experiments drawn and analysed a whole run at a time, with numpy: what the product does outcome by outcome.

`tests/unit/stats` holds every path here to the product's own, and to 1e-9.
"""

from dataclasses import dataclass

import numpy as np

from mahavishnu.stats.betting import SUCCESS
from mahavishnu.stats.difference import BOLDEST, CALM, FURTHEST, GAINS, GUESS, STAKE
from mahavishnu.stats.ratio import FIRMNESS


def falling(before, after, at=0.5):
    """A figure that changes at once, `at` of the way."""
    return lambda way: np.where(way < at, before, after)


def ramping(before, after):
    """A figure that changes steadily."""
    return lambda way: before + (after - before) * way


def stepping(*figures):
    """A figure that changes in steps of equal length."""
    return lambda way: np.array(figures)[np.minimum((way * len(figures)).astype(int), len(figures) - 1)]


def along(figure, way):
    return figure(way) if callable(figure) else np.full(len(way), float(figure))


@dataclass(frozen=True)
class Trial:
    """How tasks are assigned, and when what came of them is heard of, in tasks.

    `slower` multiplies the delay where a task was treated, `missing` of the outcomes are never heard of.
    """

    share: object = 0.1
    candidates: int = 10_000
    delay: float = 0.0
    slower: float = 1.0
    missing: float = 0.0

    def arms(self, draws):
        """Who is treated, with which probability, how far along, and the places of what is heard of as it arrives."""
        way = np.linspace(0, 1, 10_000, endpoint=False)
        tasks = int(self.candidates / along(self.share, way).mean() * 1.02)
        way = np.arange(tasks) / tasks
        share = along(self.share, way)
        treated = draws.random(tasks) < share
        order = np.arange(tasks)
        if self.delay:
            late = draws.exponential(self.delay, tasks) * np.where(treated, self.slower, 1.0)
            order = np.argsort(order + late, kind="stable")
        if self.missing:
            order = order[draws.random(tasks)[order] >= self.missing]
        return treated, share, way, order

    def rates(self, draws, control, treatment):
        """Treated, succeeded, share: of one run, in the order of arrival."""
        treated, share, way, order = self.arms(draws)
        succeeded = draws.random(len(way)) < np.where(treated, along(treatment, way), along(control, way))
        return treated[order], succeeded[order], share[order]

    def values(self, draws, control, treatment):
        """Treated, value, share: of one run, where the laws draw so many values."""
        treated, share, way, order = self.arms(draws)
        value = np.where(treated, treatment(draws, len(way)), control(draws, len(way)))
        return treated[order], value[order], share[order]


def before(values):
    """The sum of all that came earlier."""
    found = np.cumsum(values)
    found -= values
    return found


def mean_wealth(logs):
    np.minimum(logs, 690.0, out=logs)
    return np.exp(logs, out=logs).mean(axis=0)


def assignment(treated, category, share, game=SUCCESS, strata=None):
    """The e-value of `AssignmentBet` after every outcome."""
    category = category.astype(np.int8)
    if strata is None:
        return mean_wealth(np.cumsum(log_factors(treated, category, share, game), axis=1))
    logs = np.zeros((len(game.tilts), len(treated)))
    for stratum in np.unique(strata):
        mine = strata == stratum
        logs[:, mine] = log_factors(treated[mine], category[mine], share[mine], game)
    return mean_wealth(np.cumsum(logs, axis=1))


def log_factors(treated, category, share, game):
    """What each outcome multiplies the wealth of each alternative by, within one stratum."""
    logs = np.empty((len(game.tilts), len(treated)))
    controls = (~treated).astype(float)
    total = before(controls) + sum(game.prior)
    for place, tilt in enumerate(game.tilts):
        weight = np.array(tilt).take(category)
        ratio = before(weight * controls)
        ratio += np.dot(game.prior, tilt)
        np.divide(total, ratio, out=ratio)
        ratio *= weight
        won = 1 + share * (ratio - 1)
        np.log(np.divide(np.where(treated, ratio, 1.0), won, out=won), out=logs[place])
    return logs


def guesses(treated, value):
    """The two rates and variances of `Guesses`, before every outcome."""
    controls = ~treated
    seen = before(controls.astype(float)) + 1
    control = (before(np.where(controls, value, 0.0)) + GUESS) / seen
    squares = (before(np.where(controls, value * value, 0.0)) + GUESS) / seen
    weight = before(treated.astype(float)) + CALM
    test = (before(np.where(treated, value, 0.0)) + CALM * control) / weight
    test_squares = (before(np.where(treated, value * value, 0.0)) + CALM * squares) / weight
    return control, test, squares - control * control, test_squares - test * test


def difference(treated, value, share, margin=0.0, sides=(-1, 1)):
    """The e-values of `DifferenceBet` after every outcome: that it is worse, and that it is better."""
    value = value.astype(float)
    control, test, control_variance, test_variance = guesses(treated, value)
    gap = test - control
    score = gap + np.where(treated, (value - test) / share, (control - value) / (1 - share))
    variance = test_variance / share + control_variance / (1 - share)
    highest = gap + np.maximum((1 - test) / share, control / (1 - share))
    lowest = gap - np.maximum(test / share, (1 - control) / (1 - share))
    caps = {-1: BOLDEST / (highest + FURTHEST), 1: BOLDEST / (FURTHEST - lowest)}
    boldness = 1 / variance
    beyond = score + margin
    found = []
    for side in sides:
        logs = np.empty((len(GAINS), len(value)))
        for place, gain in enumerate(GAINS):
            bold = np.minimum(gain * boldness, caps[side])
            bold *= beyond
            bold *= side
            np.cumsum(np.log1p(bold, out=bold), out=logs[place])
        found.append(mean_wealth(logs))
    return found


def success(treated, value, share, margin=0.0):
    """The e-value that `DifferenceBet` rolls back by, after every outcome."""
    (worse,) = difference(treated, value, share, margin, sides=(-1,))
    return worse if margin else STAKE * assignment(treated, value, share) + (1 - STAKE) * worse


def sample_ratio(treated, share):
    """The e-value of `RatioBet` after every assignment."""
    due, had, seen = before(share), before(treated.astype(float)), np.arange(len(share))
    more = (had + FIRMNESS * share) / (due + FIRMNESS * share)
    others = (seen - had + FIRMNESS * (1 - share)) / (seen - due + FIRMNESS * (1 - share))
    return np.exp(
        np.minimum(np.cumsum(np.log(np.where(treated, more, others) / (share * more + (1 - share) * others))), 690)
    )


def found_after(reached, treated, fewest=1):
    """How many candidate outcomes there were, from `fewest` on, when a rule first said so; infinity if it never did."""
    count = np.cumsum(treated)
    looks = reached & treated & (count >= fewest)
    place = int(looks.argmax())
    return float(count[place]) if looks[place] else np.inf


# -- what others do: only to be compared -------------------------------------------------------------------------------


def pooled(treated, value):
    """Counts and rates of the two arms after every outcome, whatever the share was when they came."""
    value = value.astype(float)
    n_b, n_a = np.maximum(np.cumsum(treated), 1), np.maximum(np.cumsum(~treated), 1)
    return n_b, n_a, np.cumsum(np.where(treated, value, 0.0)) / n_b, np.cumsum(np.where(treated, 0.0, value)) / n_a


def z_at_every_look(treated, value, alpha=0.05):
    """The two-proportion z test, one-sided, as a dashboard shows it and somebody reads it every time."""
    n_b, n_a, p_b, p_a = pooled(treated, value)
    both = (n_b * p_b + n_a * p_a) / (n_b + n_a)
    spread = np.sqrt(np.maximum(both * (1 - both), 1e-12) * (1 / n_b + 1 / n_a))
    return (p_b - p_a) / spread <= -1.6448536269514722


def growthbook_like(treated, value, alpha=0.05, tuned_at=5_000):
    """The asymptotic confidence sequence that GrowthBook's sequential testing uses (I. Waudby-Smith et al. 2021)."""
    n_b, n_a, p_b, p_a = pooled(treated, value)
    n = n_b + n_a
    rho2 = (-2 * np.log(alpha) + np.log(-2 * np.log(alpha) + 1)) / tuned_at
    variance = n * (p_b * (1 - p_b) / n_b + p_a * (1 - p_a) / n_a)
    width = np.sqrt(variance * 2 * (n * rho2 + 1) / (n * n * rho2) * np.log(np.sqrt(n * rho2 + 1) / alpha))
    return (p_b - p_a + width < 0) & (variance > 0)


def tensorzero_like(treated, value, delta=0.05):
    """The generalised likelihood ratio of a best arm against the threshold of A. Garivier and E. Kaufmann (2016)."""
    n_b, n_a, p_b, p_a = pooled(treated, value)
    variance = p_b * (1 - p_b) / n_b + p_a * (1 - p_a) / n_a
    ratio = (p_a - p_b) ** 2 / (2 * np.maximum(variance, 1e-12))
    return (ratio >= np.log((1 + np.log(n_a + n_b)) / delta)) & (p_b < p_a) & (variance > 0)
