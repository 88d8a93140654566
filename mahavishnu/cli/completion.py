"""What the shell offers when a name is half typed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mahavishnu.cli.flags import flags_of
from mahavishnu.errors import MahavishnuError
from mahavishnu.model import ANY, Target

if TYPE_CHECKING:
    from mahavishnu.settings import Settings


def target_names(ctx: typer.Context, incomplete: str) -> list[str]:
    return sorted(each.name for each in _targets(ctx) if each.name.startswith(incomplete))


def task_types(ctx: typer.Context, incomplete: str) -> list[str]:
    known = {word for each in _targets(ctx) for word in each.task_types} - {ANY}
    return sorted(word for word in known if word.startswith(incomplete))


def _targets(ctx: typer.Context) -> Sequence[Target]:
    """Nothing where anything is wrong: whoever presses a key did not ask to be told."""
    try:
        settings = flags_of(ctx).settings()
        stored = asyncio.run(_stored(settings)) if _is_there(settings.store.url) else ()
    except MahavishnuError:
        return ()
    return [*settings.targets.values(), *stored]


def _is_there(url: str) -> bool:
    """False for a file that has yet to be made: pressing a key must not make it."""
    scheme, _, place = url.partition(":///")
    return not scheme.startswith("sqlite") or Path(place).is_file()


async def _stored(settings: Settings) -> Sequence[Target]:
    from mahavishnu.app import make_store

    store = make_store(settings)
    await store.open()
    try:
        return await store.targets()
    finally:
        await store.close()
