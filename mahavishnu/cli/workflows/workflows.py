"""mahavishnu workflow: many tasks with dependencies between them, run, followed, stopped and resumed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mahavishnu.cli.common import arguments
from mahavishnu.cli.common.columns import WORKFLOWS
from mahavishnu.cli.common.exits import end_badly
from mahavishnu.cli.common.flags import Json, Wide, flags_of, if_stopped, with_app, with_store
from mahavishnu.cli.common.ids import RunId
from mahavishnu.cli.common.layout import Group
from mahavishnu.cli.common.printing import emit, prose
from mahavishnu.cli.workflows import view
from mahavishnu.cli.workflows.view import Kept
from mahavishnu.cli.workflows.where import hand_over_and_follow, place_of
from mahavishnu.errors import SettingsError
from mahavishnu.model.workflow import Workflow
from mahavishnu.model.workflow_run import HERE, StepStatus, WorkflowReport, WorkflowRun

if TYPE_CHECKING:
    from mahavishnu.app import App
    from mahavishnu.engine.workflows.progress import Progress

group = Group(help="Run workflows: tasks that depend on each other.")

File = Annotated[
    Path,
    typer.Argument(metavar="FILE.toml", help="The file of the workflow, with the tables [workflow] and [steps.NAME]."),
]
Given = Annotated[
    list[str] | None,
    typer.Option("--input", metavar="NAME=TEXT", help="An input, which templates read as inputs.NAME. Repeatable."),
]
GivenJson = Annotated[
    str | None,
    typer.Option("--inputs", metavar="JSON", help="Inputs as a JSON object, for values that are not text."),
]
Concurrency = Annotated[
    int | None,
    typer.Option(min=1, max=10_000, help="How many steps run at once in this process, instead of limits.concurrency."),
]
Folder = Annotated[
    Path | None,
    typer.Option(
        help="With --on: the working folder of the workers, which holds their configuration. Default: this folder."
    ),
]


@group.command()
def run(
    ctx: typer.Context,
    file: File,
    given: Given = None,
    given_json: GivenJson = None,
    run_id: Annotated[
        str | None,
        typer.Option(metavar="ID", help="The id of this run. A run with the same id continues where it stopped."),
    ] = None,
    on: Annotated[
        str,
        typer.Option(
            metavar="ADAPTER[/POOL]",
            help="Where to run: here, or an adapter and its work pool such as prefect/mahavishnu.",
        ),
    ] = HERE,
    folder: Folder = None,
    concurrency: Concurrency = None,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """Run a workflow. Each step is a task; it is routed as soon as the steps that it needs have succeeded.

    A step that fails stops only the steps that need it. Exits with 0 if all steps
    succeeded, with 1 if not, with 2 if the workflow or its inputs are invalid.

    Example: mahavishnu workflow run docs/examples/workflow.toml --input topic=bridges
    """
    workflow = _read(file)
    inputs = _inputs(given, given_json)
    place = place_of(on, folder)
    name = run_id or _new_id()

    async def here(app: App, progress: Progress) -> WorkflowReport:
        if_stopped(ctx, _what_is_left(name))
        return await app.workflows.execute_workflow(
            workflow, inputs, run_id=name, concurrency=concurrency, progress=progress
        )

    async def carry_out(app: App) -> tuple[WorkflowReport, Kept]:
        kept = {} if run_id is None else await _succeeded_before(app, name)
        with view.following(workflow, name, kept) as progress:
            if place.is_here:
                return await here(app, progress), kept
            return await hand_over_and_follow(app, flags_of(ctx), place, workflow, inputs, name, progress), kept

    _end(*with_app(ctx, carry_out, adapters=place.adapters), workflow, wide=wide, as_json=as_json)


@group.command()
def validate(
    ctx: typer.Context,
    file: File,
    given: Given = None,
    given_json: GivenJson = None,
    as_json: Json = False,
) -> None:
    """Check a workflow without running it: everything for which run would refuse it.

    Checks the keys, the names, the templates, the inputs, the order of the steps,
    and that there is a target for each. Exits with 0 if run would start, with 2 if not.

    Example: mahavishnu workflow validate docs/examples/workflow.toml --input topic=bridges
    """
    workflow = _read(file)
    inputs = _inputs(given, given_json)

    async def check(app: App) -> dict[str, Any]:
        return app.workflows.check(workflow, inputs)

    taken = with_app(ctx, check)
    steps = [step.name for step in workflow.steps]
    if as_json:
        emit({"file": str(file), "valid": True, "workflow": workflow.name, "steps": steps, "inputs": taken})
        return
    counted = "1 step" if len(steps) == 1 else f"{len(steps)} steps"
    needs = f"the inputs {', '.join(sorted(taken))}" if taken else "no input"
    prose(f"{file} is valid: workflow {workflow.name} with {counted} ({', '.join(steps)}) and {needs}.")


@group.command()
def resume(
    ctx: typer.Context,
    run_id: RunId,
    on: Annotated[
        str | None,
        typer.Option(
            metavar="ADAPTER[/POOL]", help="Where to continue, if not where it ran before; here means this process."
        ),
    ] = None,
    folder: Folder = None,
    concurrency: Concurrency = None,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """Continue a workflow that failed, was stopped, or lost its process.

    Steps that succeeded are kept and not run again. The workflow and its inputs are read
    from the store. Exit codes are those of run.

    Example: mahavishnu workflow resume 01KB2Q7YV0S3J4N5P6R7T8V9WX
    """
    before = _found(ctx, run_id)
    place = place_of(on or before.place, folder)
    workflow = _stored(before)

    async def carry_out(app: App) -> tuple[WorkflowReport, Kept]:
        kept = await _succeeded_before(app, run_id)
        with view.following(workflow, run_id, kept) as progress:
            if place.is_here:
                if_stopped(ctx, _what_is_left(run_id))
                return await app.workflows.resume(run_id, concurrency=concurrency, progress=progress), kept
            await app.workflows.put_to_rest(run_id)
            handed = hand_over_and_follow(app, flags_of(ctx), place, workflow, before.inputs, run_id, progress)
            return await handed, kept

    _end(*with_app(ctx, carry_out, adapters=place.adapters), workflow, wide=wide, as_json=as_json)


@group.command()
def status(
    ctx: typer.Context,
    run_id: RunId,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """Show the state of a run, step by step, wherever it runs.

    Example: mahavishnu workflow status 01KB2Q7YV0S3J4N5P6R7T8V9WX
    """
    report = with_app(ctx, lambda app: app.workflows.report(run_id), make=False)
    if as_json:
        emit(view.report_shape(report))
    else:
        view.show(report, wide=wide)


@group.command(name="list")
def list_(
    ctx: typer.Context,
    last: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many to show, the newest first.")] = 20,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """List the runs of workflows, the newest first.

    Example: mahavishnu workflow list --last 5
    """
    shapes = [view.run_shape(each) for each in with_store(ctx, lambda store: store.workflows(last), make=False)]
    if as_json:
        emit(shapes)
        return
    WORKFLOWS.show_shapes(shapes, empty="No workflow was run yet.", wide=wide)


@group.command()
def cancel(
    ctx: typer.Context,
    run_id: RunId,
    as_json: Json = False,
) -> None:
    """Ask a run to stop, wherever it runs. It stops within about a second.

    Its running steps are cancelled, also on their engines.

    Example: mahavishnu workflow cancel 01KB2Q7YV0S3J4N5P6R7T8V9WX
    """
    asked = with_app(ctx, lambda app: app.workflows.cancel(run_id), make=False)
    if as_json:
        emit({"run_id": run_id, "asked_to_stop": asked})
    elif asked:
        prose(f"Asked run {run_id} to stop.")
    if not asked:
        sentence = f"Run {run_id} has ended already; see: mahavishnu workflow status {run_id}"
        end_badly(sentence, code="already-ended", as_json=as_json, run_id=run_id)


# -- inside ------------------------------------------------------------------------------------------------------------


def _read(file: Path) -> Workflow:
    from mahavishnu.engine.workflows.definitions import read_workflow

    try:
        from mahavishnu.settings import text_of

        return read_workflow(text_of(file), str(file))
    except OSError as error:
        problem = f"cannot be read ({error.strerror}); name another file"
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 (byte {error.start}); save it as UTF-8"
    raise SettingsError(where=str(file), problem=problem)


def _inputs(given: list[str] | None, given_json: str | None) -> dict[str, Any]:
    return {**arguments.json_object(given_json, "--inputs"), **arguments.pairs(given, "--input")}


def _found(ctx: typer.Context, run_id: str) -> WorkflowRun:
    from mahavishnu.engine.workflows.reports import unknown_run

    found = with_store(ctx, lambda store: store.workflow(run_id), make=False)
    if found is None:
        raise unknown_run(run_id)
    return found


async def _succeeded_before(app: App, run_id: str) -> Kept:
    """The steps of a run that need not run again; none where no run has this id yet."""
    if await app.store.workflow(run_id) is None:
        return {}
    report = await app.workflows.report(run_id)
    return {step.step: step for step in report.steps if step.status is StepStatus.SUCCEEDED}


def _stored(run: WorkflowRun) -> Workflow:
    from mahavishnu.engine.workflows.definitions import workflow_of

    return workflow_of(run.definition, f'run "{run.id}"')


def _new_id() -> str:
    from mahavishnu.engine.clock import SystemClock

    return SystemClock().new_id()


def _what_is_left(run_id: str) -> str:
    return f"to run what is left: mahavishnu workflow resume {run_id}"


def _end(report: WorkflowReport, kept: Kept, workflow: Workflow, *, wide: bool, as_json: bool) -> None:
    if as_json:
        emit(view.report_shape(report))
    else:
        view.show(report, view.leaves(workflow), kept, wide=wide)
    if not report.succeeded:
        mend = f"mahavishnu workflow resume {report.run_id}"
        sentence = f"To run what is left: {mend}"
        end_badly(sentence, code="workflow-not-done", as_json=as_json, mend=mend, run_id=report.run_id)
