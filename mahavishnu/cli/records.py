"""mahavishnu decisions and executions: what happened."""

from __future__ import annotations

from typing import Annotated

import typer

from mahavishnu.cli.columns import DECISIONS, EXECUTIONS
from mahavishnu.cli.completion import target_names, task_types
from mahavishnu.cli.flags import Json, Wide, with_store
from mahavishnu.cli.ids import OfDecision
from mahavishnu.cli.printing import emit
from mahavishnu.cli.shapes import decision_shape, execution_shape
from mahavishnu.model import Status
from mahavishnu.ports import ExecutionQuery

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
    found = with_store(ctx, lambda store: store.decisions(last, task_type))
    shapes = [decision_shape(each) for each in found]
    if as_json:
        emit(shapes)
        return
    rows = [
        (each["at"], each["decision_id"], each["task"]["type"], each["selected"], each["probability"], each["reason"])
        for each in shapes
    ]
    DECISIONS.show(rows, empty="No decision yet.", wide=wide)


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
    shapes = [execution_shape(each) for each in with_store(ctx, lambda store: store.executions(query))]
    if as_json:
        emit(shapes)
        return
    EXECUTIONS.show_shapes(shapes, empty="No execution yet.", wide=wide)
