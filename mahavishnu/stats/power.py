"""How many requests an experiment needs before it can tell what it is to tell, and how long that takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, exp, inf, log, sqrt
from statistics import NormalDist

from mahavishnu.stats.betting import SHIFTS

_NORMAL = NormalDist()

_LEAST = 5e-324
"""The smallest probability there is."""

_MOST = 1e18
"""Requests, more than there will ever be: what needs more of them is not to be found."""


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
    # Divided twice: the square of a small fall would be nothing.
    return _need(spread / detect / detect, share, power, alpha, sides)


def needed_for_times(
    *, sigma: float, factor: float, share: float = 0.5, power: float = 0.8, alpha: float = 0.05, sides: int = 2
) -> Need:
    """Requests until Welch's test on logarithms finds latencies or costs that are `factor` times as high.

    `sigma` is the standard deviation of their natural logarithm: about ln(p95 / p50) / 1.645.

    >>> needed_for_times(sigma=1.0, factor=1.2, share=0.1)
    Need(treated=263, requests=2624)
    """
    if not (sigma > 0 and 0 < factor < inf and factor != 1):
        raise ValueError("sigma must be above 0, and factor above 0 and not 1")
    deviations = sigma / log(factor)
    return _need(deviations * deviations / (_share(share) * (1 - share)), share, power, alpha, sides)


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
    if not shifts or not 0 < alpha < 1:
        raise ValueError("alpha must lie between 0 and 1, and there must be a shift to bet on")
    if not 0 <= margin < detect:
        raise ValueError("detect must be larger than the margin: within the margin nothing is to be found")
    if margin:
        growth = (detect - margin) ** 2 / (2 * _rates_spread(baseline, baseline - detect, _share(share)))
    else:
        growth = max(_growth(baseline, baseline - detect, _share(share), shift) for shift in shifts)
    if not growth > 0:
        raise ValueError("detect must be larger: none of the bets would gain on average")
    return _counted(-log(alpha) / growth, share)


def power_of(
    *, baseline: float, detect: float, requests: int, share: float = 0.5, alpha: float = 0.05, sides: int = 2
) -> float:
    """How likely that many requests are to show a fall of `detect` points; no requests show none.

    >>> round(power_of(baseline=0.9, detect=0.05, requests=4_317, share=0.1), 3)
    0.8
    """
    _fall(baseline, detect)
    spread = _rates_spread(baseline, baseline - detect, _share(share))
    tail = _tail(alpha, sides)
    if not requests > 0:
        return 0.0
    return _NORMAL.cdf(detect * sqrt(requests) / sqrt(spread) - tail)


def _growth(control: float, treatment: float, share: float, shift: float) -> float:
    """What a bet on odds that are lower by `shift` gains in the logarithm, on average of one request."""
    # How much likelier a failure, and a success, is believed to be than with the control: of rates next to 0 or 1 the
    # differences would leave no digit.
    failing = 1 / (1 - control + control * exp(-shift))
    succeeding = failing * exp(-shift)
    # What the wealth is multiplied by where a task was treated, is this over that of its control.
    failed, succeeded = (log(share * likelier + 1 - share) for likelier in (failing, succeeding))
    treated = treatment * (log(succeeding) - succeeded) + (1 - treatment) * (log(failing) - failed)
    return share * treated - (1 - share) * (control * succeeded + (1 - control) * failed)


def _rates_spread(control: float, treatment: float, share: float) -> float:
    """The variance of the difference of two rates, times the number of requests."""
    return treatment * (1 - treatment) / share + control * (1 - control) / (1 - share)


def _need(effort: float, share: float, power: float, alpha: float, sides: int) -> Need:
    if not 0 < power < 1:
        raise ValueError("power must lie between 0 and 1")
    # A power that chance alone has needs nothing.
    quantiles = max(_tail(alpha, sides) + _NORMAL.inv_cdf(power), 0.0)
    return _counted(quantiles * quantiles * effort, share)


def _tail(alpha: float, sides: int) -> float:
    """The normal quantile of which that much is left outside, from the small tail: 1 - alpha may be 1."""
    if not (0 < alpha < 1 and sides in (1, 2)):
        raise ValueError("alpha must lie between 0 and 1, and sides must be 1 or 2")
    return -_NORMAL.inv_cdf(max(alpha / sides, _LEAST))


def _counted(requests: float, share: float) -> Need:
    """Whole requests, and one at least."""
    if not requests <= _MOST:
        raise ValueError("what is to be found must be larger, or shared out more evenly: it takes too many requests")
    whole = max(ceil(requests), 1)
    return Need(treated=max(ceil(whole * share), 1), requests=whole)


def _fall(baseline: float, detect: float) -> None:
    if not 0 < detect < baseline < 1:
        raise ValueError("baseline must lie below 1, and detect above 0 and below the baseline")


def _share(share: float) -> float:
    if not 0 < share < 1:
        raise ValueError("share must lie between 0 and 1")
    return share
