"""Strategies: what the choices for a task type are to be good at, published like everything that choices go by."""

from __future__ import annotations

from dataclasses import replace

from mahavishnu.jobs.publishing import Published, change
from mahavishnu.model import Snapshot
from mahavishnu.model.objective import Objective
from mahavishnu.ports import Clock, Store

LONG_AGO = 10_000
"""Snapshots that are looked through for the strategy of before."""


async def set_strategy(store: Store, clock: Clock, task_type: str, objective: Objective | None) -> Published:
    """Publish it; None goes back to what the policy itself weighs. Every process goes by it within two seconds."""
    return await change(store, lambda before: _with(before, clock, task_type, objective))


async def undo_strategy(store: Store, clock: Clock, task_type: str) -> Published:
    """Publish the strategy that was there before the one that is."""
    newest = await store.latest()
    current = newest.strategies.get(task_type)
    for earlier in await store.snapshots(LONG_AGO):
        if earlier.strategies.get(task_type) != current:
            return await set_strategy(store, clock, task_type, earlier.strategies.get(task_type))
    return await set_strategy(store, clock, task_type, None)


def _with(before: Snapshot, clock: Clock, task_type: str, objective: Objective | None) -> Snapshot:
    was = before.strategies.get(task_type)
    if was == objective:
        return before
    strategies = {kind: each for kind, each in before.strategies.items() if kind != task_type}
    if objective is not None:
        strategies[task_type] = objective
    return replace(
        before,
        version=before.version + 1,
        published_at_us=clock.now_us(),
        strategies=strategies,
        notes=(f"{task_type}: strategy {_named(objective)} instead of {_named(was)}",),
    )


def _named(objective: Objective | None) -> str:
    return "the policy's own" if objective is None else str(objective)
