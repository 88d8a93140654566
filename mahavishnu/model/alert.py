"""Alert: a condition that opened, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class AlertKind(StrEnum):
    DEGRADATION = "degradation"
    COST_SPIKE = "cost-spike"
    FALLBACKS = "fallbacks"
    ONE_TARGET = "one-target"
    LOST = "lost"
    STUCK = "stuck"
    SCHEDULE = "schedule"
    BUDGET = "budget"
    EXPERIMENT = "experiment"


class Severity(StrEnum):
    WARNING = "warning"
    CRITICAL = "critical"


class AlertStatus(StrEnum):
    """Open until somebody has seen it, acknowledged until it is over, resolved for good."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What an alert is about. Of one condition there is never more than one alert that is not resolved.

    `about` names what is neither a task type nor a target: a budget, an experiment.
    """

    kind: AlertKind
    task_type: str | None = None
    target: str | None = None
    about: str | None = None

    def __str__(self) -> str:
        parts = (self.kind.value, self.task_type, self.target, self.about)
        return ":".join(part for part in parts if part is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """`summary` says what is the matter, with its figures; `detail` has those for programs.

    `told` is the `news` that the webhook was told last; None where it was told nothing.
    """

    id: str
    condition: Condition
    severity: Severity
    summary: str
    opened_at_us: int
    status: AlertStatus = AlertStatus.OPEN
    acknowledged_at_us: int | None = None
    resolved_at_us: int | None = None
    detail: Mapping[str, float | int | str | None] = field(default_factory=dict)
    told: str | None = None

    @property
    def resolved(self) -> bool:
        return self.status is AlertStatus.RESOLVED

    @property
    def news(self) -> str:
        """What is worth telling of it: that it opened, got worse, or is over; not that somebody has seen it."""
        return "resolved" if self.resolved else f"open, {self.severity.value}"

    @property
    def untold(self) -> bool:
        """Whether the webhook ought to be told: not of the end of what it never heard of."""
        return self.told != self.news and not (self.resolved and self.told is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How far the watching has come: every fact up to `cursor` is in `state`, a document of `jobs.watching`.

    `revision` counts the checks, so that of two at once only one is kept.
    """

    revision: int = 0
    cursor: int = 0
    state: str = ""
