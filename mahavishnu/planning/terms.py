"""Terms of a plan: what there is to choose from, what bounds it, and what the bounds are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite

from mahavishnu.model import Estimate
from mahavishnu.stats.intervals import wilson, z_for

Z80 = z_for(0.80)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a run of one target is expected to bring and to cost, for one task type.

    `success` is what a plan counts on, `rate` what was observed in so many effective `samples`.
    """

    task_type: str
    target: str
    adapter: str = ""
    success: float
    cost_usd: float
    p95_ms: float | None = None
    rate: float = 0.0
    samples: float = 0.0


def offer(task_type: str, target: str, seen: Estimate, adapter: str = "") -> Offer | None:
    """What the evidence lets one count on: the lower end of Wilson's interval of 80 %.

    None without any evidence, or where a rate or a cost is no number.

    Of many point estimates the largest are mostly the luckiest: a plan on them promises more than it brings.
    """
    if seen.rate is None or seen.mean_cost_micros is None:
        return None
    if not (0 <= seen.rate <= 1 and 0 <= seen.mean_cost_micros < inf):
        return None
    return Offer(
        task_type=task_type,
        target=target,
        adapter=adapter,
        success=wilson(seen.rate * seen.effective, seen.effective, Z80)[0],
        cost_usd=seen.mean_cost_micros / 1e6,
        p95_ms=seen.p95_ms,
        rate=seen.rate,
        samples=seen.effective,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """No more than so many dollars in the period, for what is narrowed down to; for everything where nothing is."""

    name: str
    usd: float
    task_type: str | None = None
    target: str | None = None
    adapter: str | None = None

    def covers(self, each: Offer) -> bool:
        return (
            self.task_type in (None, each.task_type)
            and self.target in (None, each.target)
            and self.adapter in (None, each.adapter)
        )

    @property
    def of_targets(self) -> bool:
        return self.target is not None or self.adapter is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """No more than so many runs of a target in the period."""

    target: str
    runs: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """For one task type: targets whose p95 is above the limit are not used, and on average so many succeed."""

    task_type: str
    max_latency_ms: float | None = None
    min_success_rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is to be planned, for one period: `volumes` are the runs that are expected of each task type."""

    offers: Sequence[Offer]
    volumes: Mapping[str, float]
    spendings: Sequence[Spending] = ()
    capacities: Sequence[Capacity] = ()
    promises: Sequence[Promise] = ()
    period: str = "day"


MOST_RUNS, MOST_USD, MOST = 1e15, 1e12, 1e18
"""Runs in a period, dollars for one of them, and what a bound may be at most: products are numbers a solver takes."""

LEAST_RUNS, LEAST_USD = 1e-9, 1e-15
"""Fewer expected runs count as so many; what costs less is free."""


def sound(problem: Problem) -> Problem:
    """The problem in numbers that can be planned with; itself where it is in such.

    Of a target whose success or cost is no number nothing is known, and no runs are expected of a type whose volume is
    none. A bound that is no number holds back all that it covers, as nothing shows that it would be kept.

    >>> lost = Spending(name="all", usd=float("nan"))
    >>> sound(Problem(offers=[], volumes={"t": float("nan"), "u": 1e30}, spendings=[lost])).spendings[0].usd
    0.0
    """
    return replace(
        problem,
        offers=[_sound_offer(each) for each in problem.offers if isfinite(each.success) and isfinite(each.cost_usd)],
        volumes={
            task_type: min(max(volume, LEAST_RUNS), MOST_RUNS)
            for task_type, volume in problem.volumes.items()
            if volume > 0
        },
        spendings=[replace(each, usd=_within(each.usd, -MOST, MOST, none=0.0)) for each in problem.spendings],
        capacities=[replace(each, runs=_within(each.runs, -MOST, MOST, none=0.0)) for each in problem.capacities],
        promises=[_sound_promise(each) for each in problem.promises],
    )


def _sound_offer(each: Offer) -> Offer:
    p95 = each.p95_ms
    # Written out, as a thousand of them are looked at for one plan.
    known = 0 <= each.success <= 1 and 0 <= each.rate <= 1 and 0 <= each.samples <= MOST_USD
    payable = each.cost_usd == 0 or LEAST_USD <= each.cost_usd <= MOST_USD
    if known and payable and (p95 is None or p95 >= 0):
        return each
    return replace(
        each,
        success=_within(each.success, 0.0, 1.0, none=0.0),
        cost_usd=0.0 if each.cost_usd < LEAST_USD else min(each.cost_usd, MOST_USD),
        p95_ms=None if p95 is None else _within(p95, 0.0, inf, none=inf),
        rate=_within(each.rate, 0.0, 1.0, none=0.0),
        samples=_within(each.samples, 0.0, MOST_USD, none=0.0),
    )


def _sound_promise(each: Promise) -> Promise:
    rate, slowest = each.min_success_rate, each.max_latency_ms
    return replace(
        each,
        min_success_rate=None if rate is None else _within(rate, 0.0, 1e3, none=1.0),
        max_latency_ms=None if slowest is None else _within(slowest, 0.0, inf, none=0.0),
    )


def _within(number: float, least: float, most: float, *, none: float) -> float:
    return none if number != number else min(max(number, least), most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One row of the program: a bound by its name, as it stands.

    `step` is the amount of it that is spoken of: a dollar, a run, a point of a success rate.
    """

    name: str
    value: float
    unit: str
    step: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """What moving a bound by one step is worth, in expected successes; the two sides differ at a kink.

    >>> dollar = Bound(name="total", value=25.0, unit="dollar")
    >>> print(Worth(bound=dollar, looser=3.6, tighter=3.6, period="day"))
    total: one more dollar a day buys 3.6 successes
    >>> print(Worth(bound=dollar, looser=3.6, tighter=4.1, period="day"))
    total: one more dollar a day buys 3.6 successes, one less costs 4.1
    >>> print(Worth(bound=dollar, looser=3.6, tighter=inf, period="day"))
    total: one more dollar a day buys 3.6 successes, with less it cannot be done
    """

    bound: Bound
    looser: float
    tighter: float
    period: str

    def __str__(self) -> str:
        step = f"one more {self.bound.unit}"
        if self.bound.unit in ("dollar", "run"):
            step += f" a {self.period}"
        else:
            step = f"one {self.bound.unit} less"
        text = f"{self.bound.name}: {step} buys {_successes(self.looser)}"
        if not isfinite(self.tighter):
            return f"{text}, with {'more' if self.bound.unit == 'point' else 'less'} it cannot be done"
        if abs(self.tighter - self.looser) <= 0.005 * max(abs(self.tighter), abs(self.looser)):
            return text
        return f"{text}, one {'more' if self.bound.unit == 'point' else 'less'} costs {_rounded(self.tighter)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The best mix. `shares` are of each task type, by target; what gets less than a millionth is left out.

    `prices` say of each bound what one unit more of it (a dollar, a run, the whole of a success rate) would bring in
    successes, as the program's dual has it. `gap` is how far primal and dual are apart, as a share: nothing, but for
    rounding.
    """

    shares: Mapping[str, Mapping[str, float]]
    successes: float
    cost_usd: float
    prices: Mapping[str, float]
    gap: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Give:
    """A bound that would have to give way, and how far."""

    bound: Bound
    needed: float

    def __str__(self) -> str:
        return f"{self.bound.name} {_rounded(self.needed)} instead of {_rounded(self.bound.value)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Impossible:
    """Why there is no plan: the bounds that cannot all hold, and the least that would have to give way.

    The least is the smallest sum of relative changes. `missing` are task types that nothing is known about.
    """

    binding: tuple[str, ...] = ()
    gives: tuple[Give, ...] = ()
    missing: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = []
        if self.missing:
            parts.append(f"nothing is known yet of any target for {', '.join(self.missing)}")
        if self.binding:
            parts.append(f"{', '.join(self.binding)} cannot {'all ' if len(self.binding) > 1 else ''}hold")
        if self.gives:
            parts.append(f"{' and '.join(map(str, self.gives))} would do")
        return "; ".join(parts)


def _successes(number: float) -> str:
    return f"{_rounded(number)} success" + ("" if _rounded(number) == "1" else "es")


def _rounded(number: float) -> str:
    """Three digits, without an exponent."""
    if number == inf:
        return "any number"
    return f"{number:.0f}" if abs(number) >= 100 else f"{float(f'{number:.3g}'):.10f}".rstrip("0").rstrip(".")
