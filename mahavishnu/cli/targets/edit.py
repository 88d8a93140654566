"""mahavishnu targets edit: another price, limit or address for a target that keeps its evidence."""

from __future__ import annotations

import os
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mahavishnu.cli.common.arguments import bad, json_object
from mahavishnu.cli.common.arguments import pairs as pairs_of
from mahavishnu.cli.common.flags import Flags, Json, flags_of, with_app
from mahavishnu.cli.common.printing import emit, prose, waiting
from mahavishnu.cli.common.shapes import standing_shape
from mahavishnu.cli.targets.table import Change, changes_between, table_of
from mahavishnu.cli.targets.targets import Name, check_usable, standing_of, target_of
from mahavishnu.errors import InvalidTarget, TargetIsEditedInFile
from mahavishnu.model import Target

if TYPE_CHECKING:
    from mahavishnu.app import App
    from mahavishnu.engine.routing.roster import Standing

NONE = "none"
"""What is typed to take a value away."""

_MAY_GO = ("timeout_ms", "max_concurrent", "max_cost_usd")
_WHOLE = ("timeout_ms", "max_concurrent")


def edit(
    ctx: typer.Context,
    name: Name,
    run: Annotated[str | None, typer.Option(help="What the target runs, such as package.module:function.")] = None,
    task_type: Annotated[
        list[str] | None, typer.Option(help="A task type that it takes, in place of all before. Repeatable.")
    ] = None,
    adapter: Annotated[str | None, typer.Option(help="The adapter that runs it.")] = None,
    capability: Annotated[
        list[str] | None, typer.Option(help="A capability of the target, in place of all before. Repeatable.")
    ] = None,
    cost_per_run: Annotated[str | None, typer.Option(metavar="USD", help="Price of a run in dollars.")] = None,
    cost: Annotated[
        list[str] | None,
        typer.Option(metavar="RATE=USD", help="A rate, such as per_output_token_usd=0.0000006; 0 ends it. Repeatable."),
    ] = None,
    deployment: Annotated[str | None, typer.Option(help='Where it runs, "local" or "cloud".')] = None,
    timeout_ms: Annotated[
        str | None, typer.Option("--timeout-ms", metavar="N", help="Time limit for one attempt on this target.")
    ] = None,
    max_concurrent: Annotated[
        str | None,
        typer.Option("--max-concurrent", metavar="N", help="How many runs of it one process may have in progress."),
    ] = None,
    max_cost_usd: Annotated[
        str | None, typer.Option("--max-cost-usd", metavar="USD", help="The most that one run can cost.")
    ] = None,
    options: Annotated[
        str | None, typer.Option(metavar="JSON", help="Options for its adapter, in place of all before.")
    ] = None,
    no_check: Annotated[bool, typer.Option("--no-check", help="Change it even if it cannot run then.")] = False,
    as_json: Json = False,
) -> None:
    """Change a target of the store in place. What is not given stays as it was, and so does its evidence.

    The word "none" removes a limit or all capabilities. Decisions and executions
    that were recorded keep the price that they had.

    Example: mahavishnu targets edit shout --cost-per-run 0.003 --timeout-ms 500
    """
    typed: dict[str, Any] = {
        "run": run,
        "task_types": task_type or None,
        "adapter": adapter,
        "capabilities": capability or None,
        "cost_per_run": cost_per_run,
        "cost": pairs_of(cost, "--cost") or None,
        "deployment": deployment,
        "timeout_ms": timeout_ms,
        "max_concurrent": max_concurrent,
        "max_cost_usd": max_cost_usd,
        "options": None if options is None else json_object(options, "--options"),
    }
    given = {field: _read(field, value) for field, value in typed.items() if value is not None}
    if not given:
        raise bad("OPTIONS", "there is nothing to change; give at least one option, such as --cost-per-run 0.003")

    async def act(app: App) -> tuple[Standing, list[Change]]:
        before = await _stored(app, name, flags_of(ctx))
        after = _edited(before, given)
        changes = changes_between(before, after)
        if changes:
            await check_usable(app, after, health=not no_check)
            await app.orchestrator.put_targets([after], {name: before})
        return standing_of(app, name), changes

    with waiting("Looking whether it can run …"):
        standing, changes = with_app(ctx, act, adapters=[adapter] if adapter else [])
    if as_json:
        emit({**standing_shape(standing), "changes": [change.shape for change in changes]})
    elif changes:
        prose(f"Changed {name}: {', '.join(map(str, changes))}.")
    else:
        prose(f"Nothing to change: {name} already has these values.")


def _read(field: str, typed: Any) -> Any:
    if field in _MAY_GO and typed == NONE:
        return None
    if field == "capabilities" and typed == [NONE]:
        return []
    if field in _WHOLE:
        if not typed.isdecimal():
            raise bad(f"--{field.replace('_', '-')}", f'must be a whole number, or "{NONE}", not {typed:.40}')
        return int(typed)
    return typed


async def _stored(app: App, name: str, flags: Flags) -> Target:
    """The target as the store has it. Raises where there is none, or where it is not the store's."""
    from mahavishnu.engine.routing.roster import CONFIGURATION
    from mahavishnu.settings import find_config

    source = standing_of(app, name).source
    if source == CONFIGURATION:
        file = find_config(flags.config, os.environ)
        raise TargetIsEditedInFile(target=name, where=str(file or "the settings"))
    stored = next((target for target in await app.store.targets() if target.name == name), None)
    if stored is None:
        raise InvalidTarget(target=name, field="registration", problem="is made in code; change it there")
    return stored


def _edited(before: Target, given: dict[str, Any]) -> Target:
    was = table_of(before)
    rates = {**was["cost"], **given.get("cost", {})}
    table = {**was, **given, "cost": rates}
    return replace(target_of(before.name, _with_texts(table)), place=before.place)


def _with_texts(table: dict[str, Any]) -> dict[str, Any]:
    """Amounts as a file says them."""
    amounts = {key: f"{value:f}" for key, value in table.items() if isinstance(value, Decimal)}
    rates = {name: f"{rate:f}" if isinstance(rate, Decimal) else rate for name, rate in table["cost"].items()}
    if isinstance(runs := rates.get("monthly_runs"), str) and runs.isdecimal():
        rates["monthly_runs"] = int(runs)
    return {**table, **amounts, "cost": rates}
