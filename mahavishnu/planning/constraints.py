"""Constraints: what a task demands, held against what was observed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from math import inf
from typing import Any

from mahavishnu.errors import InvalidTask, nearest_name
from mahavishnu.model import Estimate, Task

ENOUGH = 20
"""Effective samples from which on the figure itself decides; with fewer, its whole interval has to break the limit."""

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """A constraint that a target does not keep, as far as anybody can tell. `name` is the task's field.

    >>> print(Failing(name="max_latency_ms", limit=500, figure=812.3, interval=(700.0, 1100.0), samples=140))
    p95 812 ms is above the task's max_latency_ms 500 (n=140)
    >>> print(Failing(name="min_quality", limit=0.8, figure=0.31, interval=(0.1, 0.66), samples=5))
    quality 0.31 is below the task's min_quality 0.8 (95 % interval 0.1 to 0.66, n=5)
    """

    name: str
    limit: float
    figure: float
    interval: Interval
    samples: float

    def __str__(self) -> str:
        rule = _RULES[self.name]
        seen = f"n={self.samples:.0f}"
        if self.samples < ENOUGH:
            lo, hi = (_number(end) for end in self.interval)
            seen = f"95 % interval {f'{lo} to {hi}' if self.interval[1] < inf else f'from {lo}'}, {seen}"
        side = "above" if rule.most else "below"
        figure = f"{rule.figure} {rule.before}{_unlike(self.figure, self.limit)}{rule.after}"
        return f"{figure} is {side} the task's {self.name} {_number(self.limit)} ({seen})"

    @property
    def demands(self) -> Decimal:
        """The limit that it would keep, rounded to three digits towards what admits it; an infinite one as it is."""
        exact = Decimal(repr(self.figure))
        if not exact.is_finite():
            return exact
        places = Decimal(1).scaleb(exact.adjusted() - 2)
        if self.name.endswith("_ms"):
            places = max(places, Decimal(1))
        return exact.quantize(places, ROUND_CEILING if _RULES[self.name].most else ROUND_FLOOR).normalize()

    @property
    def change(self) -> float:
        """How far the limit would have to move, as a share of it."""
        return abs(float(self.demands) - self.limit) / self.limit if self.limit else inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxation:
    """The least that would have to give way, and whom that would admit.

    >>> print(Relaxation(target="etl-b", limits={"max_cost_usd": (0.002, Decimal("0.0031"))}))
    max_cost_usd 0.0031 instead of 0.002 would admit etl-b
    """

    target: str
    limits: Mapping[str, tuple[float, Decimal]]

    def __str__(self) -> str:
        each = [f"{name} {new:f} instead of {_number(old)}" for name, (old, new) in self.limits.items()]
        return f"{' and '.join(each)} would admit {self.target}"


def failing(task: Task, seen: Estimate) -> tuple[Failing, ...]:
    """The constraints of a task that a target breaks.

    It breaks one where the figure does and rests on enough samples, or where the whole interval of 95 % does. What
    nobody has seen yet breaks none: somebody has to be the first.
    """
    return tuple(found for name, rule in _RULES.items() if (found := _judged(name, rule, task, seen)) is not None)


def relaxation(found: Mapping[str, Sequence[Failing]]) -> Relaxation | None:
    """The smallest change that would admit one of these targets, against which nothing else stands.

    The fewest constraints; among those the smallest sum of relative changes; among those the first name.
    """
    asked = {target: each for target, each in found.items() if each}
    if not asked:
        return None

    def size(target: str) -> tuple[int, float, str]:
        return len(asked[target]), sum(each.change for each in asked[target]), target

    target = min(asked, key=size)
    return Relaxation(target=target, limits={each.name: (each.limit, each.demands) for each in asked[target]})


def constraints_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a Task that these constraints stand for, under their own names and the seeds'.

    Raises InvalidTask for a constraint that there is not, or that is given twice.

    >>> constraints_of({"max_cost": "0.01", "excluded_agents": ["slow"]})
    {'max_cost_usd': '0.01', 'exclude': frozenset({'slow'})}
    """
    fields: dict[str, Any] = {}
    for name, value in given.items():
        field = CONSTRAINTS.get(name)
        if field is None:
            nearest = nearest_name(name, CONSTRAINTS)
            instead = f' (did you mean "{nearest}"?)' if nearest else ""
            problem = f'have no "{name:.80}"{instead}; known are {", ".join(CONSTRAINTS)}'
            raise InvalidTask(field="constraints", problem=problem)
        if value is None:
            continue
        if field in ("capabilities", "exclude"):
            fields[field] = fields.get(field, frozenset()) | _names(field, value)
        elif field in fields:
            raise InvalidTask(field=field, problem=f"is given twice, once as {name}")
        else:
            fields[field] = value
    return fields


