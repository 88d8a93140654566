"""mahavishnu decisions and executions: what happened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mahavishnu.cli.common.columns import DECISIONS, EXECUTIONS
from mahavishnu.cli.common.completion import target_names, task_types
from mahavishnu.cli.common.filters import Filters
from mahavishnu.cli.common.flags import Json, Wide, flags_of, with_store
from mahavishnu.cli.common.ids import OfDecision
from mahavishnu.cli.common.layout import options_of
from mahavishnu.cli.common.printing import emit
from mahavishnu.cli.common.shapes import decision_shape, execution_shape
from mahavishnu.cli.common.times import read_between
from mahavishnu.model import Decision, Execution, Status
from mahavishnu.ports import EVER, Between, ExecutionQuery

if TYPE_CHECKING:
    from mahavishnu.ports import Store

Last = Annotated[int, typer.Option(min=1, max=1_000_000, help="How many to show, the newest first.")]
OfType = Annotated[str | None, typer.Option("--task-type", "-t", help="Only these.", autocompletion=task_types)]
OfTarget = Annotated[str | None, typer.Option("--target", help="Only its.", autocompletion=target_names)]


@options_of(read_between, "within")
def decisions(
    ctx: typer.Context,
    within: Between,
    last: Last = 20,
    task_type: OfType = None,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """List decisions, the newest first, with the reason for each.

    Example: mahavishnu decisions --since 2h --last 5
    """
    filters = Filters(task_type=task_type)
    settings = flags_of(ctx).settings()

    async def look(store: Store) -> Sequence[Decision]:
        found = await store.decisions(last, task_type, within)
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
    DECISIONS.show(rows, empty=f"No decision{filters} {_when(within)}.", wide=wide)


@options_of(read_between, "within")
def executions(
    ctx: typer.Context,
    within: Between,
    last: Last = 20,
    target: OfTarget = None,
    task_type: OfType = None,
    status: Annotated[Status | None, typer.Option(help="Only executions with this status.")] = None,
    decision: OfDecision = None,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """List executions, the newest first, and how each one ended.

    --since and --until are about when they started.

    Example: mahavishnu executions --status failed --last 5
    """
    query = ExecutionQuery(
        last=last, decision_id=decision, target=target, task_type=task_type, status=status, within=within
    )
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
    EXECUTIONS.show_shapes(shapes, empty=f"No execution{filters} {_when(within)}.", wide=wide)


def _when(within: Between) -> str:
    return "yet" if within == EVER else "in that time"
