"""Decision: the recorded choice, with everything that is needed to understand it or to work it out again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mahavishnu.model.deferred import Deferred
from mahavishnu.model.experiment import Assignment
from mahavishnu.model.scorecard import Estimate
from mahavishnu.model.target import Target
from mahavishnu.model.task import Task


@dataclass(frozen=True, slots=True)
class Candidate:
    """A target that passed admission for this task, with its estimates."""

    target: Target
    estimate: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked(Deferred):
    """One candidate's place in a ranking: how likely it was to be chosen, its score, and what the score is made of."""

    candidate: Candidate
    probability: float
    score: float | None
    components: Mapping[str, float | int | None]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking(Deferred):
    """The chain, first choice first, and in words why the first one is first.

    `order` is the chain's candidates, `first` the first of them. A policy may know these at once and leave the chain
    with its probabilities, and the words, for whoever writes the decision down: `Ranking.deferred`.
    """

    chain: tuple[Ranked, ...]
    why: str
    confidence: float
    confidence_kind: str
    first: Candidate = field(init=False, repr=False, compare=False)
    order: tuple[Candidate, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        order = tuple(each.candidate for each in self.chain)
        object.__setattr__(self, "order", order)
        object.__setattr__(self, "first", order[0])


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
class Decision(Deferred):
    """`selected` is None where nothing was eligible: that, too, is kept. `considered` has the chain first, in order.

    What takes long to work out and nobody waits for may be deferred to the thread that writes the decision down.
    """

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
    assignments: tuple[Assignment, ...] = ()

    @property
    def alternatives(self) -> tuple[str, ...]:
        return tuple(each.target for each in self.considered if each.eligible and each.target != self.selected)
