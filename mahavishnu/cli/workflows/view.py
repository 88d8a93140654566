"""How a workflow is shown: a live tree on a terminal, lines elsewhere, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING

from mahavishnu.cli.common.columns import STEPS
from mahavishnu.cli.common.printing import line, moment, note, on_one_line, prose
from mahavishnu.cli.common.shapes import Shape, usd
from mahavishnu.model.workflow import Step, Workflow
from mahavishnu.model.workflow_run import StepReport, StepStatus, WorkflowReport, WorkflowRun

if TYPE_CHECKING:
    from rich.tree import Tree

    from mahavishnu.engine.workflows.progress import Progress

_NONE: Mapping[str, StepReport] = MappingProxyType({})

_MARKS: Mapping[StepStatus, tuple[str, str]] = {
    StepStatus.WAITING: ("·", "dim"),
    StepStatus.RUNNING: ("▸", "cyan"),
    StepStatus.SUCCEEDED: ("✓", "green"),
    StepStatus.FAILED: ("✗", "red"),
    StepStatus.SKIPPED: ("-", "yellow"),
    StepStatus.CANCELLED: ("■", "yellow"),
}


def report_shape(report: WorkflowReport) -> Shape:
    return {
        "run_id": report.run_id,
        "workflow": report.workflow,
        "place": report.place,
        "status": report.status.value,
        "reason": report.reason,
        "started_at": moment(report.started_at_us),
        "ended_at": moment(report.ended_at_us),
        "cost_usd": usd(report.cost_micros),
        "steps": [_step_shape(each) for each in report.steps],
    }


def run_shape(run: WorkflowRun) -> Shape:
    return {
        "run_id": run.id,
        "workflow": run.definition["workflow"]["name"],
        "place": run.place,
        "status": run.status.value,
        "reason": run.reason,
        "started_at": moment(run.started_at_us),
        "ended_at": moment(run.ended_at_us),
        "steps": len(run.definition["steps"]),
    }


def _step_shape(report: StepReport) -> Shape:
    return {
        "step": report.step,
        "status": report.status.value,
        "reason": report.reason,
        "target": report.target,
        "attempts": report.attempts,
        "latency_ms": None if report.latency_us is None else report.latency_us / 1000,
        "cost_usd": usd(report.cost_micros),
        "decision_id": report.decision_id,
        "value": report.value,
    }


Kept = Mapping[str, StepReport]
"""The steps that had succeeded before this start of a run, which does not run them again."""

KEPT = "kept"


def show(report: WorkflowReport, last: Sequence[str] = (), kept: Kept = _NONE, *, wide: bool = False) -> None:
    """A table of the steps, and the values of those that nothing else needs."""
    told = {name: {"status": KEPT} for name in kept}
    STEPS.show_shapes([{**_step_shape(step), **told.get(step.step, {})} for step in report.steps], wide=wide)
    line()
    why = f": {on_one_line(report.reason)}" if report.reason else ""
    prose(f"Run {report.run_id} of {report.workflow} {_ended(report)}{why}, ${usd(report.cost_micros):g}.")
    for each in report.steps:
        if each.step in last and each.value is not None:
            line()
            line(f"{each.step}:")
            line(each.value if isinstance(each.value, str) else json.dumps(each.value, indent=2, ensure_ascii=False))


def leaves(workflow: Workflow) -> list[str]:
    """The steps that nothing else needs: what they bring is what the workflow is run for."""
    needed = {need for step in workflow.steps for need in step.needs}
    return [step.name for step in workflow.steps if step.name not in needed]


@contextmanager
def following(workflow: Workflow, run_id: str, kept: Kept) -> Iterator[Progress]:
    """Shows every change as it comes: in a tree that stays where it is, or in a line for each.

    A step that is kept is answered from the store, and is not shown as if it ran.
    """
    if not sys.stderr.isatty():
        yield _Teller(workflow, run_id, kept)
        return
    from rich.console import Console
    from rich.live import Live

    seen = {step.name: StepReport(step=step.name) for step in workflow.steps} | dict(kept)
    # Stopped in the middle, it stays to be seen: it says how far the run had come, and by which name to resume it.
    with Live(_tree(workflow, run_id, seen, kept), console=Console(stderr=True)) as live:

        def follow(report: StepReport) -> None:
            if report.step not in kept:
                seen[report.step] = report
                live.update(_tree(workflow, run_id, seen, kept))

        yield follow
        live.transient = True


class _Teller:
    """A line for each change; first of all, by which name the run can be found again, and what is kept of it."""

    def __init__(self, workflow: Workflow, run_id: str, kept: Kept) -> None:
        steps = (kept[step.name] for step in workflow.steps if step.name in kept)
        self._first = [f"Run {run_id} of {workflow.name}.", *(f"{each.step} {KEPT}: {_words(each)}" for each in steps)]
        self._kept = kept

    def __call__(self, report: StepReport) -> None:
        for each in self._first:
            note(each)
        self._first = []
        if report.step not in self._kept:
            note(f"{report.step} {_words(report)}")


def _tree(workflow: Workflow, run_id: str, seen: Mapping[str, StepReport], kept: Kept) -> Tree:
    """Every step once, below the last of those that it needs; what else it needs is said beside it."""
    from rich.text import Text
    from rich.tree import Tree

    root = Tree(Text.assemble((workflow.name, "bold"), (f"  run {run_id}", "dim")))
    drawn: dict[str, Tree] = {}
    waiting = list(workflow.steps)
    while waiting:
        step = next(each for each in waiting if all(need in drawn for need in each.needs))
        waiting.remove(step)
        mark, style = _MARKS[seen[step.name].status]
        words = f"{KEPT}: {_words(seen[step.name])}" if step.name in kept else _words(seen[step.name])
        label = Text.assemble((f"{mark} ", style), step.name, (f"  {words}{_beside(step)}", "dim"))
        drawn[step.name] = (drawn[step.needs[-1]] if step.needs else root).add(label)
    return root


def _beside(step: Step) -> str:
    return f", after {', '.join(step.needs[:-1])} too" if len(step.needs) > 1 else ""


def _words(report: StepReport) -> str:
    words = report.status.value
    if report.target is not None:
        words += f" on {report.target}"
    if report.latency_us is not None and report.status.ended:
        words += f" in {report.latency_us / 1000:.1f} ms"
    if report.attempts > 1:
        words += f", attempt {report.attempts}"
    return f"{words}: {on_one_line(report.reason)}" if report.reason else words


def _ended(report: WorkflowReport) -> str:
    words = report.status.value.replace("_", " ")
    return f"is {words}" if words in ("running", "lost") else words if words == "succeeded" else f"has {words}"
