"""Outcome: what was learnt after the fact."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mahavishnu.errors import InvalidOutcome


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
        if self.quality is not None and not (math.isfinite(self.quality) and 0 <= self.quality <= 1):
            raise InvalidOutcome(problem=f"has quality {self.quality}; it must lie between 0 and 1")
        if self.correct and self.corrected_to is not None:
            raise InvalidOutcome(problem=f'says "correct" and also corrects the target to "{self.corrected_to}"')
        if all(value is None for value in (self.completed, self.correct, self.corrected_to, self.quality)):
            raise InvalidOutcome(problem="says nothing; give --completed, --failed, --correct, --wrong or --quality")


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
