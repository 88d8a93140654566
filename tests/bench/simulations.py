"""What experiments are drawn from, beside the product's own `stats.paths`; and what others would do."""

from dataclasses import dataclass

import numpy as np

from mahavishnu.stats.paths import Arrivals, assignment, difference, found_after, sample_ratio, success

__all__ = [
    "Simulation",
    "assignment",
    "difference",
    "falling",
    "found_after",
    "growthbook_like",
    "ramping",
    "sample_ratio",
    "stepping",
    "success",
    "tensorzero_like",
    "z_at_every_look",
]


def falling(before, after, at=0.5):
    """A figure that changes at once, `at` of the way."""
    return lambda way: np.where(way < at, before, after)


def ramping(before, after):
    """A figure that changes steadily."""
    return lambda way: before + (after - before) * way


def stepping(*figures):
    """A figure that changes in steps of equal length."""
    return lambda way: np.array(figures)[np.minimum((way * len(figures)).astype(int), len(figures) - 1)]


@dataclass(frozen=True)
class Simulation(Arrivals):
    """Arrivals that can be drawn values for as well."""

    def values(self, draws, control, treatment):
        """Treated, value, share: of one run, where the laws draw so many values."""
        treated, share, way, order = self.arms(draws)
        value = np.where(treated, treatment(draws, len(way)), control(draws, len(way)))
        return treated[order], value[order], share[order]


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
