"""Outcome: what was learnt after the fact."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from mahavishnu.errors import InvalidOutcome
from mahavishnu.model.values import ANYWAY, Wrong, flag, identifier, settle, share, shown, text, whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What somebody learnt about a decision, some time after it. `None` means unknown, never "fine".

    `completed` says whether the work was really done, whatever the engine answered; `correct` whether the target was
    the right one, which is another question and never counts against the target's success rate.
    """

    id: str
    decision_id: str
    at_us: int
    completed: bool | None = None
    correct: bool | None = None
    corrected_to: str | None = None
    quality: float | None = None
    note: str | None = None

    def __post_init__(self) -> None:
        settle(self, _CHECKS, _invalid)
        if self.correct and self.corrected_to is not None:
            raise InvalidOutcome(problem=f'says "correct" and also corrects the target to "{self.corrected_to}"')
        if all(value is None for value in (self.completed, self.correct, self.corrected_to, self.quality)):
            raise InvalidOutcome(problem="says nothing; give --completed, --failed, --correct, --wrong or --quality")


def _invalid(field: str, problem: str) -> InvalidOutcome:
    return InvalidOutcome(problem=problem if field == "quality" else f"has a field {field} that {problem}")


def _quality(given: object) -> float:
    try:
        # A Decimal means the same number, and no database driver takes one for a float.
        return share(float(given) if type(given) is Decimal and not given.is_snan() else given)
    except Wrong:
        raise Wrong(f"has quality {shown(given)}; it must lie between 0 and 1") from None


_CHECKS = (
    ("id", ANYWAY, identifier),
    ("decision_id", ANYWAY, identifier),
    ("at_us", 0, whole()),
    ("completed", None, flag),
    ("correct", None, flag),
    ("corrected_to", None, text),
    ("quality", None, _quality),
    ("note", None, text),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """How an outcome changes the evidence of one (target, task type): worked out by the store as it is written.

    An outcome on an execution moves a success to a failure or back; one on a decision that was only routed adds a
    sample. Written as differences, so that folding stays a sum and needs no order. `of_us` is when the thing that it
    revises began: a correction belongs to the day of what it corrects, not to the day on which it was learnt.
    """

    outcome_id: str
    target: str
    task_type: str
    at_us: int
    of_us: int
    samples: int
    successes: int
    quality_samples: int = 0
    quality_ppm: int = 0
