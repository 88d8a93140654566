"""Names: which task types, targets, adapters, budgets and labels are known, and the refusal of one that is not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from mahavishnu.errors import Contained, RecordUnreadable, UnknownName, nearest_name
from mahavishnu.model import ANY, Snapshot, Target
from mahavishnu.model.aside import rows_of
from mahavishnu.plugins import available_adapters, load_adapter, make
from mahavishnu.ports import ExecutionQuery, Store
from mahavishnu.settings import Settings

RECENT = 1_000
"""Decisions that are looked through for what a name may be a slip of."""


class Kind(StrEnum):
    TASK_TYPE = "task type"
    TARGET = "target"
    ADAPTER = "adapter"
    BUDGET = "budget"
    LABEL = "label"


_SEE = {
    Kind.TASK_TYPE: "mahavishnu targets list",
    Kind.TARGET: "mahavishnu targets list",
    Kind.ADAPTER: "mahavishnu doctor",
    Kind.BUDGET: "mahavishnu budgets list",
    Kind.LABEL: "mahavishnu decisions --json",
}

Given = Iterable[tuple[Kind, str | None]]
"""The names that a command was given, each with what it is to name; None where an option was not given."""


async def check_known(
    store: Store, settings: Settings, given: Given, *, targets: Iterable[Target] = (), forcible: bool = False
) -> None:
    """Raises UnknownName for the first name that nothing carries.

    A name is known that the configuration, the store or an adapter declares, and one that is in what was recorded or
    published. `targets` are those that the caller knows of besides. What costs most is asked last, and only for a name
    that nothing else knows: the rows of old days, and the modules of the adapters.
    """
    wanted = [(kind, name) for kind, name in given if name is not None]
    names = _Names()
    names.add_targets(targets)
    for add in (_declared, _recorded, _from_adapters):
        wanted = [(kind, name) for kind, name in wanted if name not in names.of[kind]]
        if not wanted:
            return
        await add(names, store, settings, wanted)
    for kind, name in wanted:
        if name not in names.of[kind]:
            nearest = nearest_name(name, names.of[kind])
            raise UnknownName(kind=kind.value, name=name, nearest=nearest, see=_SEE[kind], forcible=forcible)


async def check_decision(store: Store, decision_id: str | None) -> None:
    """Raises UnknownName for an id that no decision has."""
    if decision_id is not None and await store.decision(decision_id) is None:
        raise UnknownName(kind="decision", name=decision_id, see="mahavishnu decisions")


@dataclass(slots=True)
class _Names:
    of: dict[Kind, set[str]] = field(default_factory=lambda: {kind: set() for kind in Kind})

    def add(self, kind: Kind, *names: str | None) -> None:
        self.of[kind].update(name for name in names if name is not None)

    def add_targets(self, targets: Iterable[Target]) -> None:
        """A target that takes every task type makes none of them known: it would take a misspelt one, too."""
        for target in targets:
            self.add(Kind.TARGET, target.name)
            self.add(Kind.ADAPTER, target.adapter)
            self.add(Kind.TASK_TYPE, *(target.task_types - {ANY}))


Wanted = Iterable[tuple[Kind, str]]


async def _declared(names: _Names, store: Store, settings: Settings, wanted: Wanted) -> None:
    """What the configuration and the store declare, and what was published."""
    del wanted
    names.add(Kind.ADAPTER, *available_adapters())
    names.add_targets([*settings.targets.values(), *await store.targets()])
    for balance in await store.balances(0):
        budget = balance.budget
        names.add(Kind.BUDGET, budget.name)
        names.add(Kind.TASK_TYPE, budget.task_type)
        names.add(Kind.TARGET, budget.target)
        names.add(Kind.ADAPTER, budget.adapter)
        names.add(Kind.LABEL, *budget.tags)
    for run in await store.experiments():
        names.add(Kind.TASK_TYPE, *(run.experiment.task_types - {ANY}))
    try:
        _published(names, await store.latest())
    except RecordUnreadable:
        # Whatever reads the snapshot itself says so; here its names are missing, and the records have most of them.
        return


def _published(names: _Names, snapshot: Snapshot) -> None:
    for target, task_type in snapshot.scorecards:
        names.add(Kind.TARGET, target)
        names.add(Kind.TASK_TYPE, task_type)
    names.add(Kind.TASK_TYPE, *snapshot.orders, *snapshot.strategies, *snapshot.frontiers)
    for row in rows_of(snapshot.put_aside):
        names.add(Kind.TARGET, row.target)
        names.add(Kind.TASK_TYPE, row.task_type)


async def _recorded(names: _Names, store: Store, settings: Settings, wanted: Wanted) -> None:
    """The names of recent decisions and of the days that are kept, and those that are asked for, however old."""
    del settings
    for decision in await store.decisions(RECENT):
        names.add(Kind.TASK_TYPE, decision.task.type)
        names.add(Kind.TARGET, *(considered.target for considered in decision.considered))
        names.add(Kind.LABEL, *decision.task.tags)
    for daily in (await store.dailies())[1]:
        names.add(Kind.TASK_TYPE, daily.card.task_type)
        names.add(Kind.TARGET, daily.card.target)
    for kind, name in wanted:
        if name not in names.of[kind] and await _is_recorded(store, kind, name):
            names.add(kind, name)


async def _is_recorded(store: Store, kind: Kind, name: str) -> bool:
    match kind:
        case Kind.TASK_TYPE:
            query = ExecutionQuery(last=1, task_type=name)
            return bool(await store.decisions(1, name) or await store.executions(query))
        case Kind.TARGET:
            return bool(await store.executions(ExecutionQuery(last=1, target=name)))
        case Kind.LABEL:
            dimension = f"tag:{name}"
            return any(cost.by[dimension] for cost in await store.costs([dimension], 0))
        case Kind.ADAPTER | Kind.BUDGET:
            return False


async def _from_adapters(names: _Names, store: Store, settings: Settings, wanted: Wanted) -> None:
    """The targets that adapters declare themselves, such as the functions of a module. One that fails declares none."""
    del store
    if not any(kind in (Kind.TASK_TYPE, Kind.TARGET) for kind, _ in wanted):
        return
    for name in sorted({"local", *settings.adapters}):
        failed = Contained()
        with failed:
            adapter = make(load_adapter(name), settings.adapters.get(name, {}), where=f"[adapters.{name}]")
            try:
                names.add_targets(adapter.targets())
            finally:
                await adapter.close()
            continue
        if isinstance(failed.failure, KeyboardInterrupt | asyncio.CancelledError):
            raise failed.failure
