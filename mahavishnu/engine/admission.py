"""Admission: which targets may run a task now, and for each of the others why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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

    candidates: tuple[Candidate, ...]
    why_not: Mapping[str, str]
    next_at: float | None


def admit(task: Task, applicants: Sequence[Applicant]) -> Admission:
    """Filter, before anything is ranked: what is not admitted never competes, also when it is the only one."""
    candidates: list[Candidate] = []
    why_not: dict[str, str] = {}
    next_at: float | None = None
    for each in applicants:
        reason = _barred(task, each)
        if reason is None and each.rests is not None:
            reason = each.rests
            if each.rests_until is not None:
                next_at = each.rests_until if next_at is None else min(next_at, each.rests_until)
        if reason is None:
            candidates.append(Candidate(each.target, each.estimate))
        else:
            why_not[each.target.name] = reason
    return Admission(tuple(candidates), why_not, next_at)


def _barred(task: Task, each: Applicant) -> str | None:
    """Why waiting would not help either; None where nothing stands against it."""
    target = each.target
    if task.target is not None and target.name != task.target:
        return f"{task.target} was asked for"
    if not target.takes(task.type):
        return f'does not take "{task.type}" (it takes {", ".join(sorted(target.task_types))})'
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
