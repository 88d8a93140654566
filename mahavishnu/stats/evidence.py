"""Folding facts into scorecards, weighing days, and reading estimates off what comes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from math import fsum, inf
from sys import float_info
from typing import TypeVar

from mahavishnu.model import NO_EVIDENCE, Daily, Estimate, Execution, Revision, Scorecard, Status, day_of
from mahavishnu.stats.intervals import mean_interval, quantile_interval, wilson
from mahavishnu.stats.sketch import bucket_of, quantiles

K = TypeVar("K")

COUNTS = ("latency", "cost", "errors")
"""The parts of a scorecard that count by bucket or by code."""

SUMS = tuple(each.name for each in fields(Scorecard) if each.name not in ("target", "task_type", *COUNTS, "last_at_us"))
"""The parts of a scorecard that are one number each, and add up."""

_WEIGHED = tuple(name for name in SUMS if name != "squares")

_SUCCEEDED = Status.SUCCEEDED
_COUNTING = tuple(each for each in Status if each.counts)
_OTHER_ENDINGS: dict[Status, str] = {each: each.value for each in Status if each.ended and each is not Status.SUCCEEDED}
"""By which sum each is counted. All three looked up once: asking an enumeration for a member takes as long as a sum."""

PPM = 1_000_000
"""Qualities are summed as whole millionths, so that no order of summation can change the sum."""


_bucket_of_cost = lru_cache(maxsize=65_536)(bucket_of)
"""Prices come again and again; times do not."""


_MOST = float_info.max
"""What a mean is taken for that is beyond any number, or none: the dearest and the slowest."""


def quality_ppm(quality: float) -> int:
    """A quality in whole millionths: 0 to PPM, whatever is handed in, and 0 for what is no number.

    >>> quality_ppm(0.25), quality_ppm(7.0), quality_ppm(float("nan"))
    (250000, 1000000, 0)
    """
    # `max` keeps the first of two that cannot be compared.
    return round(min(max(0.0, quality), 1.0) * PPM)


def latency_bucket(execution: Execution) -> int | None:
    """The bucket that an execution is counted in by its latency; None where it is not."""
    if execution.status is not _SUCCEEDED or execution.latency_us is None:
        return None
    return bucket_of(execution.latency_us / 1000)


def cost_bucket(execution: Execution) -> int | None:
    """The bucket that an execution is counted in by its cost; None where it is not."""
    return _bucket_of_cost(execution.cost_micros) if execution.status in _COUNTING else None


def day_of_fact(fact: Execution | Revision) -> int:
    """The UTC day that a fact is evidence of: on which the execution began, or what the revision revises."""
    return day_of(fact.of_us if isinstance(fact, Revision) else fact.started_at_us)


class Tally:
    """A scorecard that is being added to, in place: folding one fact costs about a microsecond."""

    __slots__ = (*SUMS, *COUNTS, "last_at_us")

    samples: float
    successes: float
    failed: float
    timed_out: float
    unsuitable: float
    lost: float
    refused: float
    cancelled: float
    squares: float
    cost_micros: float
    cost_samples: float
    spent_micros: float
    latency_us: float
    queries: float
    input_tokens: float
    cached_tokens: float
    output_tokens: float
    quality_ppm: float
    quality_samples: float
    latency: dict[int, float]
    cost: dict[int, float]
    errors: dict[str, float]
    last_at_us: int

    def __init__(self, card: Scorecard | None = None) -> None:
        for name in SUMS:
            setattr(self, name, 0 if card is None else getattr(card, name))
        self.latency = {} if card is None else dict(card.latency)
        self.cost = {} if card is None else dict(card.cost)
        self.errors = {} if card is None else dict(card.errors)
        self.last_at_us = 0 if card is None else card.last_at_us

    def add(self, fact: Execution | Revision) -> None:
        if isinstance(fact, Revision):
            self.revise(fact.at_us, fact.samples, fact.successes, fact.quality_samples, fact.quality_ppm)
            return
        status, usage, quality = fact.status, fact.usage, fact.quality
        latency_us, cost_micros = fact.latency_us, fact.cost_micros
        self.count(
            status,
            fact.ended_at_us or 0,
            latency_us,
            # What latency_bucket and cost_bucket say, without two calls more for every execution.
            bucket_of(latency_us / 1000) if status is _SUCCEEDED and latency_us is not None else None,
            cost_micros,
            _bucket_of_cost(cost_micros) if status in _COUNTING else None,
            None if quality is None else quality_ppm(quality),
            fact.error_code,
        )
        if usage.queries:
            self.queries += usage.queries
        if usage.input_tokens or usage.cached_tokens or usage.output_tokens:
            self.count_tokens(usage.input_tokens, usage.cached_tokens, usage.output_tokens)

    def count(
        self,
        status: Status,
        ended_at_us: int,
        latency_us: int | None,
        latency_bucket: int | None,
        cost_micros: int,
        cost_bucket: int | None,
        quality: int | None,
        error_code: str | None,
    ) -> None:
        """One ended execution, by the figures that are kept of it; its buckets are None where it is not counted."""
        self.spent_micros += cost_micros
        if cost_bucket is not None:
            self.samples += 1
            self.squares += 1
            self.cost_samples += 1
            self.cost_micros += cost_micros
            self.cost[cost_bucket] = self.cost.get(cost_bucket, 0) + 1
        if status is _SUCCEEDED:
            self.successes += 1
            if latency_bucket is not None:
                self.latency_us += latency_us or 0
                self.latency[latency_bucket] = self.latency.get(latency_bucket, 0) + 1
        elif (ending := _OTHER_ENDINGS.get(status)) is not None:
            setattr(self, ending, getattr(self, ending) + 1)
        if quality is not None:
            self.quality_ppm += quality
            self.quality_samples += 1
        if error_code is not None:
            self.errors[error_code] = self.errors.get(error_code, 0) + 1
        if ended_at_us > self.last_at_us:
            self.last_at_us = ended_at_us

    def count_tokens(self, fresh: int, cached: int, output: int) -> None:
        self.input_tokens += fresh
        self.cached_tokens += cached
        self.output_tokens += output

    def revise(self, at_us: int, samples: int, successes: int, rated: int, ppm: int) -> None:
        """One revision, by the differences that it makes."""
        self.samples += samples
        self.squares += samples
        self.successes += successes
        self.quality_samples += rated
        self.quality_ppm += ppm
        self.last_at_us = max(self.last_at_us, at_us)

    def add_card(self, card: Scorecard, weight: float = 1) -> None:
        """A whole card, weighed: its squares by the square of the weight."""
        for name in _WEIGHED:
            if found := getattr(card, name):
                setattr(self, name, getattr(self, name) + weight * found)
        self.squares += weight * weight * card.squares
        _add_counts(self.latency, card.latency, weight)
        _add_counts(self.cost, card.cost, weight)
        _add_counts(self.errors, card.errors, weight)
        self.last_at_us = max(self.last_at_us, card.last_at_us)

    def card(self, target: str, task_type: str) -> Scorecard:
        """What was added up to now, as a scorecard of its own. Counts that came out as nothing are left out."""
        return Scorecard(
            target=target,
            task_type=task_type,
            latency=_something(self.latency),
            cost=_something(self.cost),
            errors=_something(self.errors),
            last_at_us=self.last_at_us,
            **{name: getattr(self, name) for name in SUMS},
        )


def fold(card: Scorecard | None, fact: Execution | Revision) -> Scorecard:
    """The card with one fact added; a new card where there was none. Commutes: the order of facts does not matter."""
    tally = Tally(card)
    tally.add(fact)
    return tally.card(fact.target, fact.task_type)


def merged(cards: Iterable[Scorecard], target: str = "", task_type: str = "") -> Scorecard:
    """One card for all of these, as if they were one target: cards are sums, so it is their sum."""
    total = Tally()
    for card in cards:
        total.add_card(card)
    return total.card(target, task_type)


def weighed(days: Iterable[Daily], today: int, gamma: float, target: str, task_type: str) -> Scorecard:
    """One card for these days, each weighed by γ to the power of its age in days.

    The sums of a day come from whole numbers and are added oldest day first, so that whoever works it out, and however
    often, gets the same floats. A day of today (or, by a wrong clock, of later) weighs 1, which leaves numbers whole.
    A γ below 0, or that is no number, counts for 0, and one above 1 for 1.

    >>> one = Scorecard(target="a", task_type="t", samples=10, successes=9, squares=10)
    >>> card = weighed([Daily(day=6, card=one), Daily(day=7, card=one)], 7, 0.5, "a", "t")
    >>> card.samples, card.successes, card.squares
    (15.0, 13.5, 12.5)
    """
    gamma = min(max(0.0, gamma), 1.0)
    total = Tally()
    for each in sorted(days, key=_day):
        age = today - each.day
        weight = 1 if age <= 0 or gamma == 1 else gamma**age
        total.add_card(each.card, weight)
    return total.card(target, task_type)


def estimate(card: Scorecard) -> Estimate:
    """What a card says. A rate is successes over everything that says something about the target.

    The interval of a rate stands on Kish's effective number of samples, (Σw)²/Σw² (L. Kish, Survey Sampling, 1965,
    §11.7), which is the number of samples as long as all of them weigh the same. What was rated, timed and billed is
    taken to weigh as unevenly as the samples do.

    Corrections can leave next to nothing, or less, and it is whatever was stored: what is negative or no number counts
    for nothing, a rate and a quality lie in 0 to 1, and a mean beyond any number is the largest one.
    """
    samples = card.samples if 0 < card.samples < inf else 0
    if not samples and not card.quality_samples > 0:
        return replace(NO_EVIDENCE, last_at_us=card.last_at_us)
    # `max` keeps the first of two that cannot be compared.
    successes = min(max(0, card.successes), samples)
    # Divided before it is multiplied, as in `intervals.kish`: the square of a small weight would vanish.
    effective = samples * (samples / card.squares) if card.squares > 0 else 0.0
    if effective == inf:
        effective = 0.0
    scale = effective / samples if samples else 0.0
    lo, hi = wilson(successes * scale, samples * scale)
    p50, p95, p99 = quantiles(card.latency, (0.50, 0.95, 0.99))
    # Exact whatever the order: a card that was read back has its buckets in another one.
    try:
        timed = fsum(card.latency.values())
    except (OverflowError, ValueError):
        timed = 0.0
    latency = card.latency_us / timed / 1000 if timed > 0 else None
    cost = card.cost_micros / card.cost_samples if card.cost_samples > 0 else None
    quality = card.quality_ppm / card.quality_samples / PPM if card.quality_samples > 0 else None
    # Asked of all three at once, as hardly any of them ever is out of its range.
    if not (0 <= (latency or 0) <= _MOST and 0 <= (cost or 0) <= _MOST and 0 <= (quality or 0) <= 1):
        latency, cost, quality = _bounded(latency, _MOST), _bounded(cost, _MOST), _bounded(quality, 1.0, none=0.0)
    return Estimate.deferred(
        _Intervals(card, scale),
        samples=samples,
        effective=effective,
        successes=successes,
        rate=successes / samples if samples else None,
        wilson_lo=lo,
        wilson_hi=hi,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        mean_latency_ms=latency,
        mean_cost_micros=cost,
        quality=quality,
        last_at_us=card.last_at_us,
    )


@dataclass(frozen=True, slots=True)
class _Intervals:
    """What only constraints and plans ask of a card. `scale` makes an effective number of what is counted in it."""

    card: Scorecard
    scale: float

    @property
    def rated(self) -> float:
        rated = max(0, self.card.quality_samples) * (self.scale or 1.0)
        return rated if rated < inf else 0.0

    @property
    def quality_interval(self) -> tuple[float, float]:
        """Wilson's, for the mean of values between 0 and 1: none of those varies more than a yes or no of that mean."""
        card = self.card
        mean = card.quality_ppm / card.quality_samples / PPM if card.quality_samples > 0 else 0.0
        return wilson(mean * self.rated, self.rated)

    @property
    def cost_interval_micros(self) -> tuple[float, float] | None:
        card = self.card
        if not card.cost_samples > 0:
            return None
        effective = card.cost_samples * self.scale
        mean = _bounded(card.cost_micros / card.cost_samples, _MOST)
        return mean_interval(card.cost, effective=effective, mean=mean)

    @property
    def p95_cost_micros(self) -> float | None:
        return quantiles(self.card.cost, (0.95,))[0]

    @property
    def p50_interval_ms(self) -> tuple[float, float] | None:
        return quantile_interval(self.card.latency, 0.50, self.scale)

    @property
    def p95_interval_ms(self) -> tuple[float, float] | None:
        return quantile_interval(self.card.latency, 0.95, self.scale)


def _bounded(mean: float | None, most: float, none: float = _MOST) -> float | None:
    """The mean in its range; `none` is what stands for one that is no number."""
    if mean is None:
        return None
    return none if mean != mean else min(max(0.0, mean), most)


def _add_counts(total: dict[K, float], counts: Mapping[K, float], weight: float) -> None:
    for key, count in counts.items():
        total[key] = total.get(key, 0) + weight * count


def _something(counts: Mapping[K, float]) -> dict[K, float]:
    return {key: count for key, count in counts.items() if count}


def _day(daily: Daily) -> int:
    return daily.day
