"""mahavishnu status and cancel: what still runs, wherever it was begun."""

from __future__ import annotations

import typer

from mahavishnu.cli.common.exits import end_badly
from mahavishnu.cli.common.flags import Json, with_app
from mahavishnu.cli.common.ids import DecisionId, ExecutionId
from mahavishnu.cli.common.printing import emit, prose, waiting
from mahavishnu.cli.common.shapes import execution_shape


def status(
    ctx: typer.Context,
    execution_id: ExecutionId,
    as_json: Json = False,
) -> None:
    """Show what was recorded about an execution, and what its engine reports now.

    Example: mahavishnu status 01KB2Q7YV0S3J4N5P6R7T8V9WX
    """
    with waiting("Asking the engine …"):
        found = with_app(ctx, lambda app: app.orchestrator.status(execution_id), make=False)
    now = found.now.value if found.now else None
    if as_json:
        emit({**execution_shape(found.execution), "now": now})
        return
    prose(f"{found.execution.target}: recorded as {found.execution.status.value}, the engine says {now or 'nothing'}.")


def cancel(
    ctx: typer.Context,
    decision_id: DecisionId,
    as_json: Json = False,
) -> None:
    """Stop the running executions of a decision, also those that another process started.

    A run on a server is stopped there. A run inside another process can be stopped only by that process.

    Example: mahavishnu cancel 01KB2Q7YV0S3J4N5P6R7T8V9WX
    """
    with waiting("Telling the engine …"):
        told = with_app(ctx, lambda app: app.orchestrator.cancel(decision_id), make=False)
    if as_json:
        emit({"decision_id": decision_id, "told_to_stop": told})
    elif told:
        prose(f"Told decision {decision_id} to stop.")
    if not told:
        sentence = f"Nothing of decision {decision_id} could be stopped from here; see: mahavishnu status EXECUTION_ID."
        end_badly(sentence, code="not-stopped", as_json=as_json, decision_id=decision_id)
