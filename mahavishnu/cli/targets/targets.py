"""mahavishnu targets: what tasks can be sent to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mahavishnu.cli.common.arguments import json_object
from mahavishnu.cli.common.arguments import pairs as pairs_of
from mahavishnu.cli.common.columns import TARGET_STATS, TARGETS
from mahavishnu.cli.common.completion import target_names
from mahavishnu.cli.common.flags import Json, Wide, with_app
from mahavishnu.cli.common.layout import Group
from mahavishnu.cli.common.printing import emit, line, pairs, prose, waiting
from mahavishnu.cli.common.shapes import Shape, standing_shape, stat_shape
from mahavishnu.errors import ADD_A_TARGET, InvalidTarget, UnknownName, nearest_name
from mahavishnu.model import Target
from mahavishnu.model.unreadable import Unreadable

if TYPE_CHECKING:
    from mahavishnu.app import App
    from mahavishnu.engine.routing.roster import Standing

NO_TARGET_YET = f"There is no target yet; add one: {ADD_A_TARGET}"

group = Group(help="Manage targets, which are what tasks can be sent to.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The target.", autocompletion=target_names)]


@group.command()
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the target: one word.")],
    run: Annotated[str, typer.Option(help="What the target runs, such as package.module:function.")],
    task_type: Annotated[list[str], typer.Option(help='A task type that it takes; "*" means every type. Repeatable.')],
    adapter: Annotated[str, typer.Option(help="The adapter that runs it.")] = "local",
    capability: Annotated[list[str] | None, typer.Option(help="A capability of the target. Repeatable.")] = None,
    cost_per_run: Annotated[
        str, typer.Option(help="Price of a run in dollars, where the target does not report what the run cost.")
    ] = "0",
    cost: Annotated[
        list[str] | None,
        typer.Option(metavar="RATE=USD", help="Another rate, such as per_output_token_usd=0.0000006. Repeatable."),
    ] = None,
    deployment: Annotated[
        str, typer.Option(help='Where it runs, "local" or "cloud". Determines the price where no rate is given.')
    ] = "local",
    timeout_ms: Annotated[int | None, typer.Option(help="Time limit for one attempt on this target.")] = None,
    max_concurrent: Annotated[
        int | None, typer.Option(help="How many runs of it one process may have in progress at once.")
    ] = None,
    max_cost_usd: Annotated[
        str | None, typer.Option(metavar="USD", help="The most that one run can cost. A budget reserves this amount.")
    ] = None,
    options: Annotated[str | None, typer.Option(metavar="JSON", help="Options for its adapter.")] = None,
    no_check: Annotated[bool, typer.Option("--no-check", help="Add the target even if it cannot run now.")] = False,
    as_json: Json = False,
) -> None:
    """Add a target to the store.

    Example: mahavishnu targets add shout --run mypackage.text:shout --task-type shout --cost-per-run 0.002
    """
    target = target_of(
        name,
        {
            "adapter": adapter,
            "run": run,
            "task_types": task_type,
            "capabilities": capability or [],
            "cost_per_run": cost_per_run,
            "cost": pairs_of(cost, "--cost"),
            "deployment": deployment,
            "timeout_ms": timeout_ms,
            "max_concurrent": max_concurrent,
            "max_cost_usd": max_cost_usd,
            "options": json_object(options, "--options"),
        },
    )
    with waiting("Looking whether it can run …"):
        added = with_app(ctx, lambda app: _add(app, target, check=not no_check), adapters=[adapter])
    if as_json:
        emit(standing_shape(added))
    else:
        prose(f"Added {name}.")


def target_of(name: str, given: Mapping[str, Any]) -> Target:
    """The target of a table, as the configuration file has it. Raises InvalidTarget."""
    from pydantic import ValidationError

    from mahavishnu.settings import TargetTable, told

    try:
        return TargetTable.model_validate(given).target(name)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidTarget(target=name, field=str(first["loc"][0]), problem=told(first, first["input"])) from None


async def _add(app: App, target: Target, *, check: bool) -> Standing:
    await check_usable(app, target, health=check)
    await app.orchestrator.add_target(target)
    return standing_of(app, target.name)


async def check_usable(app: App, target: Target, *, health: bool) -> None:
    """Raises where its adapter cannot be loaded, and, with `health`, where the target cannot run now."""
    adapter = app.adapters.get(target.adapter)
    if adapter is None:
        from mahavishnu.plugins import load_adapter

        # Says whether it is unknown, missing an extra, or broken.
        load_adapter(target.adapter)
    elif health:
        found = await adapter.health(target)
        if not found.can_run:
            why = found.detail.rstrip(".")
            problem = f"cannot be used ({why}); mend that, or do it all the same with --no-check"
            raise InvalidTarget(target=target.name, field="run", problem=problem)


def standing_of(app: App, name: str) -> Standing:
    """Raises UnknownName, with the nearest name there is."""
    standings = app.orchestrator.standings()
    found = next((each for each in standings if each.target.name == name), None)
    if found is None and not standings:
        raise UnknownName(kind="target", name=name, see=ADD_A_TARGET)
    if found is None:
        near = nearest_name(name, [each.target.name for each in standings])
        raise UnknownName(kind="target", name=name, nearest=near, see="mahavishnu targets list")
    return found


@group.command("list")
def list_all(
    ctx: typer.Context,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """List all targets in their default order, with their present health.

    Example: mahavishnu targets list --json
    """

    async def look(app: App) -> list[Shape]:
        await app.orchestrator.check_health()
        shapes = [standing_shape(each) for each in app.orchestrator.standings()]
        return shapes + [_unreadable_shape(row) for row in app.orchestrator.unreadable() if row.kind == "target"]

    with waiting("Asking the targets how they are …"):
        shapes = with_app(ctx, look, make=False)
    if as_json:
        emit(shapes)
        return
    TARGETS.show_shapes(shapes, empty=NO_TARGET_YET, wide=wide)


def _unreadable_shape(row: Unreadable) -> Shape:
    """A row that this version cannot read, in the place of a target."""
    unknown = dict.fromkeys(("adapter", "run", "task_types", "breaker"))
    return {
        "name": row.name,
        **unknown,
        "enabled": False,
        "source": "store",
        "health": "unreadable",
        "detail": str(row),
        "put_aside": [],
    }


@group.command()
def show(
    ctx: typer.Context,
    name: Name,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """Show one target: its settings, its present health, and its statistics.

    Example: mahavishnu targets show shout
    """

    async def look(app: App) -> Shape:
        standing_of(app, name)
        await app.orchestrator.check_health()
        stats = [stat_shape(each) for each in app.orchestrator.stats(target=name)]
        return {**standing_shape(standing_of(app, name)), "stats": stats}

    with waiting("Asking the target how it is …"):
        shape = with_app(ctx, look, make=False)
    if as_json:
        emit(shape)
        return
    # The sentences of what is put aside are in the detail already.
    pairs([(key, value) for key, value in shape.items() if key not in ("stats", "put_aside")])
    line()
    TARGET_STATS.show_shapes(shape["stats"], empty="It has not been run yet.", wide=wide)


@group.command()
def enable(
    ctx: typer.Context,
    name: Name,
    as_json: Json = False,
) -> None:
    """Let a target be chosen again.

    Example: mahavishnu targets enable shout
    """
    with_app(ctx, lambda app: app.orchestrator.switch_target(name, enabled=True))
    if as_json:
        emit({"target": name, "enabled": True})
    else:
        prose(f"Enabled {name}.")


@group.command()
def disable(
    ctx: typer.Context,
    name: Name,
    as_json: Json = False,
) -> None:
    """Stop choosing a target until it is enabled again.

    Example: mahavishnu targets disable shout
    """
    with_app(ctx, lambda app: app.orchestrator.switch_target(name, enabled=False))
    if as_json:
        emit({"target": name, "enabled": False})
    else:
        prose(f"Disabled {name}.")


@group.command()
def remove(
    ctx: typer.Context,
    name: Name,
    as_json: Json = False,
) -> None:
    """Remove a target from the store. Its history stays.

    Example: mahavishnu targets remove shout
    """
    with_app(ctx, lambda app: app.orchestrator.remove_target(name))
    if as_json:
        emit({"target": name, "removed": True})
    else:
        prose(f"Removed {name}.")
