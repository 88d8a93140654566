"""Preference orders: who comes before whom for a task type, moved only by differences that are no noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import combinations
from math import isfinite

from mahavishnu.stats.comparison import Times, Verdict, compare_rates, holm, mann_whitney, welch
from mahavishnu.stats.sketch import quantiles

ALPHA = 0.05


class LatencyTest(StrEnum):
    MANN_WHITNEY = "mann-whitney"
    WELCH = "welch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """What one target has shown for a task type: `samples` is Kish's n, `latency` is by bucket of `stats.sketch`."""

    samples: float = 0.0
    rate: float | None = None
    score: float | None = None
    trusted: bool = False
    latency: Mapping[int, float] = field(default_factory=dict)

    @property
    def counts(self) -> bool:
        """Whether it may be compared at all."""
        known = (self.rate, self.score, self.samples)
        return self.trusted and all(each is not None and isfinite(each) for each in known) and self.samples > 0


@dataclass(frozen=True, slots=True)
class Swap:
    """One target going ahead of another, and why."""

    target: str
    before: str
    why: str

    def __str__(self) -> str:
        return f"{self.target} moves before {self.before}: {self.why}"


@dataclass(frozen=True, slots=True)
class Reordering:
    order: tuple[str, ...]
    swaps: tuple[Swap, ...] = ()


def reorder(
    previous: Sequence[str],
    default: Sequence[str],
    showings: Mapping[str, Showing],
    *,
    alpha: float = ALPHA,
    latency_test: LatencyTest = LatencyTest.MANN_WHITNEY,
) -> Reordering:
    """The order that follows on the previous one, of exactly the targets of the default one.

    Two neighbours change places where the score prefers the second and a test says that what it prefers is real:
    success, if the two differ in it, else latency. Without that the order of before stays. Targets that are not trusted
    stand at their default places, and the trusted ones share the other places. A target that is gone leaves, a new one
    enters at its default place.

    The chance that anything at all moves without cause is at most `alpha` for each call: every pair that could ever
    become neighbours is tested, in both ways, and all the p-values are corrected together (Holm). With an `alpha` that
    is no number nothing moves.

    >>> fast = Showing(samples=744, rate=0.930, score=0.9, trusted=True)
    >>> sure = Showing(samples=812, rate=0.971, score=0.95, trusted=True)
    >>> moved = reorder(["prefect", "agno"], ["prefect", "agno"], {"prefect": fast, "agno": sure})
    >>> moved.order
    ('agno', 'prefect')
    >>> print(*moved.swaps)
    agno moves before prefect: 97.1 % of 812 against 93.0 % of 744, p = 0.0003
    """
    default = tuple(dict.fromkeys(default))
    trusted = [name for name in carried_over(previous, default) if name in showings and showings[name].counts]
    claims = _claims(trusted, showings, alpha, latency_test)
    swaps = _settle(trusted, claims)
    waiting = iter(trusted)
    known = set(trusted)
    # As many places are left over as there are trusted targets: every other one stands at its own.
    return Reordering(tuple(next(waiting) if name in known else name for name in default), tuple(swaps))


def carried_over(previous: Sequence[str], default: Sequence[str]) -> list[str]:
    """The order of before without those that are gone, the new ones at their default places."""
    order = [name for name in dict.fromkeys(previous) if name in set(default)]
    present = set(order)
    for place, name in enumerate(default):
        if name not in present:
            order.insert(place, name)
    return order


def _settle(order: list[str], claims: Mapping[tuple[str, str], str]) -> list[Swap]:
    """Let neighbours change places until no claim is left between any two; in place.

    It comes to an end also where claims run in a circle: of a pair only one can claim, so it swaps at most once.
    """
    swaps: list[Swap] = []
    moved = True
    while moved:
        moved = False
        for place in range(len(order) - 1):
            first, second = order[place], order[place + 1]
            why = claims.get((second, first))
            if why is not None:
                order[place], order[place + 1] = second, first
                swaps.append(Swap(second, first, why))
                moved = True
    return swaps


def _claims(
    names: Sequence[str], showings: Mapping[str, Showing], alpha: float, latency_test: LatencyTest
) -> dict[tuple[str, str], str]:
    """Who may go before whom, and why."""
    # By name, so that the order of before changes no p-value, not even by the order in which equals are corrected.
    pairs = list(combinations(sorted(names), 2))
    success = [_compare_success(showings[a], showings[b]) for a, b in pairs]
    latency = [_compare_latency(showings[a], showings[b], latency_test) for a, b in pairs]
    corrected = holm([verdict.p for verdict in (*success, *latency)])
    claims: dict[tuple[str, str], str] = {}
    for place, (a, b) in enumerate(pairs):
        if _score(showings[a]) == _score(showings[b]):
            continue
        better, worse = (a, b) if _score(showings[a]) > _score(showings[b]) else (b, a)
        tested = replace(success[place], p=corrected[place]), replace(latency[place], p=corrected[len(pairs) + place])
        why = _why(showings[better], showings[worse], *tested, alpha)
        if why is not None:
            claims[better, worse] = why
    return claims


def _why(better: Showing, worse: Showing, success: Verdict, latency: Verdict, alpha: float) -> str | None:
    """What is significant about the one that scores better; None where nothing is."""
    if not alpha >= 0:
        return None
    if success.p <= alpha:
        return f"{_shown(better)} against {_shown(worse)}, {_p(success.p)}" if _rate(better) > _rate(worse) else None
    fast, slow = _median(better), _median(worse)
    if latency.p > alpha or fast is None or slow is None or fast >= slow:
        return None
    return (
        f"a median of {_ms(fast)} against {_ms(slow)} where success does not differ ({_shown(better)} against "
        f"{_shown(worse)}), {_p(latency.p)} ({latency.test})"
    )


def _compare_success(a: Showing, b: Showing) -> Verdict:
    return compare_rates(_rate(a) * a.samples, a.samples, _rate(b) * b.samples, b.samples)


def _compare_latency(a: Showing, b: Showing, test: LatencyTest) -> Verdict:
    compare = welch if test is LatencyTest.WELCH else mann_whitney
    return compare(_times(a), _times(b))


def _times(showing: Showing) -> Times:
    """Latencies are those of the successes, and stand for as many of the effective samples."""
    return Times(counts=showing.latency, effective=_rate(showing) * showing.samples)


def _score(showing: Showing) -> float:
    return showing.score or 0.0


def _rate(showing: Showing) -> float:
    return showing.rate or 0.0


def _median(showing: Showing) -> float | None:
    return quantiles(showing.latency, (0.5,))[0]


def _shown(showing: Showing) -> str:
    return f"{_rate(showing):.1%} of {showing.samples:.0f}".replace("%", " %")


def _ms(value: float) -> str:
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def _p(value: float) -> str:
    return f"p = {value:.4f}" if value >= 0.00005 else "p < 0.0001"
