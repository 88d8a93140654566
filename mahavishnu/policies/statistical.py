"""Statistical: ranks by success and speed once there is enough evidence, and keeps looking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from mahavishnu.model import Candidate, Estimate, Ranked, Ranking, Snapshot, Task
from mahavishnu.policies.explain import figures, percent, version_of, weighed_by
from mahavishnu.stats.ordering import carried_over
from mahavishnu.stats.scoring import Scoring


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistical(Scoring):
    """The order that was published; before one was, trusted targets by score, untrusted ones in their default place.

    A preference order changes by differences that are no noise, and a score by the hour: so where an order was
    published for the task type, it holds. Until then ranking is by the score on the Wilson lower bound, so that one
    success of one does not beat 98 of 100. A target with fewer than `min_samples` samples is not trusted: it keeps its
    default place, and the trusted ones are sorted into the places that remain. Only a target that is known to fail, its
    Wilson upper bound below `failing_below`, goes behind all that are not. Nobody ever drops out.

    A task with an objective of its own, or of a type that a strategy was published for, is weighed by that, and goes by
    the score: a published order rests on the options alone.

    A share `exploration` of the choices is spread over the targets that are due: too few samples to be trusted, or
    nothing seen of them for `explore_after_s`. So a starved target gets its samples and a recovered one is noticed,
    while one that has just been seen to fail costs nothing more.
    """

    failing_below: float = 0.8
    exploration: float = 0.05
    explore_after_s: float = 300.0

    def __post_init__(self) -> None:
        Scoring.__post_init__(self)
        if not 0 <= self.exploration <= 0.5:
            raise ValueError("exploration must lie between 0 and 0.5")
        if not 0 <= self.failing_below <= 1:
            raise ValueError("failing_below must lie between 0 and 1")
        if not self.explore_after_s >= 0:
            raise ValueError("explore_after_s must be 0 or more")

    @property
    def name(self) -> str:
        return "statistical"

    @property
    def version(self) -> str:
        return version_of(self, code=5)

    def rank(
        self, task: Task, candidates: Sequence[Candidate], snapshot: Snapshot, now_us: int, rng: Random
    ) -> Ranking:
        objective = task.objective or snapshot.strategies.get(task.type)
        if objective is None:
            return self.draw(candidates, snapshot.orders.get(task.type, ()), now_us, rng)
        return self.good_at(objective).draw(candidates, (), now_us, rng, weighed_by(objective))

    def draw(
        self, candidates: Sequence[Candidate], published: Sequence[str], now_us: int, rng: Random, by: str = ""
    ) -> Ranking:
        """A ranking by its own weights; `by` says where they come from."""
        ordered = self._order([self._scored(each) for each in candidates], published)
        due = [each for each in ordered[1:] if self._is_due(each, now_us)]
        explored = self.exploration if due else 0.0
        draw = rng.random()
        exploring = draw < explored
        first = due[int(draw / explored * len(due))] if exploring else ordered[0]
        probabilities = {each.name: explored / len(due) for each in due}
        probabilities[ordered[0].name] = 1.0 - explored
        chain = (first, *(each for each in ordered if each is not first)) if exploring else ordered
        why = figures(first.candidate) + by
        if exploring:
            why += f"; to learn more about it, as {percent(explored)} % of the choices do"
        elif note := self._note(first):
            why += f"; {note}"
        return Ranking(
            chain=tuple(self._ranked(each, probabilities.get(each.name, 0.0)) for each in chain),
            why=why,
            confidence=first.seen.wilson_lo,
            confidence_kind="wilson_lower_95",
        )

    def _scored(self, each: Candidate) -> _Scored:
        seen = each.estimate
        trusted = self.trusts(seen)
        # What is no rate is no ground to go first.
        rate = seen.wilson_lo if 0 <= seen.wilson_lo <= 1 else 0.0
        return _Scored(
            candidate=each,
            name=each.target.name,
            seen=seen,
            trusted=trusted,
            failing=trusted and seen.wilson_hi < self.failing_below,
            rate_lo=rate,
            floor=self.success_weight * rate + self.besides(seen),
        )

    def _order(self, scored: list[_Scored], published: Sequence[str]) -> list[_Scored]:
        """As published, or else trusted ones sorted into the places that untrusted ones leave; failing ones last."""
        default = sorted(scored, key=_default_place)
        failing = [each for each in default if each.failing]
        standing = [each for each in default if not each.failing]
        if published:
            by_name = {each.name: each for each in standing}
            standing = [by_name[name] for name in carried_over(published, list(by_name))]
            return standing + sorted(failing, key=_best_first)
        trusted = iter(sorted((each for each in standing if each.trusted), key=_best_first))
        placed = [next(trusted) if each.trusted else each for each in standing]
        return placed + sorted(failing, key=_best_first)

    def _is_due(self, each: _Scored, now_us: int) -> bool:
        return not each.trusted or now_us - each.seen.last_at_us >= self.explore_after_s * 1e6

    def _note(self, each: _Scored) -> str:
        """In words, what the place in the order rests on; nothing where it is simply the score."""
        if not each.trusted:
            return f"keeps its default place until it has {self.min_samples} samples"
        if each.failing:
            return f"known to fail: at most {percent(each.seen.wilson_hi)} % success"
        return ""

    def _ranked(self, each: _Scored, probability: float) -> Ranked:
        seen = each.seen
        return Ranked(
            candidate=each.candidate,
            probability=probability,
            score=self.score(seen),
            components={
                "samples": seen.samples,
                "success_rate": seen.rate,
                "wilson_lo": seen.wilson_lo,
                "wilson_hi": seen.wilson_hi,
                "speed": self.speed(seen),
                **({"cheapness": self.cheapness(seen)} if self.cost_weight else {}),
                **({"quality": seen.quality} if self.quality_weight else {}),
                "score_lo": each.floor,
                "p95_ms": seen.p95_ms,
                "cost_usd": None if seen.mean_cost_micros is None else seen.mean_cost_micros / 1e6,
            },
            note=self._note(each),
        )


class _Scored(NamedTuple):
    """A candidate with everything that is worked out about it, once."""

    candidate: Candidate
    name: str
    seen: Estimate
    trusted: bool
    failing: bool
    rate_lo: float
    floor: float


def _default_place(each: _Scored) -> tuple[int, str]:
    return each.candidate.target.place, each.name


def _best_first(each: _Scored) -> tuple[float, float, int, str]:
    """By score; equals by the Wilson lower bound, which the score need not weigh, then by default place and name."""
    return -each.floor, -each.rate_lo, each.candidate.target.place, each.name
