"""mahavishnu decisions, executions and routing stats: what happened, and what is known from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mahavishnu.cli.completion import target_names, task_types
from mahavishnu.cli.flags import Config, Debug, Json, StoreUrl, with_app, with_store
from mahavishnu.cli.printing import emit, table
from mahavishnu.cli.shapes import Shape, decision_shape, execution_shape, stat_shape
from mahavishnu.model import Status
from mahavishnu.ports import ExecutionQuery

if TYPE_CHECKING:
    from mahavishnu.app import App

routing = typer.Typer(help="What routing has learnt.", rich_markup_mode="rich")

Last = Annotated[int, typer.Option(min=1, max=1_000_000, help="How many, the newest first.")]
OfType = Annotated[str | None, typer.Option("--task-type", "-t", help="Only these.", autocompletion=task_types)]
OfTarget = Annotated[str | None, typer.Option("--target", help="Only its.", autocompletion=target_names)]


def decisions(
    ctx: typer.Context,
    last: Last = 20,
    task_type: OfType = None,
    as_json: Json = False,
    _config: Config = None,
    _store: StoreUrl = None,
    _debug: Debug = False,
) -> None:
    """The decisions that were made, and why.

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
    table(("at", "decision_id", "task_type", "selected", "probability", "reason"), rows, empty="No decision yet.")


def executions(
    ctx: typer.Context,
    last: Last = 20,
    target: OfTarget = None,
    task_type: OfType = None,
    status: Annotated[Status | None, typer.Option(help="Only those that ended so.")] = None,
    decision: Annotated[str | None, typer.Option(metavar="DECISION_ID", help="Only its attempts.")] = None,
    as_json: Json = False,
    _config: Config = None,
    _store: StoreUrl = None,
    _debug: Debug = False,
) -> None:
    """The attempts that were made, and how each one ended.

    Example: mahavishnu executions --status failed --last 5
    """
    query = ExecutionQuery(last=last, decision_id=decision, target=target, task_type=task_type, status=status)
    shapes = [execution_shape(each) for each in with_store(ctx, lambda store: store.executions(query))]
    if as_json:
        emit(shapes)
        return
    columns = (
        "started_at",
        "execution_id",
        "task_type",
        "target",
        "attempt",
        "status",
        "latency_ms",
        "cost_usd",
        "error",
    )
    table(columns, [[each[column] for column in columns] for each in shapes], empty="No execution yet.")


@routing.callback()
def _routing() -> None:
    """Keeps `stats` a command of its own: typer folds a group of one into its parent."""


@routing.command()
def stats(
    ctx: typer.Context,
    task_type: OfType = None,
    target: OfTarget = None,
    as_json: Json = False,
    _config: Config = None,
    _store: StoreUrl = None,
    _debug: Debug = False,
) -> None:
    """What is known of every target, for every task type.

    Example: mahavishnu routing stats --task-type summarise --json
    """

    async def look(app: App) -> list[Shape]:
        return [stat_shape(each) for each in app.orchestrator.stats(task_type, target)]

    shapes = with_app(ctx, look)
    if as_json:
        emit(shapes)
        return
    columns = (
        "task_type", "target", "n", "successes", "rate", "wilson_lo", "wilson_hi", "p50_ms", "p95_ms", "p99_ms",
        "mean_cost_usd", "score", "trusted",
    )  # fmt: skip
    table(columns, [[each[column] for column in columns] for each in shapes], empty="Nothing has been run yet.")
