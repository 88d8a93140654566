"""Admission: which targets may run a task now, and for each of the others why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mahavishnu.engine.routing.assignment import NO_TARGET
from mahavishnu.engine.routing.candidate_pool import Pool
from mahavishnu.engine.routing.evidence import EvidenceBook
from mahavishnu.engine.routing.roster import Roster
from mahavishnu.engine.spending.spending import Purse, worst_case
from mahavishnu.model import Candidate, Estimate, Health, Target, Task
from mahavishnu.planning.constraints import Failing, Relaxation, failing, relaxation

MOST_GATES = 1_000
"""Task types that are remembered at once. Generalists take whatever type is asked for, so there may be any number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applicant:
    """A target that takes the task's type, with everything that admission asks about it.

    `rests` says why its breaker refuses now, None where it does not; `rests_until` when that ends.
    """

    target: Target
    enabled: bool
    health: Health
    estimate: Estimate
    capable: frozenset[str] = frozenset()
    rests: str | None = None
    rests_until: float | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    """`next_at` is when the first of the resting ones may be tried again; None where waiting would not help.

    `short`: somebody was kept out because a budget, as it was last read, had no room. `relaxation` is the least that
    the task would have to demand less of for somebody to be admitted, where nobody was.
    """

    candidates: Sequence[Candidate]
    why_not: Mapping[str, str]
    next_at: float | None
    short: bool = False
    relaxation: Relaxation | None = None


class Gates:
    """A gate for each task type that was asked for lately."""

    def __init__(self, roster: Roster, book: EvidenceBook, purse: Purse) -> None:
        self._roster = roster
        self._book = book
        self._purse = purse
        self._gates: dict[str, Gate] = {}

    def admit(self, task: Task, now_s: float, left_out: Mapping[str, str] = NO_TARGET) -> Admission:
        """`left_out` are those that experiments keep it from, each with the reason."""
        gate = self._gates.get(task.type)
        if gate is None:
            if len(self._gates) >= MOST_GATES:
                del self._gates[next(iter(self._gates))]
            gate = self._gates[task.type] = Gate(task.type, self._roster, self._book, self._purse)
        return gate.admit(task, now_s, left_out)


class Gate:
    """Admits to tasks of one type. What it found out stands until a target, its health or its evidence changes."""

    def __init__(self, task_type: str, roster: Roster, book: EvidenceBook, purse: Purse) -> None:
        self._task_type = task_type
        self._roster = roster
        self._book = book
        self._purse = purse
        self._unbounded = False
        self._pool = Pool()
        self._places: dict[str, int] = {}
        self._version: int | None = None
        self._uneasy: list[int] = []

    def admit(self, task: Task, now_s: float, left_out: Mapping[str, str] = NO_TARGET) -> Admission:
        """Filter, before anything is ranked: what is not admitted never competes, also when it is the only one."""
        self._look(now_s)
        paid_for = self._purse.may_bar(unbounded=self._unbounded)
        if not self._uneasy and not paid_for and not left_out and not _is_choosy(task):
            return Admission(self._pool.everybody(), {}, None)
        return self._pick(task, now_s, left_out, paid_for=paid_for)

    def _look(self, now_s: float) -> None:
        """See who there is and what is known of them by now, as far as anything may have changed."""
        pool, estimate, task_type = self._pool, self._book.estimate, self._task_type
        news = self._book.news(task_type)
        if self._version != self._roster.version:
            self._version = self._roster.version
            targets = self._roster.taking(task_type)
            self._places = {each.name: place for place, each in enumerate(targets)}
            if targets != list(pool.targets):
                news = set()
                pool.set_up(targets, [estimate(each.name, task_type) for each in targets])
                self._unbounded = any(worst_case(each, 0) is None for each in targets)
            self._uneasy = list(range(len(targets)))
        if self._uneasy:
            self._uneasy = [place for place in self._uneasy if not self._is_at_ease(pool.targets[place], now_s)]
        if news is None:
            news = set(self._places)
        if news:
            places = self._places
            pool.learn({places[name]: estimate(name, task_type) for name in news if name in places})

    def _is_at_ease(self, target: Target, now_s: float) -> bool:
        """Whether it can take whatever asks for nothing in particular, until the roster says otherwise."""
        name, roster = target.name, self._roster
        return roster.enabled(name) and roster.health(name).can_run and roster.breaker(name).at_ease(now_s)

    def _pick(self, task: Task, now_s: float, left_out: Mapping[str, str], *, paid_for: bool) -> Admission:
        barred: set[int] = set()
        broken: dict[str, tuple[Failing, ...]] = {}
        short = False
        why_not: dict[str, str] = {}
        next_at: float | None = None
        everybody = paid_for or bool(left_out) or _is_choosy(task)
        asked = range(len(self._pool.targets)) if everybody else self._uneasy
        for place in asked:
            target = self._pool.targets[place]
            applicant = self._applicant(task, target, self._pool.estimates[place], now_s)
            reason = left_out.get(target.name) or _barred(task, applicant)
            if reason is None and (breaks := failing(task, applicant.estimate)):
                reason = "; ".join(map(str, breaks))
                if applicant.rests is None:
                    broken[target.name] = breaks
            if reason is None and applicant.rests is not None:
                reason = applicant.rests
                if applicant.rests_until is not None:
                    next_at = applicant.rests_until if next_at is None else min(next_at, applicant.rests_until)
            if reason is None and paid_for:
                reason = self._purse.bars(task, target)
                short = short or reason is not None
            if reason is not None:
                barred.add(place)
                why_not[target.name] = reason
        if task.target is not None and all(each.name != task.target for each in self._pool.targets):
            why_not[task.target] = _takes_others(task, self._roster.target(task.target))
        admitted = tuple(place for place in range(len(self._pool.targets)) if place not in barred)
        least = None if admitted else relaxation(broken)
        return Admission(self._pool.part(admitted), why_not, next_at, short, least)

    def _applicant(self, task: Task, target: Target, seen: Estimate, now_s: float) -> Applicant:
        breaker = self._roster.breaker(target.name)
        rests_until = breaker.rests_until(now_s)
        return Applicant(
            target=target,
            enabled=self._roster.enabled(target.name),
            health=self._roster.health(target.name),
            estimate=seen,
            capable=self._roster.capable(target, task.capabilities) if task.capabilities else frozenset(),
            rests=None if rests_until is None else breaker.why(now_s),
            rests_until=rests_until,
        )


def _is_choosy(task: Task) -> bool:
    """Whether it asks for more than its type."""
    # Each asked by itself: this stands in the way of every decision.
    return bool(
        task.exclude
        or task.capabilities
        or task.target is not None
        or task.max_latency_ms is not None
        or task.max_cost_usd is not None
        or task.min_success_rate is not None
        or task.min_quality is not None
        or task.deadline_ms is not None
    )


def _takes_others(task: Task, target: Target) -> str:
    return f'does not take "{task.type}" (it takes {", ".join(sorted(target.task_types))})'


def _barred(task: Task, each: Applicant) -> str | None:
    """Why waiting would not help either; None where nothing stands against it."""
    target = each.target
    if task.target is not None and target.name != task.target:
        return f"{task.target} was asked for"
    if not target.takes(task.type):
        return _takes_others(task, target)
    if not each.enabled:
        return f"disabled (mahavishnu targets enable {target.name})"
    if target.name in task.exclude:
        return "excluded by the task"
    if missing := task.capabilities - target.capabilities - each.capable:
        return f"cannot {', '.join(sorted(missing))}"
    if not each.health.can_run:
        return f"{each.health.status}: {each.health.detail or 'no detail given'}"
    return None
