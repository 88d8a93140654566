"""Published: the preference order that the last recalculation published, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from mahavishnu.model import Candidate, Ranking, Snapshot, Task
from mahavishnu.policies.chain import undrawn
from mahavishnu.policies.explain import version_of
from mahavishnu.stats.ordering import carried_over


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The published order of the task type; a target that is not in it stands at its default place. No draw.

    >>> from mahavishnu.model import NO_EVIDENCE, Target
    >>> pair = [Candidate(Target(name=n, adapter="local", run="m:f", task_types={"t"}), NO_EVIDENCE) for n in "ab"]
    >>> snapshot = Snapshot(orders={"t": ("b", "a")})
    >>> ranking = Published().rank(Task(type="t", text="x"), pair, snapshot, 0, Random(0))
    >>> [(link.candidate.target.name, link.probability) for link in ranking.chain]
    [('b', 1.0), ('a', 0.0)]
    """

    @property
    def name(self) -> str:
        return "published"

    @property
    def version(self) -> str:
        return version_of(self, code=1)

    def rank(
        self, task: Task, candidates: Sequence[Candidate], snapshot: Snapshot, now_us: int, rng: Random
    ) -> Ranking:
        del now_us, rng
        default = sorted(candidates, key=lambda candidate: (candidate.target.place, candidate.target.name))
        by_name = {candidate.target.name: candidate for candidate in default}
        names = carried_over(snapshot.orders.get(task.type, ()), list(by_name))
        return undrawn([by_name[name] for name in names], "published", "rank")
