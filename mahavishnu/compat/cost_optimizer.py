"""CostOptimizer: the adaptive router's two calls for choosing by cost (C.2), over the one engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mahavishnu.compat.asked import task_of
from mahavishnu.engine.clock import SystemClock
from mahavishnu.jobs import strategies
from mahavishnu.model import Decision, Task
from mahavishnu.model.objective import Objective, objective_of
from mahavishnu.planning.constraints import constraints_of
from mahavishnu.ports import Clock

if TYPE_CHECKING:
    from mahavishnu.app import App


@dataclass(frozen=True, slots=True)
class Optimal:
    """Whom the engine would send a task to, and why: the decision itself is recorded like any other."""

    adapter: str
    reasoning: str
    confidence: float
    alternatives: Sequence[str]
    decision: Decision


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
        """Raises NothingEligible, which names for each target what it fails and the least that would have to give way;
        InvalidTask for a constraint that there is not."""
        decision = await self._app.orchestrator.route(replace(task_of(task), **constraints_of(constraints or {})))
        return Optimal(
            adapter=decision.selected or "",
            reasoning=decision.reason,
            confidence=decision.confidence,
            alternatives=decision.alternatives,
            decision=decision,
        )

    async def set_strategy(self, task_type: str, strategy: str | Mapping[str, float] | Objective) -> int:
        """Publish it; the version of the snapshot that has it. Raises InvalidTask for a strategy that there is not."""
        found = await strategies.set_strategy(self._app.store, self._clock, task_type, objective_of(strategy))
        return found.after.version
