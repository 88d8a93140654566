"""The cheapest target that is reliable enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from mahavishnu.model import Candidate, Ranked, Ranking, Snapshot, Task


@dataclass(frozen=True, kw_only=True)
class Thrifty:
    """Chooses the cheapest target whose success rate may reach `reliable`; with probability `explore`, any target.

    A target without evidence may be reliable and may be free, so it is tried early.
    """

    reliable: float = 0.9
    explore: float = 0.1

    def __post_init__(self) -> None:
        if not (0 <= self.reliable <= 1 and 0 <= self.explore <= 1):
            raise ValueError("reliable and explore must lie between 0 and 1")

    @property
    def name(self) -> str:
        return "thrifty"

    @property
    def version(self) -> str:
        return f"1 reliable={self.reliable} explore={self.explore}"

    def rank(
        self, task: Task, candidates: Sequence[Candidate], snapshot: Snapshot, now_us: int, rng: Random
    ) -> Ranking:
        del task, snapshot, now_us
        best_first = sorted(candidates, key=self._unfitness)
        best = best_first[0]
        drawn = rng.choice(best_first) if rng.random() < self.explore else best
        order = [drawn, *(each for each in best_first if each is not drawn)]
        even = self.explore / len(best_first)
        chain = tuple(
            Ranked(
                candidate=candidate,
                probability=even + (1 - self.explore if candidate is best else 0.0),
                score=None,
                components={
                    "cost_micros": candidate.estimate.mean_cost_micros,
                    "success_hi": candidate.estimate.wilson_hi,
                },
            )
            for candidate in order
        )
        why = "the cheapest reliable target" if drawn is best else "drawn to explore"
        return Ranking(chain=chain, why=why, confidence=drawn.estimate.wilson_lo, confidence_kind="wilson_lower_95")

    def _unfitness(self, candidate: Candidate) -> tuple[bool, float, str]:
        seen = candidate.estimate
        return seen.wilson_hi < self.reliable, seen.mean_cost_micros or 0.0, candidate.target.name
