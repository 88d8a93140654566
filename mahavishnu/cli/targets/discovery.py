"""mahavishnu targets discover and check: what the engines have, and how what is known of them is."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from mahavishnu.cli.common import answer
from mahavishnu.cli.common.arguments import bad
from mahavishnu.cli.common.columns import CHECKED_TARGETS, FOUND_TARGETS
from mahavishnu.cli.common.completion import target_names
from mahavishnu.cli.common.exits import FAILED, end_badly
from mahavishnu.cli.common.flags import Json, Wide, with_app
from mahavishnu.cli.common.printing import emit, note, prose, waiting
from mahavishnu.cli.common.shapes import Shape
from mahavishnu.cli.targets.health_hints import mend_of
from mahavishnu.cli.targets.targets import NO_TARGET_YET, standing_of
from mahavishnu.errors import AdapterError, MahavishnuError, PluginMissing
from mahavishnu.model import ANY, BROKEN, Target
from mahavishnu.ports import Discovers
from mahavishnu.redaction import redacted

if TYPE_CHECKING:
    from mahavishnu.app import App
    from mahavishnu.engine.routing.roster import Standing

ANSWERS_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What one engine said it has, or why it said nothing."""

    adapter: str
    targets: Sequence[Target] = ()
    problem: str | None = None


# -- discover ----------------------------------------------------------------------------------------------------------


