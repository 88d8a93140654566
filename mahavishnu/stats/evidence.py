"""Folding facts into scorecards, and reading estimates off them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import fields, replace

from mahavishnu.model import NO_EVIDENCE, Estimate, Execution, Revision, Scorecard, Status
from mahavishnu.stats.intervals import wilson
from mahavishnu.stats.sketch import bucket_of, quantiles

_SUMS = tuple(
    each.name for each in fields(Scorecard) if each.name not in ("target", "task_type", "latency", "last_at_us")
)

PPM = 1_000_000
"""Qualities are summed as whole millionths, so that no order of summation can change the sum."""


def quality_ppm(quality: float) -> int:
    return round(quality * PPM)


def fold_execution(card: Scorecard, execution: Execution) -> Scorecard:
    """The card with one ended execution added."""
    status = execution.status
    counts = status.counts
    succeeded = status is Status.SUCCEEDED
    latency = card.latency
    if succeeded and execution.latency_us is not None:
        bucket = bucket_of(execution.latency_us / 1000)
        latency = {**latency, bucket: latency.get(bucket, 0) + 1}
    rated = execution.quality is not None
    return replace(
        card,
        samples=card.samples + counts,
        successes=card.successes + succeeded,
        timed_out=card.timed_out + (status is Status.TIMED_OUT),
        lost=card.lost + (status is Status.LOST),
        refused=card.refused + (status is Status.REFUSED),
        cancelled=card.cancelled + (status is Status.CANCELLED),
        cost_micros=card.cost_micros + (execution.cost_micros if counts else 0),
        cost_samples=card.cost_samples + counts,
        quality_ppm=card.quality_ppm + (quality_ppm(execution.quality) if execution.quality is not None else 0),
        quality_samples=card.quality_samples + rated,
        latency=latency,
        last_at_us=max(card.last_at_us, execution.ended_at_us or 0),
    )


def fold_revision(card: Scorecard, revision: Revision) -> Scorecard:
    """The card with one outcome's change added."""
    return replace(
        card,
        samples=card.samples + revision.samples,
        successes=card.successes + revision.successes,
        quality_ppm=card.quality_ppm + revision.quality_ppm,
        quality_samples=card.quality_samples + revision.quality_samples,
        last_at_us=max(card.last_at_us, revision.at_us),
    )


def fold(card: Scorecard | None, fact: Execution | Revision) -> Scorecard:
    """The card with one fact added; a new card where there was none. Commutes: the order of facts does not matter."""
    if card is None:
        card = Scorecard(target=fact.target, task_type=fact.task_type)
    return fold_execution(card, fact) if isinstance(fact, Execution) else fold_revision(card, fact)


def merged(cards: Iterable[Scorecard]) -> Scorecard:
    """One card for all of these, as if they were one target: cards are sums, so it is their sum."""
    cards = list(cards)
    latency: Counter[int] = Counter()
    for card in cards:
        latency.update(card.latency)
    sums = {name: sum(getattr(card, name) for card in cards) for name in _SUMS}
    newest = max((card.last_at_us for card in cards), default=0)
    return Scorecard(target="", task_type="", latency=latency, last_at_us=newest, **sums)


def estimate(card: Scorecard) -> Estimate:
    """What a card says. A rate is successes over everything that says something about the target."""
    if not card.samples and not card.quality_samples:
        return replace(NO_EVIDENCE, last_at_us=card.last_at_us)
    lo, hi = wilson(card.successes, card.samples)
    p50, p95, p99 = quantiles(card.latency, (0.50, 0.95, 0.99))
    return Estimate(
        samples=card.samples,
        successes=card.successes,
        rate=card.successes / card.samples if card.samples else None,
        wilson_lo=lo,
        wilson_hi=hi,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        mean_cost_micros=card.cost_micros / card.cost_samples if card.cost_samples else None,
        quality=card.quality_ppm / card.quality_samples / PPM if card.quality_samples else None,
        last_at_us=card.last_at_us,
    )
