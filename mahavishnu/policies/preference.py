"""Preference: a fixed order, whatever happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from mahavishnu.model import Candidate, Ranked, Ranking, Snapshot, Task
from mahavishnu.policies.words import figures, version_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """The targets of `order` first, then the others in their default order.

    >>> from mahavishnu.model import NO_EVIDENCE, Target
    >>> pair = [Candidate(Target(name=n, adapter="local", run="m:f", task_types={"t"}), NO_EVIDENCE) for n in "ab"]
    >>> ranking = Preference(order=("b",)).rank(Task(type="t", text="x"), pair, Snapshot(), 0, Random(0))
    >>> [(each.candidate.target.name, each.probability) for each in ranking.chain]
    [('b', 1.0), ('a', 0.0)]
    """

    order: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return "preference"

    @property
    def version(self) -> str:
        return version_of(self, code=1)

    def rank(
        self, task: Task, candidates: Sequence[Candidate], snapshot: Snapshot, now_us: int, rng: Random
    ) -> Ranking:
        del task, snapshot, now_us, rng
        places = {name: place for place, name in enumerate(self.order)}

        def place_of(each: Candidate) -> tuple[int, int, str]:
            return places.get(each.target.name, len(places)), each.target.place, each.target.name

        ordered = sorted(candidates, key=place_of)
        chain = tuple(
            Ranked(
                candidate=each,
                probability=0.0 if place else 1.0,
                score=float(len(ordered) - place),
                components={"place": place + 1},
            )
            for place, each in enumerate(ordered)
        )
        first = ordered[0]
        return Ranking(
            chain=chain,
            why=f"first in the fixed order; {figures(first)}",
            confidence=first.estimate.wilson_lo,
            confidence_kind="wilson_lower_95",
        )