def discover(
    ctx: typer.Context,
    adapter: Annotated[str | None, typer.Option(help="Ask the engine of this adapter only.")] = None,
    add: Annotated[bool, typer.Option("--add", "--yes", help="Add new targets without asking.")] = False,
    task_type: Annotated[
        list[str] | None,
        typer.Option(
            help="What the new targets take. Without it, what their engine says, or else the target's own name. "
            "Repeatable."
        ),
    ] = None,
    include_broken: Annotated[
        bool, typer.Option("--include-broken", help="Also show what the engine marks as broken on purpose.")
    ] = False,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """Ask each engine what it can run, and offer to add what is not a target yet.

    A new target never takes every task type unless you ask for it with --task-type "*".

    Example: mahavishnu targets discover --adapter prefect --add
    """
    names = _adapters(adapter)
    with waiting("Asking the engines what they have …"):
        answers, known = with_app(ctx, lambda app: _asked(app, names, adapter), adapters=names, make=False)
    offered = [target for answer in answers for target in answer.targets]
    named = _named(offered if include_broken else without_broken(offered), known)
    new = typed(named, task_type or ())
    if add:
        _add(ctx, new, names)
    troubles = [_trouble(each.adapter, each.problem) for each in answers if each.problem is not None]
    shapes = [_shape(each, "added" if add else "new") for each in new] + troubles
    if as_json:
        emit(shapes)
    else:
        _show(shapes, wide=wide)
    if not any(each.problem is None for each in answers):
        end_badly("No engine could be asked.", code="no-engine", as_json=as_json)
    if new and not add and not as_json:
        _offer(ctx, new, names)


def _adapters(wanted: str | None) -> list[str]:
    """Raises what `load_adapter` does for one that is wanted and cannot be loaded."""
    from mahavishnu.plugins import available_adapters, load_adapter

    if wanted is None:
        return sorted(available_adapters())
    load_adapter(wanted)
    return [wanted]


async def _asked(app: App, names: Sequence[str], wanted: str | None) -> tuple[list[Answer], list[Target]]:
    known = [each.target for each in app.orchestrator.standings()]
    asking = {name: each for name, each in app.adapters.items() if name in names and isinstance(each, Discovers)}
    if wanted is not None and wanted in app.adapters and not asking:
        raise bad("--adapter", f'the adapter "{wanted}" cannot be asked what there is to run')
    absent = [_absent(app, name) for name in names if name not in app.adapters]
    answers = await asyncio.gather(*(_ask(name, adapter) for name, adapter in asking.items()))
    return [*answers, *(each for each in absent if each is not None)], known


async def _ask(name: str, adapter: Discovers) -> Answer:
    try:
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            return Answer(name, await adapter.discover())
    except TimeoutError:
        return Answer(name, problem=f"did not say what it has within {ANSWERS_WITHIN_S:.0f} s")
    except AdapterError as problem:
        return Answer(name, problem=str(problem))


def _absent(app: App, name: str) -> Answer | None:
    """Why an adapter is not there; None for one that is not installed, and that nobody set up."""
    from mahavishnu.plugins import load_adapter, make

    settings = app.settings.adapters
    try:
        make(load_adapter(name), settings.get(name, {}), where=f"[adapters.{name}]")
    except PluginMissing as missing:
        return Answer(name, problem=str(missing)) if name in settings else None
    except MahavishnuError as problem:
        return Answer(name, problem=str(problem))
    return None


def _named(found: Sequence[Target], known: Sequence[Target]) -> list[Target]:
    """Those that are no targets yet, each under a name that is still free."""
    taken = {each.name for each in known}
    new: list[Target] = []
    for target in found:
        if any(_is(target, each) for each in known):
            continue
        name = _free(target, taken)
        taken.add(name)
        new.append(replace(target, name=name))
    return new


def without_broken(offered: Sequence[Target]) -> list[Target]:
    return [target for target in offered if BROKEN not in target.capabilities]


def typed(targets: Sequence[Target], task_types: Sequence[str]) -> list[Target]:
    """Each with the task types that were asked for, or else with what its engine says, or else with its own name.

    Most engines do not know what their agents and flows are for. A target that took every task type would get tasks
    that it was never meant for.
    """
    if task_types:
        return [replace(target, task_types=frozenset(task_types)) for target in targets]
    return [replace(target, task_types=target.task_types - {ANY} or frozenset({target.name})) for target in targets]


def _is(found: Target, known: Target) -> bool:
    """The same thing, also where the address of its engine is left out."""
    if found.adapter != known.adapter:
        return False
    return found.run == known.run or (found.run.startswith("http") and found.run.endswith(f"/{known.run}"))


def _free(target: Target, taken: Iterable[str]) -> str:
    """Its own name, or one with its adapter's, or one with a number.

    >>> _free(Target(name="echo", adapter="agno", run="agents/echo", task_types={"chat"}), {"echo", "agno:echo"})
    'agno:echo-2'
    """
    if target.name not in taken:
        return target.name
    name = f"{target.adapter}:{target.name}"[:96]
    number = 1
    numbered = name
    while numbered in taken:
        number += 1
        numbered = f"{name}-{number}"
    return numbered


def _add(ctx: typer.Context, new: Sequence[Target], names: Sequence[str]) -> None:
    async def add_all(app: App) -> None:
        for target in new:
            await app.orchestrator.add_target(target)

    if new:
        with_app(ctx, add_all, adapters=names)


def _offer(ctx: typer.Context, new: Sequence[Target], names: Sequence[str]) -> None:
    """Nothing is held open while somebody thinks about it."""
    count = f"{len(new)} target{'s' if len(new) > 1 else ''}"
    if not (sys.stdin.isatty() and answer.stream().isatty()):
        note(f"To add them: mahavishnu targets discover --add ({count}).")
    elif typer.confirm(f"Add {count}?"):
        _add(ctx, new, names)
        prose(f"Added {', '.join(each.name for each in new)}.")


def _shape(target: Target, state: str) -> Shape:
    return {
        "adapter": target.adapter,
        "state": state,
        "name": target.name,
        "run": redacted(target.run),
        "task_types": sorted(target.task_types),
        "capabilities": sorted(target.capabilities),
        "detail": "",
    }


def _trouble(adapter: str, problem: str) -> Shape:
    nothing: Shape = {"name": None, "run": None, "task_types": [], "capabilities": []}
    return {"adapter": adapter, "state": "failed", **nothing, "detail": redacted(problem)}


def _show(shapes: Sequence[Shape], *, wide: bool) -> None:
    FOUND_TARGETS.show_shapes(shapes, empty="There is nothing that is not a target already.", wide=wide)


# -- check -------------------------------------------------------------------------------------------------------------


def check(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME", help="The targets to check; without a name, all of them.", autocompletion=target_names
        ),
    ] = None,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """Check the health of targets, and say how to repair those that are not healthy.

    Exits with 1 if a target cannot run that is enabled or was named.

    Example: mahavishnu targets check
    """

    async def look(app: App) -> Sequence[Standing]:
        for name in names or ():
            standing_of(app, name)
        await app.orchestrator.check_health()
        return [standing_of(app, name) for name in names] if names else app.orchestrator.standings()

    with waiting("Asking the targets how they are …"):
        standings = with_app(ctx, look, make=False)
    if as_json:
        emit([_health_shape(each) for each in standings])
    else:
        shapes = [_health_shape(each) for each in standings]
        CHECKED_TARGETS.show_shapes(shapes, empty=NO_TARGET_YET, wide=wide)
    if any(not each.health.can_run and (each.enabled or names) for each in standings):
        raise typer.Exit(FAILED)


def _health_shape(standing: Standing) -> Shape:
    target, health = standing.target, standing.health
    return {
        "target": target.name,
        "adapter": target.adapter,
        "enabled": standing.enabled,
        "status": health.status.value,
        "can_run": health.can_run,
        "detail": health.detail,
        "mend": mend_of(health, target),
    }
