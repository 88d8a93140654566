"""Dominance: one target is better than another beyond what chance explains, and nowhere worse."""

from __future__ import annotations

from math import inf

from mahavishnu.model import Estimate

Interval = tuple[float, float]


def dominates(one: Estimate, other: Estimate) -> bool:
    """Whether the whole interval of one lies at the better end of the other's, in success, latency, cost and quality.

    In one of them it must be strictly better. Where nothing is known of either, that objective does not count. Where
    something is known of one of them only, neither dominates the other.

    >>> from dataclasses import replace
    >>> from mahavishnu.model import NO_EVIDENCE
    >>> weak = replace(NO_EVIDENCE, samples=100, successes=50, wilson_lo=0.4, wilson_hi=0.6, p50_interval_ms=(5.0, 6.0))
    >>> good = replace(weak, successes=90, wilson_lo=0.82, wilson_hi=0.95, p50_interval_ms=(1.0, 2.0))
    >>> dominates(good, weak), dominates(weak, good), dominates(good, good)
    (True, False, False)
    """
    better = False
    for ours, theirs in zip(_losses(one), _losses(other), strict=True):
        if ours is None and theirs is None:
            continue
        if ours is None or theirs is None or not ours[1] <= theirs[0]:
            return False
        better = better or ours[1] < theirs[0]
    return better


def _losses(seen: Estimate) -> tuple[Interval | None, ...]:
    """What is to be as low as possible, each with its interval; a target that never succeeded is as slow as can be."""
    latency = seen.p50_interval_ms
    if latency is None and seen.samples > 0 and not seen.successes > 0:
        latency = inf, inf
    quality = None if seen.quality is None else (-seen.quality_interval[1], -seen.quality_interval[0])
    return (-seen.wilson_hi, -seen.wilson_lo), latency, seen.cost_interval_micros, quality
