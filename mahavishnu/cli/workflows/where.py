"""Where a workflow runs: here, or on the workers of an engine, named as ADAPTER/POOL."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mahavishnu.cli.common.arguments import bad
from mahavishnu.cli.common.flags import Flags
from mahavishnu.cli.common.printing import note
from mahavishnu.model import HealthStatus
from mahavishnu.model.workflow import Workflow
from mahavishnu.model.workflow_run import HERE, WorkflowReport

if TYPE_CHECKING:
    from mahavishnu.app import App
    from mahavishnu.engine.workflows.hosting import Host
    from mahavishnu.engine.workflows.progress import Progress
    from mahavishnu.ports import Adapter

USUAL_POOL = "mahavishnu"


@dataclass(frozen=True, slots=True)
class Place:
    """What --on names. `pool` is empty for this process; `folder` is where the workers work, if not here."""

    name: str
    pool: str = ""
    folder: Path | None = None

    @property
    def is_here(self) -> bool:
        return not self.pool

    @property
    def adapters(self) -> tuple[str, ...]:
        return () if self.is_here else (self.name,)


def place_of(on: str, folder: Path | None) -> Place:
    """Raises a usage error for what names no place."""
    name, slash, pool = on.partition("/")
    if not name or (slash and not pool):
        raise bad(
            "--on", f'must be an adapter, or an adapter and its work pool such as prefect/{USUAL_POOL}, not "{on}"'
        )
    if name == HERE and not slash:
        if folder is not None:
            raise bad("--folder", "is where workers work; name them with --on")
        return Place(HERE)
    return Place(name, pool or USUAL_POOL, folder)


async def hand_over_and_follow(
    app: App,
    flags: Flags,
    place: Place,
    workflow: Workflow,
    inputs: Mapping[str, Any],
    run_id: str,
    progress: Progress,
) -> WorkflowReport:
    """Begin it there, and show how it goes until it has ended."""
    from mahavishnu.engine.clock import SystemClock
    from mahavishnu.engine.workflows.hosting import follow, hand_over

    clock = SystemClock()
    host = _host(app, flags, place)
    handed = await hand_over(app.workflows, host, clock, workflow, inputs, run_id)
    health = await host.adapter.health(handed.ref.target)
    if health.status is not HealthStatus.HEALTHY:
        note(health.detail)
    flags.if_stopped = f"the run goes on at {host.place}; to stop it: mahavishnu workflow cancel {run_id}"
    return await follow(app.workflows, host, clock, handed, progress)


def _host(app: App, flags: Flags, place: Place) -> Host:
    from mahavishnu.engine.workflows.hosting import Host
    from mahavishnu.ports import HostsWorkflows
    from mahavishnu.settings import find_config, without_password
    from mahavishnu.storage.sql.connection.address import wherever

    adapter = app.adapters.get(place.name) or _missing(app, place.name)
    if not isinstance(adapter, HostsWorkflows):
        raise bad("--on", f'the adapter "{place.name}" cannot carry out workflows')
    url = app.settings.store.url
    if url.startswith("memory:"):
        raise bad("--on", "the workers could not see a store in memory; name another one with --store")
    config = find_config(flags.config, os.environ) if place.folder is None else None
    return Host(
        name=place.name,
        adapter=adapter,
        engine=adapter,
        pool=place.pool,
        folder=str(place.folder or Path.cwd()),
        store_url=without_password(wherever(url)),
        config=str(config.absolute()) if config else None,
    )


def _missing(app: App, name: str) -> Adapter:
    """Raises whatever kept the adapter from being loaded."""
    from mahavishnu.plugins import load_adapter, make

    return make(load_adapter(name), app.settings.adapters.get(name, {}), where=f"[adapters.{name}]")
