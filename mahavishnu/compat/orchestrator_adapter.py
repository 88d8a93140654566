"""OrchestratorAdapter: the adaptive router's interface of an adapter (D.3), over every adapter that is installed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mahavishnu.compat.asked import task_of
from mahavishnu.errors import Misconfigured, UnknownName
from mahavishnu.model import Health, Report, Task

if TYPE_CHECKING:
    from mahavishnu.app import App

CAPABILITIES = (
    "can_deploy_flows",
    "can_monitor_execution",
    "can_cancel_workflows",
    "supports_batch_execution",
    "supports_multi_agent",
    "has_cloud_ui",
)
"""The flags that the seed names."""


@dataclass(frozen=True, slots=True)
class AdapterHealth:
    """How an adapter is: healthy where at least one of its targets can run, with what each of them says."""

    healthy: bool
    targets: Mapping[str, Health]


class OrchestratorAdapter:
    """One adapter of an App. What it executes is decided, recorded, charged and learnt from like everything else."""

    def __init__(self, app: App, name: str) -> None:
        """Raises UnknownName for an adapter that the App did not load."""
        if name not in app.adapters:
            raise UnknownName(kind="adapter", name=name, see="mahavishnu doctor")
        self._app = app
        self._open = True
        self.name = name

    @property
    def capabilities(self) -> Mapping[str, bool]:
        adapter = self._app.adapters[self.name]
        return {flag: adapter.supports(flag) for flag in CAPABILITIES}

    async def initialize(self) -> None:
        """Ask its targets how they are. Raises Misconfigured where it has none."""
        await self._app.orchestrator.check_health()
        if not self._targets():
            raise Misconfigured(f"{self.name} has no target; mahavishnu targets add --adapter {self.name} makes one")
        self._open = True

    async def execute(self, task: Task | str | Mapping[str, Any]) -> Report:
        """Run a task on this adapter's targets, with retries and fallback among those. Raises what `execute` raises."""
        if not self._open:
            raise Misconfigured(f"{self.name} was shut down; call initialize() first")
        asked = task_of(task)
        own = self._targets()
        others = {standing.target.name for standing in self._app.orchestrator.standings()} - own
        return await self._app.orchestrator.execute(replace(asked, exclude=asked.exclude | others))

    async def get_health(self) -> AdapterHealth:
        """How its targets are now."""
        await self._app.orchestrator.check_health()
        own = self._targets()
        found = {
            standing.target.name: standing.health
            for standing in self._app.orchestrator.standings()
            if standing.target.name in own
        }
        return AdapterHealth(any(health.can_run for health in found.values()), found)

    async def shutdown(self) -> None:
        """Take no more tasks through this door. The App closes the adapter itself, which others may still use."""
        self._open = False

    def _targets(self) -> set[str]:
        standings = self._app.orchestrator.standings()
        return {standing.target.name for standing in standings if standing.target.adapter == self.name}
