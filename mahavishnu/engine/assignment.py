"""Assignment: which experiments a task is in, by whose toss, and what its choice goes by instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import groupby

from mahavishnu.model import Snapshot, Task
from mahavishnu.model.experiment import BY_TASK, EVERY_TYPE, Assignment, Change, Underway
from mahavishnu.model.objective import Objective
from mahavishnu.stats.assignment import ALL, digest, multiplier, place, threshold

MOST_PLANS = 1_000
"""Task types that are remembered at once: there may be any number."""

MOST_MIXES = 4_096
"""Combinations of arms that are remembered at once: of ten experiments there may be a thousand."""

OUTSIDE, TREATED, CONTROL, BY_HAND = range(4)
"""How a task stands to an experiment: two bits of a code that says so of all of them."""

NOBODY: Mapping[str, str] = {}

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
        left_out: Mapping[str, str] = NOBODY,
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
            return Assigned(task, snapshot, policy, NOBODY, plan, plan.by_hand(code), units)
        if policy is not None:
            code = plan.by_hand(code)
        mix = plan.mixes.get(code) or plan.mix(code)
        published, ruling = mix.applied_to(snapshot), policy or mix.policy
        return Assigned(task, published, ruling, mix.left_out, plan, code, units, mix.reserve)

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
        self._by_unit = [
            (unit, [seat.numbers for seat in seats])
            for unit, seats in groupby(self._seats, lambda seat: seat.experiment.unit)
        ]
        self._aside = {**snapshot.put_aside.get(EVERY_TYPE, NOBODY), **snapshot.put_aside.get(task_type, NOBODY)}
        self._policy = snapshot.policies.get(task_type) or snapshot.policies.get(EVERY_TYPE)
        self.since_us, self.until_us = _span(underway, now_us)
        self.mixes: dict[int, _Mix] = {}

    def toss(self, task: Task, decision_id: str, holdout: int) -> tuple[int, Units]:
        """How a task stands to each of the experiments; and whom they would assign: itself, or whom its tags name."""
        code = 0
        units: list[int | None] = []
        for unit, seats in self._by_unit:
            named = (task.idempotency_key or decision_id) if unit == BY_TASK else task.tags.get(unit)
            if named is None:
                units.append(None)
                code <<= 2 * len(seats)
                continue
            known = digest(named)
            units.append(known)
            at = place(known)
            if holdout and at * _HOLDOUT & ALL < holdout:
                code <<= 2 * len(seats)
                continue
            for salt, below, layer, begin, end in seats:
                code <<= 2
                if layer is None or begin <= at * layer & ALL < end:
                    code |= TREATED if at * salt & ALL < below else CONTROL
        return code, units

    def by_hand(self, code: int) -> int:
        """The same, for a task that somebody has chosen for: it is in the experiments, and nothing was drawn."""
        chosen = 0
        for state in self._states(code):
            chosen = chosen << 2 | (OUTSIDE if state == OUTSIDE else BY_HAND)
        return chosen

    def assignments(self, code: int, task: Task, units: Units) -> Iterator[Assignment]:
        digests = dict(zip((unit for unit, _ in self._by_unit), units, strict=True))
        if task.idempotency_key is None:
            # Such a task is nothing but itself, and never comes again.
            digests[BY_TASK] = None
        for seat, state in zip(self._seats, self._states(code), strict=True):
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
        found = self.mixes[code] = self._mixed(self._states(code))
        return found

    def _mixed(self, states: Sequence[int]) -> _Mix:
        """What the arms come to together; where two of them change the same, the later experiment has its way."""
        left_out = {target: f"put aside by experiment {by}" for target, by in self._aside.items()}
        reserve: set[str] = set()
        changes: list[Change] = []
        for seat, state in sorted(zip(self._seats, states, strict=True), key=lambda each: each[0].started_at_us):
            change, name = seat.change(state), seat.experiment.name
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

    def _states(self, code: int) -> list[int]:
        return [code >> 2 * place & 3 for place in reversed(range(len(self._seats)))]


class _Seat:
    """An experiment with the numbers that every toss needs."""

    def __init__(self, underway: Underway, now_us: int) -> None:
        experiment = self.experiment = underway.experiment
        self.paused = underway.paused
        self.started_at_us = underway.started_at_us
        self.share = experiment.share_after((now_us - underway.started_at_us) / 1e6)
        salt = multiplier(f"experiment {experiment.salt or experiment.name}")
        begin, end = threshold(underway.offset), threshold(underway.offset + experiment.traffic)
        # Where all of the layer is its own, nobody needs to ask.
        layer = multiplier(f"layer {experiment.layer}") if end - begin <= ALL else None
        self.numbers = (salt, threshold(self.share), layer, begin, end)
        both = (experiment.treatment, experiment.control)
        self.stand_ins = {stand_in for change in both for _, stand_in in change.instead}

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


def _said(snapshot: Snapshot) -> tuple[object, ...]:
    """All that a snapshot says of experiments."""
    return snapshot.experiments, snapshot.policies, snapshot.put_aside


def _span(underway: Sequence[Underway], now_us: int) -> tuple[int, int]:
    """From when until when all shares are what they are now."""
    steps = [each.started_at_us + round(step.after_s * 1e6) for each in underway for step in each.experiment.ramp]
    since = max((at_us for at_us in steps if at_us <= now_us), default=-_FOREVER)
    return since, min((at_us for at_us in steps if at_us > now_us), default=_FOREVER)
