"""mahavishnu decisions and executions: what happened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mahavishnu.cli.columns import DECISIONS, EXECUTIONS
from mahavishnu.cli.completion import target_names, task_types
from mahavishnu.cli.filters import Filters
from mahavishnu.cli.flags import Json, Wide, flags_of, with_store
from mahavishnu.cli.ids import OfDecision
from mahavishnu.cli.printing import emit
from mahavishnu.cli.shapes import decision_shape, execution_shape
from mahavishnu.model import Decision, Execution, Status
from mahavishnu.ports import ExecutionQuery

if TYPE_CHECKING:
    from mahavishnu.ports import Store

Last = Annotated[int, typer.Option(min=1, max=1_000_000, help="How many to show, the newest first.")]
OfType = Annotated[str | None, typer.Option("--task-type", "-t", help="Only these.", autocompletion=task_types)]
OfTarget = Annotated[str | None, typer.Option("--target", help="Only its.", autocompletion=target_names)]


def decisions(
    ctx: typer.Context,
    last: Last = 20,
    task_type: OfType = None,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """List decisions, the newest first, with the reason for each.

    Example: mahavishnu decisions --last 5
    """
    filters = Filters(task_type=task_type)
    settings = flags_of(ctx).settings()

    async def look(store: Store) -> Sequence[Decision]:
        found = await store.decisions(last, task_type)
        if not found:
            await filters.check(store, settings)
        return found

    shapes = [decision_shape(each) for each in with_store(ctx, look, make=False)]
    if as_json:
        emit(shapes)
        return
    rows = [
        (each["at"], each["decision_id"], each["task"]["type"], each["selected"], each["probability"], each["reason"])
        for each in shapes
    ]
    DECISIONS.show(rows, empty=f"No decision{filters} yet.", wide=wide)


def executions(
    ctx: typer.Context,
    last: Last = 20,
    target: OfTarget = None,
    task_type: OfType = None,
    status: Annotated[Status | None, typer.Option(help="Only executions with this status.")] = None,
    decision: OfDecision = None,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """List executions, the newest first, and how each one ended.

    Example: mahavishnu executions --status failed --last 5
    """
    query = ExecutionQuery(last=last, decision_id=decision, target=target, task_type=task_type, status=status)
    filters = Filters(task_type=task_type, target=target, decision_id=decision, status=status)
    settings = flags_of(ctx).settings()

    async def look(store: Store) -> Sequence[Execution]:
        found = await store.executions(query)
        if not found:
            await filters.check(store, settings)
        return found

    shapes = [execution_shape(each) for each in with_store(ctx, look, make=False)]
    if as_json:
        emit(shapes)
        return
    EXECUTIONS.show_shapes(shapes, empty=f"No execution{filters} yet.", wide=wide)
