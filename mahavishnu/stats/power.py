"""How many requests an experiment needs before it can tell what it is to tell, and how long that takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, exp, log, sqrt
from statistics import NormalDist

from mahavishnu.stats.betting import SHIFTS

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Need:
    """What a fixed-horizon test needs: so many treated requests, so many in all."""

    treated: int
    requests: int

    def days(self, requests_a_day: float) -> float:
        """How long that takes at today's traffic."""
        if not requests_a_day > 0:
            raise ValueError("requests_a_day must be above 0")
        return self.requests / requests_a_day


def needed_for_rates(
    *, baseline: float, detect: float, share: float = 0.5, power: float = 0.8, alpha: float = 0.05, sides: int = 2
) -> Need:
    """Requests until a two-proportion test finds a fall of `detect` points with this power.

    With each arm's own variance (J. L. Fleiss, B. Levin, M. C. Paik, Statistical Methods for Rates and Proportions, 3rd
    ed., 2003, §4.2, without the pooled variance, which asks for fewer where the smaller arm is the worse one).

    >>> needed_for_rates(baseline=0.9, detect=0.05, share=0.1)
    Need(treated=432, requests=4317)
    >>> round(needed_for_rates(baseline=0.9, detect=0.05, share=0.1).days(1_000), 1)
    4.3
    """
    _fall(baseline, detect)
    spread = _rates_spread(baseline, baseline - detect, _share(share))
    return _need(spread / detect**2, share, power, alpha, sides)


def needed_for_times(
    *, sigma: float, factor: float, share: float = 0.5, power: float = 0.8, alpha: float = 0.05, sides: int = 2
) -> Need:
    """Requests until Welch's test on logarithms finds latencies or costs that are `factor` times as high.

    `sigma` is the standard deviation of their natural logarithm: about ln(p95 / p50) / 1.645.

    >>> needed_for_times(sigma=1.0, factor=1.2, share=0.1)
    Need(treated=263, requests=2624)
    """
    if not (sigma > 0 and factor > 0 and factor != 1):
        raise ValueError("sigma must be above 0, and factor above 0 and not 1")
    spread = sigma**2 / (_share(share) * (1 - share))
    return _need(spread / log(factor) ** 2, share, power, alpha, sides)


def usual_for_betting(
    *,
    baseline: float,
    detect: float,
    share: float = 0.5,
    alpha: float = 0.05,
    margin: float = 0.0,
    shifts: Sequence[float] = SHIFTS,
) -> Need:
    """Requests after which the bets of an experiment have found a fall of `detect` points in about half of the cases.

    The logarithm of 1/alpha over what the best of its alternatives gains with every request (J. L. Kelly, 1956). What
    sharing the stakes with the others costs, and that the median lies below the mean, about cancel out. With a margin
    it is the bet on the difference that has to find what lies beyond it.

    >>> usual_for_betting(baseline=0.9, detect=0.05, share=0.1)
    Need(treated=278, requests=2777)
    >>> usual_for_betting(baseline=0.9, detect=0.05, share=0.1, margin=0.02)
    Need(treated=916, requests=9154)
    """
    _fall(baseline, detect)
    if not 0 <= margin < detect:
        raise ValueError("detect must be larger than the margin: within the margin nothing is to be found")
    if margin:
        growth = (detect - margin) ** 2 / (2 * _rates_spread(baseline, baseline - detect, _share(share)))
    else:
        growth = max(_growth(baseline, baseline - detect, _share(share), shift) for shift in shifts)
    if growth <= 0:
        raise ValueError("detect must be larger: none of the bets would gain on average")
    requests = ceil(log(1 / alpha) / growth)
    return Need(treated=ceil(requests * share), requests=requests)


def power_of(
    *, baseline: float, detect: float, requests: int, share: float = 0.5, alpha: float = 0.05, sides: int = 2
) -> float:
    """How likely that many requests are to show a fall of `detect` points.

    >>> round(power_of(baseline=0.9, detect=0.05, requests=4_317, share=0.1), 3)
    0.8
    """
    deviation = sqrt(_rates_spread(baseline, baseline - detect, _share(share)) / requests)
    return _NORMAL.cdf(detect / deviation - _NORMAL.inv_cdf(1 - alpha / sides))


def _growth(control: float, treatment: float, share: float, shift: float) -> float:
    """What a bet on odds that are lower by `shift` gains in the logarithm, on average of one request."""
    odds = control / (1 - control) * exp(-shift)
    believed = odds / (1 + odds)
    mixed = share * believed + (1 - share) * control

    def gain(actual: float, believed: float) -> float:
        return actual * log(believed / mixed) + (1 - actual) * log((1 - believed) / (1 - mixed))

    return share * gain(treatment, believed) + (1 - share) * gain(control, control)


def _rates_spread(control: float, treatment: float, share: float) -> float:
    """The variance of the difference of two rates, times the number of requests."""
    return treatment * (1 - treatment) / share + control * (1 - control) / (1 - share)


def _need(effort: float, share: float, power: float, alpha: float, sides: int) -> Need:
    if not (0 < power < 1 and 0 < alpha < 1):
        raise ValueError("power and alpha must lie between 0 and 1")
    quantiles = _NORMAL.inv_cdf(1 - alpha / sides) + _NORMAL.inv_cdf(power)
    requests = ceil(quantiles**2 * effort)
    return Need(treated=ceil(requests * share), requests=requests)


def _fall(baseline: float, detect: float) -> None:
    if not 0 < detect < baseline < 1:
        raise ValueError("baseline must lie below 1, and detect above 0 and below the baseline")


def _share(share: float) -> float:
    if not 0 < share < 1:
        raise ValueError("share must lie between 0 and 1")
    return share
