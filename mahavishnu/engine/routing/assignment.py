"""Assignment: which experiments a task is in, by whose toss, and what its choice goes by instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import groupby

from mahavishnu.model import Snapshot, Task
from mahavishnu.model.experiment import BY_TASK, EVERY_TYPE, Assignment, Change, Underway
from mahavishnu.model.objective import Objective
from mahavishnu.stats.assignment import ALL, BITS, LANE, Thresholds, digest, multiplier, threshold

MOST_PLANS = 1_000
"""Task types that are remembered at once: there may be any number."""

MOST_MIXES = 4_096
"""Combinations of arms that are remembered at once: of ten experiments there may be a thousand."""

OUTSIDE, TREATED, BY_HAND, CONTROL = range(4)
"""How a task stands to an experiment: two bits of a code that says so of all of them. The lower one is set where it
takes part, the upper one besides where it is not treated."""

NO_TARGET: Mapping[str, str] = {}

Units = Sequence[int | None]
"""Digests, one for each kind of unit that experiments assign by; None where a task has no such unit."""

_HOLDOUT = multiplier("holdout")
_FOREVER = 1 << 63


class Assigned:
    """What a choice goes by: what is published, as the experiments of its task have changed it.

    `policy` None: the one that is set. `left_out` are the targets that may not be chosen, each with the reason; of them
    those in `reserve` have others in their place, and their turn when none of those is left.
    """

    # Made for every decision: a dataclass that is frozen takes longer than all tosses together.
    __slots__ = ("_code", "_plan", "_task", "_units", "left_out", "policy", "reserve", "snapshot")

    def __init__(
        self,
        task: Task,
        snapshot: Snapshot,
        policy: str | None = None,
        left_out: Mapping[str, str] = NO_TARGET,
        plan: _Plan | None = None,
        code: int = 0,
        units: Units = (),
        reserve: Set[str] = frozenset(),
    ) -> None:
        self._task = task
        self.snapshot = snapshot
        self.policy = policy
        self.left_out = left_out
        self._plan = plan
        self._code = code
        self._units = units
        self.reserve = reserve

    @property
    def assignments(self) -> tuple[Assignment, ...]:
        """In words: worked out by whoever writes the decision down."""
        return () if self._plan is None else tuple(self._plan.assignments(self._code, self._task, self._units))


class Assigner:
    """Assigns the same unit to the same arm, wherever and whenever it is asked, as long as the share stays."""

    def __init__(self, holdout: float = 0.0) -> None:
        """`holdout` is the share of all units that are in no experiment, whichever is on its way."""
        self._holdout = threshold(holdout)
        self._snapshot = Snapshot()
        self._plans: dict[str, _Plan] = {}

    def assign(
        self, task: Task, decision_id: str, snapshot: Snapshot, now_us: int, *, policy: str | None = None
    ) -> Assigned:
        """`policy` is the caller's own. Where he has chosen that or the target himself, nothing is drawn: it is
        recorded that the task would have been in the experiment, and that it says nothing about it."""
        if not (snapshot.experiments or snapshot.policies or snapshot.put_aside):
            return Assigned(task, snapshot, policy)
        plan = self._plan(task.type, snapshot, now_us)
        code, units = plan.toss(task, decision_id, self._holdout)
        if task.target is not None:
            # Who asks for a target by name gets it.
            return Assigned(task, snapshot, policy, NO_TARGET, plan, plan.by_hand(code), units)
        if policy is not None:
            code = plan.by_hand(code)
        mix = plan.mixes.get(code) or plan.mix(code)
        published, ruling = mix.applied_to(snapshot), policy or mix.policy
        return Assigned(task, published, ruling, mix.left_out, plan, code, units, mix.reserve)

    def outside(self, task: Task, snapshot: Snapshot, now_us: int) -> Mapping[str, str]:
        """The targets that a task in no experiment may not be sent to, each with the reason. Nothing is drawn."""
        if task.target is not None or not (snapshot.experiments or snapshot.put_aside):
            return NO_TARGET
        plan = self._plan(task.type, snapshot, now_us)
        return (plan.mixes.get(OUTSIDE) or plan.mix(OUTSIDE)).left_out

    def _plan(self, task_type: str, snapshot: Snapshot, now_us: int) -> _Plan:
        if self._snapshot is not snapshot:
            if _said(self._snapshot) != _said(snapshot):
                self._plans.clear()
            self._snapshot = snapshot
        plan = self._plans.get(task_type)
        if plan is None or not plan.since_us <= now_us < plan.until_us:
            if len(self._plans) >= MOST_PLANS:
                self._plans.clear()
            plan = self._plans[task_type] = _Plan(task_type, snapshot, now_us)
        return plan


class _Plan:
    """All that is the same for every task of a type, until a share changes by its ramp."""

    def __init__(self, task_type: str, snapshot: Snapshot, now_us: int) -> None:
        self._task_type = task_type
        underway = [each for each in snapshot.experiments if each.experiment.takes(task_type)]
        self._seats = [_Seat(each, now_us) for each in sorted(underway, key=lambda each: each.experiment.unit)]
        self._kinds = list(_kinds(self._seats))
        self._aside = {**snapshot.put_aside.get(EVERY_TYPE, {}), **snapshot.put_aside.get(task_type, {})}
        self._policy = snapshot.policies.get(task_type) or snapshot.policies.get(EVERY_TYPE)
        self.since_us, self.until_us = _span(underway, now_us)
        self.mixes: dict[int, _Mix] = {}

    def toss(self, task: Task, decision_id: str, holdout: int) -> tuple[int, Units]:
        """How a task stands to each of the experiments; and whom they would assign: itself, or whom its tags name."""
        code = 0
        units: list[int | None] = []
        for kind in self._kinds:
            unit = kind.unit
            named = (task.idempotency_key or decision_id) if unit == BY_TASK else task.tags.get(unit)
            if named is None:
                units.append(None)
                continue
            known = digest(named)
            units.append(known)
            at = known & ALL
            if not holdout or at * _HOLDOUT & ALL >= holdout:
                code |= kind.code(at)
        return code, units

    def by_hand(self, code: int) -> int:
        """The same, for a task that somebody has chosen for: it takes part, and nothing was drawn."""
        return sum(BY_HAND << seat.shift for seat in self._seats if seat.state(code) != OUTSIDE)

    def assignments(self, code: int, task: Task, units: Units) -> Iterator[Assignment]:
        digests = dict(zip((kind.unit for kind in self._kinds), units, strict=True))
        if task.idempotency_key is None:
            # Such a task is nothing but itself, and never comes again.
            digests[BY_TASK] = None
        for seat in self._seats:
            state = seat.state(code)
            if state == OUTSIDE or seat.paused:
                continue
            unit = digests[seat.experiment.unit]
            yield Assignment(
                experiment=seat.experiment.name,
                unit=None if unit is None else f"{unit:016x}",
                treated=state == TREATED,
                probability=None if state == BY_HAND else seat.share,
            )

    def mix(self, code: int) -> _Mix:
        if len(self.mixes) >= MOST_MIXES:
            self.mixes.clear()
        found = self.mixes[code] = self._mixed(code)
        return found

    def _mixed(self, code: int) -> _Mix:
        """What the arms come to together; where two of them change the same, the later experiment has its way."""
        left_out = {name: f"{aside} (mahavishnu routing release {name})" for name, aside in self._aside.items()}
        reserve: set[str] = set()
        changes: list[Change] = []
        for seat in sorted(self._seats, key=lambda seat: seat.started_at_us):
            change, name = seat.change(seat.state(code)), seat.experiment.name
            changes.insert(0, change)
            mine = {stand_in for _, stand_in in change.instead}
            replaced = {target for target, _ in change.instead}
            left_out = {target: why for target, why in left_out.items() if target not in mine}
            left_out |= dict.fromkeys(sorted(seat.stand_ins - mine), f"left out by experiment {name}")
            left_out |= dict.fromkeys(sorted(replaced), f"in reserve: replaced by experiment {name}")
            reserve |= replaced
        return _Mix(
            task_type=self._task_type,
            policy=next((each.policy for each in changes if each.policy is not None), self._policy),
            left_out=left_out,
            reserve=frozenset(reserve),
            order=next((each.order for each in changes if each.order is not None), None),
            objective=next((each.objective for each in changes if each.objective is not None), None),
        )


class _Kind:
    """All experiments that assign by one unit, whose bits of the code begin with the bit `shift`."""

    def __init__(self, unit: str, seats: Sequence[_Seat], shift: int) -> None:
        self.unit = unit
        self._shift = shift
        self._arms = Thresholds([(seat.salt, threshold(seat.share)) for seat in seats])
        self._begins = Thresholds([(seat.layer, seat.begin) for seat in seats])
        self._ends = Thresholds([(seat.layer, seat.end) for seat in seats])
        # Where each has a layer for itself, as it is without anybody saying otherwise, nobody needs to ask.
        self._alone = all(seat.end - seat.begin > ALL for seat in seats)
        for lane, seat in enumerate(seats):
            seat.shift = shift + LANE * lane

    def code(self, at: int) -> int:
        """How the unit that stands there stands to each of them."""
        among = self._begins.all if self._alone else self._begins.reached(at) & ~self._ends.reached(at)
        return (among | (self._arms.reached(at) & among) << 1) >> BITS << self._shift


class _Seat:
    """An experiment with the numbers that every toss needs."""

    def __init__(self, underway: Underway, now_us: int) -> None:
        experiment = self.experiment = underway.experiment
        self.paused = underway.paused
        self.started_at_us = underway.started_at_us
        self.share = experiment.share_after((now_us - underway.started_at_us) / 1e6)
        self.salt = multiplier(f"experiment {experiment.salt or experiment.name}")
        self.layer = multiplier(f"layer {experiment.layer}")
        self.begin, self.end = threshold(underway.offset), threshold(underway.offset + experiment.traffic)
        self.shift = 0
        both = (experiment.treatment, experiment.control)
        self.stand_ins = {stand_in for change in both for _, stand_in in change.instead}

    def state(self, code: int) -> int:
        """What a code says of it."""
        return code >> self.shift & 3

    def change(self, state: int) -> Change:
        if state in (OUTSIDE, BY_HAND):
            return Change()
        return self.experiment.treatment if state == TREATED and not self.paused else self.experiment.control


@dataclass(slots=True)
class _Mix:
    """What the choice of one combination of arms goes by."""

    task_type: str
    policy: str | None
    left_out: Mapping[str, str]
    reserve: Set[str]
    order: tuple[str, ...] | None
    objective: Objective | None
    _before: Snapshot | None = None
    _after: Snapshot | None = None

    def applied_to(self, snapshot: Snapshot) -> Snapshot:
        """What is published, with what is put in its place for this task type."""
        if self.order is None and self.objective is None:
            return snapshot
        if self._after is None or self._before is not snapshot:
            orders, strategies = dict(snapshot.orders), dict(snapshot.strategies)
            if self.order is not None:
                orders[self.task_type] = self.order
            if self.objective is not None:
                strategies[self.task_type] = self.objective
            self._before, self._after = snapshot, replace(snapshot, orders=orders, strategies=strategies)
        return self._after


def _kinds(seats: Sequence[_Seat]) -> Iterator[_Kind]:
    shift = 0
    for unit, found in groupby(seats, lambda seat: seat.experiment.unit):
        alike = list(found)
        yield _Kind(unit, alike, shift)
        shift += LANE * len(alike)


def _said(snapshot: Snapshot) -> tuple[object, ...]:
    """All that a snapshot says of experiments."""
    return snapshot.experiments, snapshot.policies, snapshot.put_aside


def _span(underway: Sequence[Underway], now_us: int) -> tuple[int, int]:
    """From when until when all shares are what they are now."""
    steps = [each.started_at_us + round(step.after_s * 1e6) for each in underway for step in each.experiment.ramp]
    since = max((at_us for at_us in steps if at_us <= now_us), default=-_FOREVER)
    return since, min((at_us for at_us in steps if at_us > now_us), default=_FOREVER)
