"""What the shell offers when a name is half typed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import typer

from mahavishnu.cli.common.amounts import PERIODS
from mahavishnu.cli.common.flags import flags_of, store_is_missing
from mahavishnu.errors import MahavishnuError
from mahavishnu.model import ANY, Target
from mahavishnu.model.objective import ALIASES, OBJECTIVES

if TYPE_CHECKING:
    from mahavishnu.ports import Store
    from mahavishnu.settings import Settings

T = TypeVar("T")


def target_names(ctx: typer.Context, incomplete: str) -> list[str]:
    return sorted(each.name for each in _targets(ctx) if each.name.startswith(incomplete))


def task_types(ctx: typer.Context, incomplete: str) -> list[str]:
    known = {word for each in _targets(ctx) for word in each.task_types} - {ANY}
    return sorted(word for word in known if word.startswith(incomplete))


def budget_names(ctx: typer.Context, incomplete: str) -> list[str]:
    return sorted(name for name in _budgets(ctx) if name.startswith(incomplete))


def experiment_names(ctx: typer.Context, incomplete: str) -> list[str]:
    return sorted(name for name in _experiments(ctx) if name.startswith(incomplete))


def periods(incomplete: str) -> list[str]:
    return [word for word in PERIODS if word.startswith(incomplete)]


def objectives(incomplete: str) -> list[str]:
    return [word for word in (*OBJECTIVES, *ALIASES) if word.startswith(incomplete)]


def _targets(ctx: typer.Context) -> Sequence[Target]:
    """Nothing where anything is wrong: whoever presses a key did not ask to be told."""
    try:
        settings = flags_of(ctx).settings()
        stored = asyncio.run(_asked(settings, lambda store: store.targets()))
    except MahavishnuError:
        return ()
    return [*settings.targets.values(), *stored]


def _budgets(ctx: typer.Context) -> Sequence[str]:
    try:
        balances = asyncio.run(_asked(flags_of(ctx).settings(), lambda store: store.balances(0)))
    except MahavishnuError:
        return ()
    return [each.budget.name for each in balances]


def _experiments(ctx: typer.Context) -> Sequence[str]:
    try:
        runs = asyncio.run(_asked(flags_of(ctx).settings(), lambda store: store.experiments()))
    except MahavishnuError:
        return ()
    return [each.name for each in runs]


async def _asked(settings: Settings, question: Callable[[Store], Awaitable[Sequence[T]]]) -> Sequence[T]:
    from mahavishnu.app import make_store

    if store_is_missing(settings):
        return ()
    store = make_store(settings)
    await store.open()
    try:
        return await question(store)
    finally:
        await store.close()
