"""Decision: the recorded choice, with everything that is needed to understand it or to work it out again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mahavishnu.model.scorecard import Estimate
from mahavishnu.model.target import Target
from mahavishnu.model.task import Task


@dataclass(frozen=True, slots=True)
class Candidate:
    """A target that passed admission for this task, with its estimates."""

    target: Target
    estimate: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """One candidate's place in a ranking: how likely it was to be chosen, its score, and what the score is made of."""

    candidate: Candidate
    probability: float
    score: float | None
    components: Mapping[str, float | int | None]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The chain, first choice first, and in words why the first one is first."""

    chain: tuple[Ranked, ...]
    why: str
    confidence: float
    confidence_kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """One target as the decision saw it: ranked, or not eligible and why not."""

    target: str
    eligible: bool
    why_not: str | None = None
    probability: float = 0.0
    score: float | None = None
    components: Mapping[str, float | int | None] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`selected` is None where nothing was eligible: that, too, is kept. `considered` has the chain first, in order."""

    id: str
    at_us: int
    process_id: str
    task: Task
    selected: str | None
    probability: float
    confidence: float
    confidence_kind: str
    randomised: bool
    reason: str
    considered: tuple[Considered, ...]
    policy: str
    policy_version: str
    snapshot_version: int
    snapshot_cursor: int
    seed: int
    overhead_us: int

    @property
    def alternatives(self) -> tuple[str, ...]:
        return tuple(each.target for each in self.considered if each.eligible and each.target != self.selected)
