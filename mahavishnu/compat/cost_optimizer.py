"""CostOptimizer: the adaptive router's two calls for choosing by cost (C.2), over the one engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mahavishnu.compat.asked import task_of
from mahavishnu.engine.clock import SystemClock
from mahavishnu.jobs import strategies
from mahavishnu.model import Task
from mahavishnu.model.objective import Objective, objective_of
from mahavishnu.planning.constraints import constraints_of
from mahavishnu.policies.recommendation import Recommended
from mahavishnu.ports import Clock

if TYPE_CHECKING:
    from mahavishnu.app import App


@dataclass(frozen=True, slots=True)
class Optimal:
    """The best expected target for a task, and why; the alternatives, the best expected first.

    `confidence` is the lower end of the 95 % interval of its success rate. `figures` has every candidate with its
    expected utility, and with a target that dominates it where there is one.
    """

    adapter: str
    reasoning: str
    confidence: float
    alternatives: Sequence[str]
    figures: Sequence[Recommended]


class CostOptimizer:
    """Recommends a target under constraints, and sets what a task type is to be good at.

    Constraints are max_cost, max_latency_ms, min_quality, min_success_rate, required_capabilities, excluded_targets and
    deadline_ms; they are judged on what was observed.
    """

    def __init__(self, app: App, clock: Clock | None = None) -> None:
        self._app = app
        self._clock = clock or SystemClock()

    async def get_optimal_adapter(
        self, task: Task | str | Mapping[str, Any], constraints: Mapping[str, Any] | None = None
    ) -> Optimal:
        """A recommendation: the same evidence gives the same answer, no experiment enrols the task, and no decision is
        recorded. A target that another one dominates in every objective is never it.

        Raises NothingEligible, which names for each target what it fails and the least that would have to give way;
        InvalidTask for a constraint that there is not."""
        found = await self._app.orchestrator.recommend(replace(task_of(task), **constraints_of(constraints or {})))
        best, *others = found.ranked
        return Optimal(
            adapter=best.candidate.target.name,
            reasoning=f"Recommended {best.candidate.target.name}: {found.why}",
            confidence=best.candidate.estimate.wilson_lo,
            alternatives=[row.candidate.target.name for row in others],
            figures=found.ranked,
        )

    async def set_strategy(self, task_type: str, strategy: str | Mapping[str, float] | Objective) -> int:
        """Publish it; the version of the snapshot that has it. Raises InvalidTask for a strategy that there is not."""
        found = await strategies.set_strategy(self._app.store, self._clock, task_type, objective_of(strategy))
        return found.after.version
