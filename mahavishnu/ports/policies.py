"""What a policy promises: it ranks candidates."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Protocol

from mahavishnu.model import Candidate, Ranking, Snapshot, Task


class Policy(Protocol):
    """Ranks candidates. Pure: the same arguments, the same ranking; all randomness comes from `rng`.

    Every candidate is in the chain exactly once, also one without evidence. Probabilities lie in [0, 1] and sum to 1,
    and each is the probability with which that candidate comes first.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str:
        """Changes whenever the same arguments could give another ranking: code and options."""
        ...

    def rank(
        self, task: Task, candidates: Sequence[Candidate], snapshot: Snapshot, now_us: int, rng: Random
    ) -> Ranking: ...
