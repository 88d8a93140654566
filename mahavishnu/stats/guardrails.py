"""Several guardrails watched together: how much evidence it takes when there is more than one way to be wrong."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from math import fsum
from sys import float_info

_MOST = float_info.max / 2


class Together(StrEnum):
    """How the e-values of several guardrails are put together."""

    MEAN = "mean"
    """Their mean is an e-value, however they depend on each other: of "nothing has become worse". Never later than
    Bonferroni's rule, as the mean of k is at least a k-th of the largest (V. Vovk and R. Wang, Ann. Stat. 49, 2021)."""

    BONFERRONI = "bonferroni"
    """Each needs k times the evidence. Later, but what it names is named wrongly with probability α at most."""


def combined(e_values: Mapping[str, float], together: Together = Together.MEAN) -> float:
    """One e-value for all of them, to be held against 1/α; what is negative, or no number, is no evidence.

    >>> readings = {"success": 50.0, "latency": 2.0}
    >>> combined(readings), combined(readings, Together.BONFERRONI)
    (26.0, 25.0)
    """
    if not e_values:
        return 0.0
    known = [_evidence(value) for value in e_values.values()]
    if together is Together.MEAN:
        return fsum(value / len(known) for value in known)
    return max(known) / len(known)


def broken(e_values: Mapping[str, float], alpha: float, together: Together = Together.MEAN) -> tuple[str, ...]:
    """The guardrails to act on, the most evidence first; none while there is too little, or with an alpha that is none.

    By the mean, that something has become worse is wrong with probability alpha at most. It names those that have
    1/alpha for themselves, or else the largest; of which one it is, that is not promised.

    >>> broken({"success": 50.0, "latency": 2.0}, 0.05), broken({"success": 30.0, "latency": 2.0}, 0.05)
    (('success',), ())
    """
    if not 0 < alpha < 1 or combined(e_values, together) < 1 / alpha:
        return ()
    e_values = {name: _evidence(value) for name, value in e_values.items()}
    needed = len(e_values) / alpha if together is Together.BONFERRONI else 1 / alpha
    ordered = sorted(e_values, key=e_values.__getitem__, reverse=True)
    return tuple(name for name in ordered if e_values[name] >= needed) or tuple(ordered[:1])


def _evidence(e_value: float) -> float:
    """The e-value where it is one. More than the largest number is the largest: the mean of several would be none."""
    # `max` keeps the first of two that cannot be compared.
    return min(max(0.0, e_value), _MOST)
