"""mahavishnu run: many tasks from a file, resumable."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from mahavishnu.cli.common.amounts import usd_text
from mahavishnu.cli.common.arguments import bad
from mahavishnu.cli.common.columns import BATCH
from mahavishnu.cli.common.exits import QUEUED, end_badly
from mahavishnu.cli.common.flags import Json, if_stopped, with_app
from mahavishnu.cli.common.printing import emit, line
from mahavishnu.cli.common.shapes import Shape, result_shape, usd
from mahavishnu.errors import TaskQueued
from mahavishnu.model import Report, Status

if TYPE_CHECKING:
    from mahavishnu.app import App
    from mahavishnu.cli.tasks.batch_file import Numbered


@dataclass(slots=True)
class Tally:
    """What came of them. `resumed` had succeeded in an earlier run of the same command."""

    tasks: int
    done: int = 0
    resumed: int = 0
    failed: int = 0
    queued: int = 0
    cost_micros: int = 0
    succeeded_on: Counter[str] = field(default_factory=Counter)
    failed_on: Counter[str] = field(default_factory=Counter)

    def add(self, report: Report) -> None:
        if isinstance(report.error, TaskQueued):
            self.queued += 1
        elif not report.succeeded:
            self.failed += 1
        elif report.replayed:
            self.resumed += 1
        else:
            self.done += 1
        if not report.replayed:
            self.cost_micros += report.cost_micros
        for each in report.executions:
            (self.succeeded_on if each.status is Status.SUCCEEDED else self.failed_on)[each.target] += 1

    def shape(self) -> Shape:
        return {
            "tasks": self.tasks,
            "done": self.done,
            "resumed": self.resumed,
            "failed": self.failed,
            "queued": self.queued,
            "cost_usd": usd(self.cost_micros),
            "targets": {
                name: {"succeeded": self.succeeded_on[name], "failed": self.failed_on[name]}
                for name in sorted({*self.succeeded_on, *self.failed_on})
            },
        }


def run(
    ctx: typer.Context,
    tasks: Annotated[
        Path, typer.Argument(metavar="TASKS.jsonl", help='A file with one task in each line, as JSON; "-" reads stdin.')
    ],
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="How many tasks run at once, instead of limits.concurrency.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="RESULTS.jsonl", help="The file to write the results to, in the order of the tasks."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Run every task again, also those that succeeded before.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run the tasks of a file.

    Run the same command again after a crash, or after adding lines: a task that
    succeeded is not repeated, a task that failed is tried again. Of tasks from
    stdin, this is true of those that have an idempotency_key; all others run again.

    Each line is an object such as {"type": "summarise", "text": "…"}. Optional
    keys: payload, capabilities, target, exclude, deadline_ms, max_latency_ms,
    max_cost_usd, objective, min_success_rate, min_quality, idempotency_key,
    repeatable and tags.

    Example: mahavishnu run tasks.jsonl --out results.jsonl
    """
    from mahavishnu.cli.tasks.batch_file import check_names, is_stdin, read_tasks

    lines = read_tasks(tasks, again=again)
    if out is not None and not is_stdin(tasks) and out.exists() and out.samefile(tasks):
        raise bad("--out", "is the file with the tasks; name another one")

    async def carry_out(app: App) -> Tally:
        if_stopped(ctx, _after_a_stop(tasks))
        check_names(tasks, lines, app.orchestrator.check)
        with _results(out) as results, _progress(len(lines)) as advance:
            return await _run(app, lines, concurrency, results, advance)

    tally = with_app(ctx, carry_out)
    if as_json:
        emit(tally.shape())
    else:
        _show(tally)
    if tally.failed:
        sentence = f"{tally.failed} of {tally.tasks} tasks failed; {_to_go_on(tasks)} to try them again."
        end_badly(sentence, code="tasks-failed", as_json=as_json, failed=tally.failed, tasks=tally.tasks)
    if tally.queued:
        sentence = f"{tally.queued} of {tally.tasks} tasks wait for room in a budget (mahavishnu budgets queue)."
        end_badly(
            sentence, code="tasks-queued", as_json=as_json, exit_code=QUEUED, queued=tally.queued, tasks=tally.tasks
        )


def _to_go_on(tasks: Path) -> str:
    from mahavishnu.cli.tasks.batch_file import is_stdin

    return "give each task an idempotency_key and run the same command" if is_stdin(tasks) else "run the same command"


def _after_a_stop(tasks: Path) -> str:
    from mahavishnu.cli.tasks.batch_file import is_stdin

    if is_stdin(tasks):
        return "the same tasks, sent again, run again unless they have an idempotency_key."
    return "run the same command again to run what is left."


async def _run(
    app: App,
    lines: Sequence[Numbered],
    concurrency: int | None,
    results: TextIO | None,
    advance: Callable[[], None],
) -> Tally:
    """Results are written in the order of the lines, each as soon as all before it are there."""
    tally = Tally(len(lines))
    ready: dict[int, Report] = {}
    written = 0
    async for place, report in app.orchestrator.as_completed([each.task for each in lines], concurrency=concurrency):
        tally.add(report)
        advance()
        ready[place] = report
        while results is not None and written in ready:
            shape = {"line": lines[written].line, **result_shape(ready.pop(written))}
            results.write(json.dumps(shape, allow_nan=False) + "\n")
            results.flush()
            written += 1
    return tally


def _show(tally: Tally) -> None:
    shape = tally.shape()
    waiting = f"{tally.queued} waiting, " if tally.queued else ""
    line(
        f"{tally.done} done, {tally.resumed} done before, {waiting}{tally.failed} failed of {tally.tasks} tasks, "
        f"${usd_text(tally.cost_micros)}."
    )
    rows = [(name, each["succeeded"], each["failed"]) for name, each in shape["targets"].items()]
    if rows:
        line()
        BATCH.show(rows)


# -- where results and progress go -------------------------------------------------------------------------------------


@contextmanager
def _results(path: Path | None) -> Iterator[TextIO | None]:
    """Written straight to the file, so that a crash leaves what was done."""
    if path is None:
        yield None
        return
    try:
        file = path.open("w", encoding="utf-8")
    except OSError as error:
        raise bad("--out", f"{path} cannot be written: {error.strerror}") from None
    with file:
        yield file


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar on stderr, where somebody is looking."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    with Progress(
        *Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True)
    ) as bar:
        running = bar.add_task("Running", total=total)
        yield lambda: bar.advance(running)
