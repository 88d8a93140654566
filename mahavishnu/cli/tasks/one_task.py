"""mahavishnu route, execute and outcome: one task."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from mahavishnu.cli.common import arguments
from mahavishnu.cli.common.amounts import usd_text
from mahavishnu.cli.common.columns import CANDIDATES
from mahavishnu.cli.common.completion import target_names
from mahavishnu.cli.common.flags import Json, Wide, if_stopped, with_app
from mahavishnu.cli.common.ids import DecisionId
from mahavishnu.cli.common.layout import options_of
from mahavishnu.cli.common.printing import emit, emit_line, line, note, piece, prose, waiting
from mahavishnu.cli.common.shapes import decision_shape, outcome_shape, report_shape
from mahavishnu.cli.tasks.task_options import read_task
from mahavishnu.errors import NothingEligible
from mahavishnu.model import Decision, Report, Task

if TYPE_CHECKING:
    from mahavishnu.app import App

Policy = Annotated[str | None, typer.Option(help="The policy that ranks the targets, instead of routing.policy.")]
Seed = Annotated[
    int | None,
    typer.Option(metavar="N", callback=arguments.seed, help="Seed of the draw; the same seed gives the same choice."),
]


@options_of(read_task, "task")
def route(
    ctx: typer.Context,
    task: Task,
    policy: Policy = None,
    seed: Seed = None,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """Decide which target a task would go to, without running it.

    Example: mahavishnu route "some text" --task-type summarise --json
    """

    async def decide(app: App) -> tuple[Decision | None, NothingEligible | None]:
        try:
            return await app.orchestrator.route(task, policy=policy, seed=seed), None
        except NothingEligible as nothing:
            found = await app.store.decision(nothing.decision_id) if nothing.decision_id else None
            return found, nothing

    with waiting("Deciding …"):
        decision, nothing = with_app(ctx, decide)
    if decision is not None and as_json:
        emit(decision_shape(decision))
    if nothing is not None:
        raise nothing
    if decision is not None and not as_json:
        _show_decision(decision, wide=wide)


def _show_decision(decision: Decision, *, wide: bool) -> None:
    prose(decision.reason)
    line()
    rows = [
        (each.target, each.probability if each.eligible else None, each.score, each.why_not or each.note)
        for each in decision.considered
    ]
    CANDIDATES.show(rows, wide=wide)
    line()
    prose(f"Decision {decision.id} by {decision.policy}, seed {decision.seed}.")


@options_of(read_task, "task")
def execute(
    ctx: typer.Context,
    task: Task,
    policy: Policy = None,
    seed: Seed = None,
    streaming: Annotated[bool, typer.Option("--stream", help="Print the answer while it is written.")] = False,
    as_json: Json = False,
) -> None:
    """Run a task on the best target; where that fails, on the next one.

    The value goes to stdout, what happened to stderr. With --json, one object:
    execution_id, target, status and latency_ms are those of the last attempt,
    cost_usd is that of all attempts. With --stream and --json, a line for each
    piece ({"text": …}) comes before that object.

    Example: mahavishnu execute "some text" --task-type summarise --idempotency-key order-17
    """
    if_stopped(ctx, "what was recorded of the task: mahavishnu executions --last 1")
    if streaming:
        report = with_app(ctx, lambda app: _stream(app, task, policy, seed, as_json=as_json))
    else:
        with waiting("Running …"):
            report = with_app(ctx, lambda app: app.orchestrator.perform(task, policy=policy, seed=seed))
    if as_json:
        emit(report_shape(report))
    if report.error is not None:
        raise report.error
    if not as_json:
        if not streaming:
            _show_value(report)
        _show_what_happened(report)


async def _stream(app: App, task: Task, policy: str | None, seed: int | None, *, as_json: bool) -> Report:
    """Print every piece as it comes; a failure is raised, after what came before it was printed."""
    from contextlib import aclosing

    written = False
    try:
        async with aclosing(app.orchestrator.stream(task, policy=policy, seed=seed)) as parts:
            async for part in parts:
                if isinstance(part, Report):
                    return part
                written = True
                if as_json:
                    emit_line({"text": part.text})
                else:
                    piece(part.text)
    finally:
        if written and not as_json:
            line()
    raise RuntimeError("the stream ended without its report")


def _show_value(report: Report) -> None:
    value = report.value
    if value is not None:
        line(value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False))


def _show_what_happened(report: Report) -> None:
    if report.last is None or report.decision is None:
        return
    how = "answered before" if report.replayed else "succeeded"
    took = f" in {report.last.latency_ms:.1f} ms" if report.last.latency_ms is not None else ""
    tries = f", attempt {len(report.executions)}" if len(report.executions) > 1 else ""
    note(f"{report.last.target} {how}{took}{tries}, ${usd_text(report.cost_micros)}, decision {report.decision.id}.")


def outcome(
    ctx: typer.Context,
    decision_id: DecisionId,
    completed: Annotated[
        bool | None, typer.Option("--completed/--failed", help="Whether the work was really done.")
    ] = None,
    correct: Annotated[
        bool | None, typer.Option("--correct/--wrong", help="Whether the target was the right one.")
    ] = None,
    corrected_to: Annotated[
        str | None, typer.Option(help="The target that should have been chosen.", autocompletion=target_names)
    ] = None,
    quality: Annotated[float | None, typer.Option(help="Quality of the result, from 0 to 1.")] = None,
    remark: Annotated[str | None, typer.Option("--note", help="A note that is kept with the outcome.")] = None,
    as_json: Json = False,
) -> None:
    """Record what was learnt about a decision after it ended. Later decisions take it into account.

    Example: mahavishnu outcome 01KB2Q7YV0S3J4N5P6R7T8V9WX --completed --quality 0.9
    """
    recorded = with_app(
        ctx,
        lambda app: app.orchestrator.record_outcome(
            decision_id,
            completed=completed,
            correct=correct,
            corrected_to=corrected_to,
            quality=quality,
            note=remark,
        ),
        make=False,
    )
    if as_json:
        emit(outcome_shape(recorded))
    else:
        prose(f"Recorded outcome {recorded.id}.")