CONSTRAINTS: Mapping[str, str] = {
    "max_cost": "max_cost_usd",
    "max_cost_usd": "max_cost_usd",
    "max_latency_ms": "max_latency_ms",
    "min_quality": "min_quality",
    "min_success_rate": "min_success_rate",
    "required_capabilities": "capabilities",
    "excluded_targets": "exclude",
    "excluded_agents": "exclude",
    "deadline": "deadline_ms",
    "deadline_ms": "deadline_ms",
}
"""What may be asked for, and the field of a Task that it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """What a constraint is about; `most` where the limit is the most that is allowed.

    Intervals take longer to work out, so they are asked for only where the figure itself breaks the limit.
    """

    figure: str
    limit: Callable[[Task], float | None]
    value: Callable[[Estimate], float | None]
    interval: Callable[[Estimate], Interval | None]
    samples: Callable[[Estimate], float]
    most: bool
    before: str = ""
    after: str = ""


def _judged(name: str, rule: _Rule, task: Task, seen: Estimate) -> Failing | None:
    limit = rule.limit(task)
    if limit is None:
        return None
    figure = rule.value(seen)
    if figure is None or not _breaks(figure, limit, most=rule.most):
        return None
    samples, (lo, hi) = rule.samples(seen), rule.interval(seen) or (0.0, inf)
    if samples < ENOUGH and not _breaks(lo if rule.most else hi, limit, most=rule.most):
        return None
    return Failing(name=name, limit=limit, figure=figure, interval=(lo, hi), samples=samples)


def _breaks(figure: float, limit: float, *, most: bool) -> bool:
    return figure > limit if most else figure < limit


def _succeeded(seen: Estimate) -> float:
    """The effective number of successes, which are what latencies are known of."""
    return seen.successes * (seen.effective / seen.samples if seen.samples else 1.0)


def _effective(seen: Estimate) -> float:
    return seen.effective


def _mean_cost(seen: Estimate) -> float | None:
    return None if seen.mean_cost_micros is None else seen.mean_cost_micros / 1e6


def _cost_interval(seen: Estimate) -> Interval | None:
    interval = seen.cost_interval_micros
    return None if interval is None else (interval[0] / 1e6, interval[1] / 1e6)


_RULES: Mapping[str, _Rule] = {
    "max_cost_usd": _Rule(
        figure="mean cost",
        limit=lambda task: None if task.max_cost_usd is None else float(task.max_cost_usd),
        value=_mean_cost,
        interval=_cost_interval,
        samples=_effective,
        most=True,
        before="$",
    ),
    "max_latency_ms": _Rule(
        figure="p95",
        limit=lambda task: task.max_latency_ms,
        value=lambda seen: seen.p95_ms,
        interval=lambda seen: seen.p95_interval_ms,
        samples=_succeeded,
        most=True,
        after=" ms",
    ),
    "min_success_rate": _Rule(
        figure="success rate",
        limit=lambda task: task.min_success_rate,
        value=lambda seen: seen.rate,
        interval=lambda seen: (seen.wilson_lo, seen.wilson_hi),
        samples=_effective,
        most=False,
    ),
    "min_quality": _Rule(
        figure="quality",
        limit=lambda task: task.min_quality,
        value=lambda seen: seen.quality,
        interval=lambda seen: seen.quality_interval,
        samples=lambda seen: seen.rated,
        most=False,
    ),
    "deadline_ms": _Rule(
        figure="median",
        limit=lambda task: task.deadline_ms,
        value=lambda seen: seen.p50_ms,
        interval=lambda seen: seen.p50_interval_ms,
        samples=_succeeded,
        most=True,
        after=" ms",
    ),
}


def _names(field: str, value: Iterable[str]) -> frozenset[str]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InvalidTask(field=field, problem=f"must be a set of names, not {value!r:.80}")
    return frozenset(value)


def _number(value: float) -> str:
    """A number as a person writes it: without an exponent, to four digits at most."""
    if float(value).is_integer() and abs(value) < 1e15:
        return str(int(value))
    return f"{Decimal(f'{value:.4g}'):f}"


def _unlike(figure: float, limit: float) -> str:
    """The figure to as few digits as leave it on its side of the limit, three at the least."""
    for digits in range(3, 17):
        text = f"{figure:.{digits}g}"
        if (float(text) > limit) == (figure > limit) and float(text) != limit:
            break
    return f"{Decimal(text):f}"
