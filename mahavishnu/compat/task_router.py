"""TaskRouter and StatisticalRouter: the adaptive router's calls for preference orders (A.2), over the one engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mahavishnu.compat.asked import task_of
from mahavishnu.compat.cost_optimizer import CostOptimizer, Optimal
from mahavishnu.jobs import scores
from mahavishnu.model import Report, Task
from mahavishnu.stats.ordering import carried_over

if TYPE_CHECKING:
    from mahavishnu.app import App

CACHE_S = 3600.0
"""How long the seed keeps a preference order."""


@dataclass(frozen=True, slots=True)
class _Kept:
    order: tuple[str, ...]
    version: int
    until_s: float


class TaskRouter:
    """Runs a task down the published preference order of its type.

    An order is kept for `cache_s`, and no longer than until a snapshot with another version is published. A target that
    was added in between has its turn after that.
    """

    def __init__(self, app: App, *, cache_s: float = CACHE_S) -> None:
        self._app = app
        self._cache_s = cache_s
        self._kept: dict[str, _Kept] = {}

    async def preference_order(self, task_type: str) -> Sequence[str]:
        """As published; targets that are not in it stand at their default places."""
        newest = await self._app.store.newest_version()
        now_s = self._app.clock.monotonic_s()
        kept = self._kept.get(task_type)
        if kept is None or kept.version != newest or now_s >= kept.until_s:
            snapshot = await self._app.store.latest()
            standings = self._app.orchestrator.standings()
            default = [standing.target.name for standing in standings if standing.target.takes(task_type)]
            order = tuple(carried_over(snapshot.orders.get(task_type, ()), default))
            kept = self._kept[task_type] = _Kept(order, snapshot.version, now_s + self._cache_s)
        return kept.order

    async def execute_with_fallback(self, task: Task | str | Mapping[str, Any]) -> Report:
        """Each target of the order has its turn until one succeeds. Raises what `execute` raises."""
        asked = task_of(task)
        order = await self.preference_order(asked.type)
        names = {standing.target.name for standing in self._app.orchestrator.standings()}
        return await self._app.orchestrator.execute(
            replace(asked, exclude=asked.exclude | (names - set(order))), policy="published"
        )


class StatisticalRouter:
    """Scores targets by what was observed, orders them by it, and recommends one."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._optimizer = CostOptimizer(app, app.clock)
        self._router = TaskRouter(app, cache_s=0.0)

    def calculate_scores(self, task_type: str) -> Mapping[str, float]:
        """success_rate · 0.7 + speed_score · 0.3 unless set otherwise, for every target with evidence."""
        stats = self._app.orchestrator.stats(task_type)
        return {stat.target: stat.score for stat in stats if stat.score is not None}

    async def get_preference_order(self, task_type: str) -> Sequence[str]:
        """The published one."""
        return await self._router.preference_order(task_type)

    async def recalculate(self) -> int:
        """Score everything anew and publish it; the version of the newest snapshot."""
        published = await scores.recalculate(self._app.store, self._app.clock, self._app.settings)
        return published.after.version

    async def recommend(
        self, task: Task | str | Mapping[str, Any], constraints: Mapping[str, Any] | None = None
    ) -> Optimal:
        """What `CostOptimizer.get_optimal_adapter` answers."""
        return await self._optimizer.get_optimal_adapter(task, constraints)
