"""Hints: where a cheaper target would do, and what that would save."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import hypot, inf, isfinite
from typing import NamedTuple

from mahavishnu.model import Scorecard
from mahavishnu.stats.evidence import estimate
from mahavishnu.stats.intervals import mean_interval
from mahavishnu.stats.sketch import total

ENOUGH = 100
"""Effective samples that both targets must have."""

WORSE_BY = 0.02
"""How much less often the cheaper one may succeed, at the bad end of the interval."""

SLOWER_BY = 1.5
"""How many times as long the cheaper one may take."""

Interval = tuple[float, float]


class Figure(NamedTuple):
    """A figure and its interval of 95 %."""

    value: float
    lo: float
    hi: float

    def times(self, factor: float) -> Figure:
        return Figure(self.value * factor, self.lo * factor, self.hi * factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """What giving the runs of one task type to a cheaper target would change: dollars and minutes for those of an hour.

    >>> print(Hint(task_type="etl", instead_of="gold", target="iron", runs_per_hour=60, saved_usd=Figure(1.2, 1.1, 1.3),
    ...            added_minutes=Figure(0.5, 0.4, 0.6), added_success=Figure(-0.004, -0.018, 0.01)))
    etl: iron instead of gold saves $1.2 an hour (1.1 to 1.3); waiting +0.5 min (+0.4 to +0.6), \
success -0.4 points (-1.8 to +1)
    """

    task_type: str
    instead_of: str
    target: str
    runs_per_hour: float
    saved_usd: Figure
    added_minutes: Figure
    added_success: Figure

    def __str__(self) -> str:
        saved, low, high = (f"{each:.3g}" for each in self.saved_usd)
        waiting = "{:+.3g} min ({:+.3g} to {:+.3g})".format(*self.added_minutes)
        success = "{:+.2g} points ({:+.2g} to {:+.2g})".format(*self.added_success.times(100))
        change = f"{self.task_type}: {self.target} instead of {self.instead_of}"
        return f"{change} saves ${saved} an hour ({low} to {high}); waiting {waiting}, success {success}"


def hints(cards: Iterable[Scorecard], runs_per_hour: Mapping[tuple[str, str], float]) -> list[Hint]:
    """For every target in use, the cheaper one that saves most; the largest savings first.

    `runs_per_hour` is how many runs of a task type each target has, by (target, task type). The cheaper one must be
    surely cheaper, surely no more than WORSE_BY worse, and take no more than SLOWER_BY times as long on average. Runs
    that are no number give none.
    """
    kinds: dict[str, list[_Known]] = {}
    for card in cards:
        known = _known(card)
        if known is not None:
            kinds.setdefault(card.task_type, []).append(known)
    found = []
    for (target, task_type), runs in runs_per_hour.items():
        used = next((each for each in kinds.get(task_type, ()) if each.target == target), None)
        if used is not None and 0 < runs < inf:
            found += _best(task_type, used, kinds[task_type], runs)
    return sorted(found, key=lambda hint: -hint.saved_usd.value)


class _Known(NamedTuple):
    """What hints compare targets by."""

    target: str
    cost_usd: Figure
    latency_ms: Figure
    success: Figure


def _known(card: Scorecard) -> _Known | None:
    seen = estimate(card)
    if seen.effective < ENOUGH or seen.rate is None or seen.mean_cost_micros is None or seen.mean_latency_ms is None:
        return None
    timed = total(card.latency.values()) * seen.effective / seen.samples
    latency = mean_interval(card.latency, effective=timed, mean=seen.mean_latency_ms)
    if seen.cost_interval_micros is None or latency is None:
        return None
    return _Known(
        target=card.target,
        cost_usd=Figure(seen.mean_cost_micros, *seen.cost_interval_micros).times(1e-6),
        latency_ms=Figure(seen.mean_latency_ms, *latency),
        success=Figure(seen.rate, seen.wilson_lo, seen.wilson_hi),
    )


def _best(task_type: str, used: _Known, others: Sequence[_Known], runs: float) -> list[Hint]:
    """The hint for one target in use, where there is one."""
    would_do = [
        Hint(
            task_type=task_type,
            instead_of=used.target,
            target=other.target,
            runs_per_hour=runs,
            saved_usd=less(used.cost_usd, other.cost_usd).times(runs),
            added_minutes=less(other.latency_ms, used.latency_ms).times(runs / 60_000),
            added_success=less(other.success, used.success),
        )
        for other in others
        if other.latency_ms.value <= SLOWER_BY * used.latency_ms.value
    ]
    sure = [each for each in would_do if each.saved_usd.lo > 0 and each.added_success.lo >= -WORSE_BY and _can_be(each)]
    return [max(sure, key=lambda hint: hint.saved_usd.value)] if sure else []


def _can_be(hint: Hint) -> bool:
    """Whether what it says are numbers: of sums that are none hardly anything can be said."""
    figures = (hint.saved_usd, hint.added_minutes, hint.added_success)
    return all(isfinite(value) and lo <= value <= hi for value, lo, hi in figures)


def less(one: Figure, other: Figure) -> Figure:
    """The difference of two independent figures, with an interval from the intervals of both.

    G. Y. Zou and A. Donner, Statistics in Medicine 27, 2008; of two rates with Wilson's intervals it is R. G.
    Newcombe's method 10, Statistics in Medicine 17, 1998. An end that is infinite leaves one of the difference so.

    >>> from mahavishnu.stats.intervals import wilson
    >>> lo, hi = less(Figure(56 / 70, *wilson(56, 70)), Figure(48 / 80, *wilson(48, 80)))[1:]
    >>> round(lo, 4), round(hi, 4)  # as in Newcombe's table II, row (a)
    (0.0524, 0.3339)
    """
    difference = one.value - other.value
    down = hypot(one.value - one.lo, other.hi - other.value)
    up = hypot(one.hi - one.value, other.value - other.lo)
    return Figure(difference, difference - down, difference + up)
