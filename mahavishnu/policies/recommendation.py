"""Recommendation: the target that is expected to be best, without a draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from mahavishnu.model import Candidate, Snapshot, Task
from mahavishnu.planning.dominance import dominates
from mahavishnu.policies.adaptive import Adaptive, from_estimates
from mahavishnu.policies.explain import figures, weighed_by
from mahavishnu.stats.columns import Candidates
from mahavishnu.stats.scoring import Scoring


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommended:
    """One candidate with its expected utility. `dominated_by` names a target that is better in every objective."""

    candidate: Candidate
    expected: float
    dominated_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """The candidates, the recommended one first, and in words why."""

    ranked: Sequence[Recommended]
    why: str

    @property
    def best(self) -> Candidate:
        return self.ranked[0].candidate


def recommend(task: Task, candidates: Sequence[Candidate], snapshot: Snapshot, scoring: Scoring) -> Recommendation:
    """By expected utility under the task's objective, or else the strategy of its type; dominated candidates come last.

    Nothing is drawn: the same evidence gives the same answer. Of candidates that are expected to be as good as each
    other the first one comes first. At least one candidate is asked for.
    """
    known = candidates if isinstance(candidates, Candidates) else from_estimates(candidates)
    objective = task.objective or snapshot.strategies.get(task.type)
    policy = Adaptive(**{field.name: getattr(scoring, field.name) for field in fields(Scoring)})
    weighing = policy.weighing(objective, snapshot.prices.get(task.type, policy.price))
    expected = weighing.expected(known)
    rows = [
        Recommended(candidate=candidate, expected=float(expected[index]), dominated_by=_better(candidate, known))
        for index, candidate in enumerate(known)
    ]
    ranked = sorted(rows, key=lambda row: (row.dominated_by is not None, -row.expected))
    why = f"{figures(ranked[0].candidate)}{weighed_by(objective, weighing.price)}; best expected of {len(ranked)}"
    return Recommendation(ranked=ranked, why=why)


def _better(candidate: Candidate, others: Sequence[Candidate]) -> str | None:
    seen = candidate.estimate
    return next((other.target.name for other in others if dominates(other.estimate, seen)), None)
