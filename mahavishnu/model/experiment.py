"""Experiment: a change to how tasks are routed, tried on a share of them, with what would end it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mahavishnu.errors import InvalidExperiment
from mahavishnu.model.objective import Objective, objective
from mahavishnu.model.task import word
from mahavishnu.model.values import (
    ANYWAY,
    Wrong,
    flag,
    listed,
    member,
    names,
    of_kind,
    quantity,
    settle,
    shown,
    text,
    whole,
)

BY_TASK = "task"
"""The unit of assignment where every task is assigned for itself; else the name of a tag, such as user or session."""

EVERY_TYPE = "*"
"""Stands for every task type."""


class ExperimentStatus(StrEnum):
    """Draft, running or paused; or over, in one of five ways.

    Rolled back: it did harm. Promoted: it is better, and published. Completed: it was stopped, or ran its time and was
    not to be promoted. Inconclusive: it ran its time and nothing could be told. Broken: it was not assigned or not
    recorded as it says, and must not be read.
    """

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    ROLLED_BACK = "rolled_back"
    PROMOTED = "promoted"
    COMPLETED = "completed"
    INCONCLUSIVE = "inconclusive"
    BROKEN = "broken"

    @property
    def over(self) -> bool:
        return not FOLLOWING[self]


_OVER = frozenset(
    {
        ExperimentStatus.ROLLED_BACK,
        ExperimentStatus.PROMOTED,
        ExperimentStatus.COMPLETED,
        ExperimentStatus.INCONCLUSIVE,
        ExperimentStatus.BROKEN,
    }
)

FOLLOWING: Mapping[ExperimentStatus, frozenset[ExperimentStatus]] = {
    ExperimentStatus.DRAFT: frozenset({ExperimentStatus.RUNNING, ExperimentStatus.COMPLETED}),
    ExperimentStatus.RUNNING: _OVER | {ExperimentStatus.PAUSED},
    ExperimentStatus.PAUSED: frozenset({ExperimentStatus.RUNNING, ExperimentStatus.COMPLETED}),
    **{over: frozenset[ExperimentStatus]() for over in sorted(_OVER)},
}
"""Where an experiment may go from where it is. What is over never moves again."""


class Measure(StrEnum):
    SUCCESS = "success"
    LATENCY = "latency"
    COST = "cost"
    QUALITY = "quality"

    @property
    def of_rates(self) -> bool:
        """Between 0 and 1, and better the higher; latency and cost are better the lower."""
        return self in (Measure.SUCCESS, Measure.QUALITY)


def _part(part: str) -> Callable[[str, str], InvalidExperiment]:
    """The error of a part of an experiment, which has no name yet."""
    return lambda field, problem: InvalidExperiment(experiment="", problem=f"the {field} of {part} {problem}")


def _pair(given: object) -> tuple[str, str]:
    pair = listed(text, 'a pair of targets such as ("a", "b")')(given)
    if len(pair) != 2:
        raise Wrong(f'must be a pair of targets such as ("a", "b"), not {shown(given)}')
    return pair[0], pair[1]


_MEASURE = member(Measure)

_GUARDRAIL_CHECKS = (
    ("measure", ANYWAY, _MEASURE),
    ("margin", ANYWAY, quantity),
    ("limit", None, quantity),
)
_CHANGE_CHECKS = (
    ("order", None, listed(text, 'a list of targets such as ("a", "b")')),
    ("policy", None, text),
    ("objective", None, objective),
    ("instead", ANYWAY, listed(_pair, 'a list of pairs of targets such as (("a", "b"),)')),
)
_STEP_CHECKS = (("after_s", ANYWAY, quantity), ("share", ANYWAY, quantity))


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """What must not get worse by more than `margin`: in points of a rate (0.02), else as a share of what it was.

    `limit` is a promise on latency (in milliseconds) or cost (in dollars): breaking it more often is watched as well.
    """

    measure: Measure
    margin: float = 0.0
    limit: float | None = None

    def __post_init__(self) -> None:
        settle(self, _GUARDRAIL_CHECKS, _part("a guardrail"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is different from what is published; nothing, for a control that is what everybody has.

    An `order` is a preference order, for the `policy` beside it to go by. `instead` swaps targets for others: (a, b)
    has b tried where without it a is; b gets nothing from anybody else meanwhile.
    """

    order: tuple[str, ...] | None = None
    policy: str | None = None
    objective: Objective | None = None
    instead: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        settle(self, _CHANGE_CHECKS, _part("a change"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """From `after_s` seconds of running on, the treatment's share is this."""

    after_s: float
    share: float

    def __post_init__(self) -> None:
        settle(self, _STEP_CHECKS, _part("a step of a ramp"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """`share` of the units get the treatment, or what `ramp` says by now; a hash with `salt` says which.

    Experiments of one layer share their units out among themselves, `traffic` of them each; those of different layers
    do not disturb one another. `promote`: publish the treatment once `primary` is known to be better, or (with a
    margin) to be worse by less than that. Nothing is acted on before `min_evidence` outcomes of the treatment.
    """

    name: str
    treatment: Change
    control: Change = Change()
    hypothesis: str = ""
    unit: str = BY_TASK
    layer: str = "routing"
    traffic: float = 1.0
    share: float = 0.1
    ramp: tuple[Step, ...] = ()
    task_types: frozenset[str] = frozenset({EVERY_TYPE})
    primary: Measure = Measure.SUCCESS
    guardrails: tuple[Guardrail, ...] = (Guardrail(measure=Measure.SUCCESS),)
    promote: bool = False
    alpha: float = 0.05
    min_evidence: int = 100
    max_days: float = 28.0
    owner: str = ""
    salt: str = ""

    def __post_init__(self) -> None:
        settle(self, _CHECKS, self._wrong)
        if problem := self._problem():
            raise InvalidExperiment(experiment=self.name, problem=problem)

    def _wrong(self, field: str, problem: str) -> InvalidExperiment:
        carried = self.name if type(self.name) is str else shown(self.name)
        return InvalidExperiment(experiment=f"{carried:.100}", problem=f"its {field} {problem}")

    def takes(self, task_type: str) -> bool:
        return EVERY_TYPE in self.task_types or task_type in self.task_types

    def share_after(self, seconds: float) -> float:
        """The treatment's share after so many seconds of running.

        >>> rising = Experiment(name="e", treatment=Change(policy="statistical"), share=0.05,
        ...                     ramp=(Step(after_s=60, share=0.2), Step(after_s=120, share=0.5)))
        >>> [rising.share_after(seconds) for seconds in (0, 60, 500)]
        [0.05, 0.2, 0.5]
        """
        return next((step.share for step in reversed(self.ramp) if seconds >= step.after_s), self.share)

    def _problem(self) -> str | None:
        if not self.task_types:
            return f'it needs a task type ("{EVERY_TYPE}" for all of them)'
        return self._problem_of_shares() or self._problem_of_changes() or self._problem_of_ends()

    def _problem_of_shares(self) -> str | None:
        for share in (self.share, *(step.share for step in self.ramp)):
            if not 0 < share < 1:
                return f"a share must lie above 0 and below 1, not {share}"
        if not 0 < self.traffic <= 1:
            return f"its traffic must lie above 0, and at most at 1, not {self.traffic}"
        after = [step.after_s for step in self.ramp]
        if after != sorted(set(after)) or (after and after[0] <= 0):
            return "the steps of its ramp must come one after the other, the first one after the start"
        return None

    def _problem_of_changes(self) -> str | None:
        if self.treatment == self.control:
            return "treatment and control are the same; say what the treatment changes"
        for change in (self.treatment, self.control):
            if change.order is not None and change.policy is None:
                return "an order needs a policy that goes by it, such as statistical"
            if EVERY_TYPE in self.task_types and (change.order is not None or change.objective is not None):
                return "an order or an objective is one of a task type; say which task types it is tried on"
            if any(before == after for before, after in change.instead):
                return "a target cannot be tried instead of itself"
        return None

    def _problem_of_ends(self) -> str | None:
        if not 0 < self.alpha < 0.5:
            return f"alpha must lie above 0 and below 0.5, not {self.alpha}"
        if self.min_evidence < 1 or not 0 < self.max_days <= 365:
            return "min_evidence must be 1 or more, and max_days above 0 and at most 365"
        measures = [each.measure for each in self.guardrails]
        if len(set(measures)) < len(measures) or self.primary not in measures:
            return f"it needs one guardrail for each measure, {self.primary.value} among them, which is its primary one"
        for each in self.guardrails:
            most = 0.3 if each.measure.of_rates else 10.0
            if not 0 <= each.margin < most:
                return f"the margin of {each.measure.value} must lie between 0 and {most}, not {each.margin}"
            if each.limit is not None and (each.measure.of_rates or not each.limit > 0):
                return "a limit is one of latency or cost, and above 0"
        return None


_CHANGE = of_kind(Change, 'a Change such as Change(policy="statistical")')

_CHECKS = (
    ("name", ANYWAY, word),
    ("treatment", ANYWAY, _CHANGE),
    ("control", ANYWAY, _CHANGE),
    ("hypothesis", "", text),
    ("unit", BY_TASK, text),
    ("layer", "routing", text),
    ("traffic", ANYWAY, quantity),
    ("share", ANYWAY, quantity),
    ("ramp", ANYWAY, listed(of_kind(Step, "a Step"), "a list of steps such as (Step(after_s=60, share=0.5),)")),
    ("task_types", ANYWAY, names),
    ("primary", ANYWAY, _MEASURE),
    ("guardrails", ANYWAY, listed(of_kind(Guardrail, "a Guardrail"), "a list of guardrails")),
    ("promote", False, flag),
    ("alpha", ANYWAY, quantity),
    ("min_evidence", ANYWAY, whole(1)),
    ("max_days", ANYWAY, quantity),
    ("owner", "", text),
    ("salt", "", text),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What a decision was in one experiment: `probability` is how likely it was to be treated, when that was drawn.

    None: somebody had chosen the policy or the target, so that nothing was drawn, and nothing may be read off it.
    `unit` tells the tag's value from all others; None where the task was assigned for itself.
    """

    experiment: str
    unit: str | None
    treated: bool
    probability: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Underway:
    """An experiment as it is published, for every process to assign by.

    `offset` is where its part of the layer begins. While it is paused, everybody has what its control has.
    """

    experiment: Experiment
    started_at_us: int
    offset: float = 0.0
    paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentRun:
    """How an experiment stands. `state` is what the evidence has come to, with every outcome up to `cursor` in it, and
    every assignment up to `assigned_cursor`.

    `revision` counts the changes, so that of two at once one is made. `ran_us` is for how long it has been looked after
    while it was running, by clocks that may have been set meanwhile.
    """

    experiment: Experiment
    status: ExperimentStatus = ExperimentStatus.DRAFT
    revision: int = 0
    offset: float = 0.0
    created_at_us: int = 0
    started_at_us: int | None = None
    ended_at_us: int | None = None
    checked_at_us: int | None = None
    ran_us: int = 0
    cursor: int = 0
    assigned_cursor: int = 0
    state: Mapping[str, Any] | None = None
    note: str = ""

    @property
    def name(self) -> str:
        return self.experiment.name

    @property
    def underway(self) -> Underway:
        return Underway(
            experiment=self.experiment,
            started_at_us=self.started_at_us or 0,
            offset=self.offset,
            paused=self.status is ExperimentStatus.PAUSED,
        )
