"""Admission: which targets may run a task now, and for each of the others why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mahavishnu.engine.evidence import EvidenceBook
from mahavishnu.engine.pool import Pool
from mahavishnu.engine.roster import Roster
from mahavishnu.model import Candidate, Estimate, Health, Target, Task

ENOUGH_FOR_SLA = 20
"""Successes below which an observed p95 says too little to keep a target out."""


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
    """`next_at` is when the first of the resting ones may be tried again; None where waiting would not help."""

    candidates: Sequence[Candidate]
    why_not: Mapping[str, str]
    next_at: float | None


class Gate:
    """Admits to tasks of one type. What it found out stands until a target, its health or its evidence changes."""

    def __init__(self, task_type: str, roster: Roster, book: EvidenceBook) -> None:
        self._task_type = task_type
        self._roster = roster
        self._book = book
        self._pool = Pool()

    def admit(self, task: Task, now_s: float) -> Admission:
        """Filter, before anything is ranked: what is not admitted never competes, also when it is the only one."""
        self._look()
        standing = self._standing(now_s)
        if all(standing) and not _is_choosy(task):
            return Admission(self._pool.everybody(), {}, None)
        return self._pick(task, standing, now_s)

    def _look(self) -> None:
        """See who there is and what is known of them by now."""
        pool, estimate, task_type = self._pool, self._book.estimate, self._task_type
        targets = self._roster.taking(task_type)
        seen = [estimate(each.name, task_type) for each in targets]
        if len(targets) != len(pool.targets) or any(map(_differ, targets, pool.targets)):
            pool.set_up(targets, seen)
            return
        news = {place: new for place, (new, old) in enumerate(zip(seen, pool.estimates, strict=True)) if new is not old}
        if news:
            pool.learn(news)

    def _standing(self, now_s: float) -> list[bool]:
        """Of each whether it could take a task that asks for nothing in particular."""
        roster = self._roster
        return [
            roster.enabled(name) and roster.health(name).can_run and roster.breaker(name).rests_until(now_s) is None
            for name in (each.name for each in self._pool.targets)
        ]

    def _pick(self, task: Task, standing: Sequence[bool], now_s: float) -> Admission:
        admitted: list[int] = []
        why_not: dict[str, str] = {}
        next_at: float | None = None
        choosy = _is_choosy(task)
        for place, (target, stands) in enumerate(zip(self._pool.targets, standing, strict=True)):
            if stands and not choosy:
                admitted.append(place)
                continue
            applicant = self._applicant(task, target, self._pool.estimates[place], now_s)
            reason = _barred(task, applicant)
            if reason is None and applicant.rests is not None:
                reason = applicant.rests
                if applicant.rests_until is not None:
                    next_at = applicant.rests_until if next_at is None else min(next_at, applicant.rests_until)
            if reason is None:
                admitted.append(place)
            else:
                why_not[target.name] = reason
        if task.target is not None and all(each.name != task.target for each in self._pool.targets):
            why_not[task.target] = _takes_others(task, self._roster.target(task.target))
        return Admission(self._pool.part(tuple(admitted)), why_not, next_at)

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
    return task.target is not None or bool(task.exclude) or bool(task.capabilities) or task.max_latency_ms is not None


def _differ(target: Target, before: Target) -> bool:
    return target is not before and target != before


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
    return _too_slow(task, each.estimate)


def _too_slow(task: Task, seen: Estimate) -> str | None:
    if task.max_latency_ms is None or seen.p95_ms is None or seen.successes < ENOUGH_FOR_SLA:
        return None
    if seen.p95_ms <= task.max_latency_ms:
        return None
    return f"p95 {seen.p95_ms:.0f} ms is above the task's max_latency_ms {task.max_latency_ms} (n={seen.successes})"
