"""The chances of coming first against the integral over each one's own quantiles."""

import numpy as np
import pytest
from scipy.special import betainc, betaincinv

from mahavishnu.stats.chances import chances

POINTS = (np.arange(5_000) + 0.5) / 5_000


def by_quantiles(base, weight, alpha, beta):
    """Independent of the cells: the mean, over one's quantiles, of how likely all others are below."""
    found = []
    for one in range(len(base)):
        utility = base[one] + weight * betaincinv(alpha[one], beta[one], POINTS)
        others = [other for other in range(len(base)) if other != one]
        below = [betainc(alpha[k], beta[k], np.clip((utility - base[k]) / weight, 0, 1)) for k in others]
        found.append(np.prod(below, axis=0).mean())
    return found


@pytest.mark.parametrize(
    ("base", "alpha", "beta"),
    [
        ([0.007, 0.023], [5.098, 4.959], [4.318, 1.128]),
        ([0.1816, 0.1696], [3.965, 17.488], [1.306, 5.59]),
        ([0.0, 0.0, 0.0], [450, 90, 1], [50, 11, 1]),
        ([0.0] * 4, [6492895.0, 6495020.0, 6494272.0, 1], [3507104.0, 3504979.0, 3505727.0, 1]),
        ([0.0] * 4, [66763320.0, 66749377.0, 66759308.0, 1], [33236679.0, 33250622.0, 33240691.0, 1]),
    ],
    ids=["few failures", "hardly any failures", "a new one", "ten million samples", "a hundred million samples"],
)
def test_chances_are_within_3e_4_of_the_truth(base, alpha, beta):
    columns = (np.array(column, dtype=float) for column in (base, alpha, beta))
    base, alpha, beta = columns
    truth = by_quantiles(base, 0.7, alpha, beta)
    assert np.abs(chances(base, 0.7, alpha, beta) - truth).max() <= 3e-4
