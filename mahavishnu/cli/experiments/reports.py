"""mahavishnu experiments status, list, report and compare: what experiments have come to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mahavishnu.cli.common.arguments import write
from mahavishnu.cli.common.columns import EXPERIMENTS
from mahavishnu.cli.common.flags import Json, Wide, with_store
from mahavishnu.cli.common.layout import Group
from mahavishnu.cli.common.printing import emit, line, moment, note, prose
from mahavishnu.cli.experiments.lifecycle import Name, known
from mahavishnu.cli.experiments.view import looked_shape, reading_shape, run_shape, show_looked, show_table
from mahavishnu.model.experiment import ExperimentRun
from mahavishnu.model.reading import Reading

if TYPE_CHECKING:
    from mahavishnu.jobs.experiments.fixed_sample import Looked
    from mahavishnu.ports import Store

group = Group()


@group.command()
def status(
    ctx: typer.Context,
    name: Name,
    as_json: Json = False,
) -> None:
    """Show the state of an experiment as of its last check.

    Example: mahavishnu experiments status try-b
    """
    run, reading = with_store(ctx, lambda store: _read(store, name), make=False)
    if as_json:
        emit({**run_shape(run), "reading": reading_shape(reading)})
        return
    _show(run, reading, short=True)


@group.command("list")
def list_experiments(
    ctx: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Also show experiments that have ended.")] = False,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """List experiments, the newest first.

    Example: mahavishnu experiments list --all
    """
    known = with_store(ctx, lambda store: store.experiments(), make=False)
    found = [each for each in known if everything or not each.status.over]
    if as_json:
        left_out = [{"name": row.name, "status": "unreadable", "note": str(row)} for row in known.unreadable]
        emit([*({**run_shape(each), "reading": reading_shape(_reading_or_none(each))} for each in found), *left_out])
        return
    for row in known.unreadable:
        note(f"{row}.")
    empty = "No experiment yet." if everything else "No experiment is running; --all shows those that have ended."
    EXPERIMENTS.show([_row(each) for each in found], empty=empty, wide=wide)


@group.command()
def report(
    ctx: typer.Context,
    name: Name,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the report as one HTML page that loads nothing else.")
    ] = None,
    markdown: Annotated[Path | None, typer.Option("--md", metavar="FILE", help="Write the report as Markdown.")] = None,
    recompute: Annotated[
        bool,
        typer.Option("--recompute", help="Recompute everything from the recorded facts, and say whether it is equal."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Print the report of an experiment: the plan, the evidence, the decision, and how to recompute it.

    With --recompute, exits with 1 if any number comes out differently.

    Example: mahavishnu experiments report try-b --html try-b.html
    """
    from mahavishnu.jobs.experiments.report import report_html, report_md
    from mahavishnu.storage.sql.experiments.recount import recount_query

    async def act(store: Store) -> tuple[ExperimentRun, Reading | None, bool | None]:
        run, reading = await _read(store, name)
        return run, reading, await _comes_out_equal(store, run) if recompute else None

    run, reading, equal = with_store(ctx, act, make=False)
    for path, text, argument in ((html, report_html, "--html"), (markdown, report_md, "--md")):
        if path is not None:
            write(path, text(run, reading), argument)
    if as_json:
        shown = {"reading": reading_shape(reading, path=True), "query": recount_query(run), "equal": equal}
        emit({**run_shape(run), **shown})
    else:
        _show_written(run, reading, equal, html, markdown)
    if equal is False:
        raise typer.Exit(1)


@group.command()
def compare(
    ctx: typer.Context,
    name: Name,
    as_json: Json = False,
) -> None:
    """Run fixed-sample tests (two proportions, Welch). Valid once, when the planned sample is complete.

    Example: mahavishnu experiments compare try-b
    """

    async def act(store: Store) -> tuple[ExperimentRun, Looked]:
        from mahavishnu.jobs.experiments.fixed_sample import look_once

        run = await known(store, name)
        return run, await look_once(store, run)

    run, found = with_store(ctx, act, make=False)
    if as_json:
        emit({"name": run.name, "alpha": run.experiment.alpha, **looked_shape(found)})
        return
    show_looked(found, run.experiment.alpha)


async def _read(store: Store, name: str) -> tuple[ExperimentRun, Reading | None]:
    run = await known(store, name)
    return run, _reading_of(run)


def _reading_of(run: ExperimentRun) -> Reading | None:
    from mahavishnu.jobs.experiments.report_files import reading_of

    return reading_of(run)


def _show(run: ExperimentRun, reading: Reading | None, *, short: bool) -> None:
    """In words and tables; the short one without what was planned, and without how to work it out again."""
    from mahavishnu.jobs.experiments.report_sections import sections, title_of

    line(title_of(run))
    for place, each in enumerate(sections(run, reading)):
        if short and (each.code or (place and reading is None)):
            continue
        line()
        if not short:
            line(each.title.upper())
        for words in each.words:
            prose(words)
        if each.table is not None:
            show_table(each.table)
        for code in each.code:
            line()
            line(code)


async def _comes_out_equal(store: Store, run: ExperimentRun) -> bool:
    from mahavishnu.jobs.experiments import recompute

    return run.state is None or (await recompute(store, run)).kept() == dict(run.state)


def _show_written(
    run: ExperimentRun, reading: Reading | None, equal: bool | None, html: Path | None, markdown: Path | None
) -> None:
    written = [path for path in (html, markdown) if path is not None]
    for path in written:
        note(f"Written to {path}.")
    if equal is not None:
        line(
            "Recomputed from the facts: every number is equal to the last bit."
            if equal
            else "Recomputed from the facts: the numbers are NOT equal. Facts were lost or changed."
        )
    elif not written:
        _show(run, reading, short=False)


def _reading_or_none(run: ExperimentRun) -> Reading | None:
    """For the list: evidence that this version cannot read keeps no other experiment from being shown."""
    try:
        return _reading_of(run)
    except (ValueError, TypeError, LookupError, AttributeError):
        note(f"The evidence of experiment {run.name} cannot be read by this version.")
        return None


def _row(run: ExperimentRun) -> tuple[object, ...]:
    reading = _reading_or_none(run)
    evidence = (None, None, None) if reading is None else (reading.treatment.outcomes, reading.worse, reading.better)
    return (
        run.name,
        run.status.value,
        run.experiment.owner or None,
        moment(run.started_at_us),
        moment(run.ended_at_us),
        *evidence,
    )
