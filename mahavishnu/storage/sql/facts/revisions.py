"""What an outcome changes: pure arithmetic, the same for every store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mahavishnu.errors import InvalidOutcome
from mahavishnu.model import Decision, Execution, Outcome, Revision, Status
from mahavishnu.stats.evidence import quality_ppm


@dataclass(slots=True)
class Past:
    """What is kept elsewhere of a decision, as far as an outcome on it has to know: the oldest first."""

    decision: Decision | None = None
    ended: list[Execution] = field(default_factory=list)
    outcomes: list[tuple[Outcome, Revision | None]] = field(default_factory=list)


def still_running(outcome: Outcome) -> InvalidOutcome:
    return InvalidOutcome(
        problem=f"is about decision {outcome.decision_id}, which is still running; record it once that has ended"
    )


def concerned(ended: Sequence[Execution]) -> Execution | None:
    """The execution that an outcome is about, out of those of its decision in the order in which they ended."""
    for execution in reversed(ended):
        if execution.status is Status.SUCCEEDED:
            return execution
    telling = [execution for execution in ended if execution.status.counts]
    # One that was lost says nothing by itself; an outcome says what became of it.
    telling = telling or [execution for execution in ended if execution.status is Status.LOST]
    return telling[-1] if telling else None


def revise(
    outcome: Outcome, decision: Decision, ended: Sequence[Execution], earlier: Sequence[Revision]
) -> Revision | None:
    """The difference between what the evidence says of this decision now and what it should say after the outcome.

    It takes the execution's own contribution and the earlier revisions into account, so that the same news twice
    changes nothing and contradicting news end where the last one points. None where there is nothing to change.
    """
    execution = concerned(ended)
    target = decision.selected if execution is None else execution.target
    if target is None:
        return None
    ours = [each for each in earlier if each.target == target]
    rated = execution is not None and execution.quality is not None
    counted = execution is not None and execution.status.counts
    samples = sum(each.samples for each in ours) + counted
    successes = sum(each.successes for each in ours) + (execution is not None and execution.status is Status.SUCCEEDED)
    quality_samples = sum(each.quality_samples for each in ours) + rated
    ppm = sum(each.quality_ppm for each in ours)
    if execution is not None and execution.quality is not None:
        ppm += quality_ppm(execution.quality)
    known = outcome.completed is not None
    quality = outcome.quality
    revision = Revision(
        outcome_id=outcome.id,
        target=target,
        task_type=decision.task.type,
        at_us=outcome.at_us,
        of_us=decision.at_us if execution is None else execution.started_at_us,
        samples=1 - samples if known else 0,
        successes=int(bool(outcome.completed)) - successes if known else 0,
        quality_samples=0 if quality is None else 1 - quality_samples,
        quality_ppm=0 if quality is None else quality_ppm(quality) - ppm,
    )
    changes = revision.samples, revision.successes, revision.quality_samples, revision.quality_ppm
    return revision if any(changes) else None
