"""Preference: a fixed order, whatever happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from mahavishnu.model import Candidate, Ranking, Snapshot, Task
from mahavishnu.policies.chain import undrawn
from mahavishnu.policies.explain import version_of


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

        return undrawn(sorted(candidates, key=place_of), "fixed", "place")
