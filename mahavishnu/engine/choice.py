"""Choice: admission, then the policy, then the decision that says all of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from mahavishnu.engine.admission import Admission, Applicant, admit
from mahavishnu.engine.evidence import EvidenceBook
from mahavishnu.engine.roster import Roster
from mahavishnu.errors import UnknownName
from mahavishnu.model import Considered, Decision, Ranked, Ranking, Target, Task
from mahavishnu.ports import Clock, Policy


@dataclass(frozen=True, slots=True)
class Choice:
    """A decision, the chain behind it, and (where nothing is eligible) when waiting might help."""

    decision: Decision
    chain: tuple[Ranked, ...]
    next_at: float | None


class Chooser:
    """Decides; reads only memory, writes nothing."""

    def __init__(
        self,
        roster: Roster,
        book: EvidenceBook,
        policies: Mapping[str, Policy],
        default_policy: str,
        clock: Clock,
        process_id: str,
    ) -> None:
        self._roster = roster
        self._book = book
        self._policies = policies
        self._versions = {name: policy.version for name, policy in policies.items()}
        self._default_policy = default_policy
        self._clock = clock
        self._process_id = process_id
        self._seeds = Random()

    def check_policy(self, name: str | None) -> None:
        if name is not None and name not in self._policies:
            raise UnknownName(kind="policy", name=name, see="mahavishnu doctor")

    def choose(self, task: Task, decision_id: str, policy: str | None = None, seed: int | None = None) -> Choice:
        began = time.perf_counter_ns()
        ruling = self._policies[policy or self._default_policy]
        snapshot = self._book.snapshot()
        now_us = self._clock.now_us()
        admission = self._admit(task)
        seed = self._seeds.getrandbits(63) if seed is None else seed
        ranking = None
        if admission.candidates:
            ranking = ruling.rank(task, admission.candidates, snapshot, now_us, Random(seed))
        chain = ranking.chain if ranking else ()
        first = chain[0] if chain else None
        decision = Decision(
            id=decision_id,
            at_us=now_us,
            process_id=self._process_id,
            task=task,
            selected=first.candidate.target.name if first else None,
            probability=first.probability if first else 0.0,
            confidence=ranking.confidence if ranking else 0.0,
            confidence_kind=ranking.confidence_kind if ranking else "none",
            randomised=first is not None and task.target is None,
            reason=_reason(task, ranking, admission),
            considered=_considered(chain, admission),
            policy=ruling.name,
            policy_version=self._versions[ruling.name],
            snapshot_version=snapshot.version,
            snapshot_cursor=snapshot.cursor,
            seed=seed,
            overhead_us=(time.perf_counter_ns() - began) // 1000,
        )
        return Choice(decision, chain, admission.next_at)

    def _admit(self, task: Task) -> Admission:
        targets = self._roster.taking(task.type)
        if task.target is not None and all(each.name != task.target for each in targets):
            targets = [*targets, self._roster.target(task.target)]
        now_s = self._clock.monotonic_s()
        return admit(task, [self._applicant(task, target, now_s) for target in targets])

    def _applicant(self, task: Task, target: Target, now_s: float) -> Applicant:
        breaker = self._roster.breaker(target.name)
        rests_until = breaker.rests_until(now_s)
        return Applicant(
            target=target,
            enabled=self._roster.enabled(target.name),
            health=self._roster.health(target.name),
            estimate=self._book.estimate(target.name, task.type),
            capable=self._roster.capable(target, task.capabilities) if task.capabilities else frozenset(),
            rests=None if rests_until is None else breaker.why(now_s),
            rests_until=rests_until,
        )


def _reason(task: Task, ranking: Ranking | None, admission: Admission) -> str:
    if ranking is None:
        each = "; ".join(f"{name}: {why}" for name, why in admission.why_not.items())
        return f"Chose nobody: {each}"
    asked_for = "asked for by name; " if task.target is not None else ""
    return f"Chose {ranking.chain[0].candidate.target.name}: {asked_for}{ranking.why}"


def _considered(chain: tuple[Ranked, ...], admission: Admission) -> tuple[Considered, ...]:
    ranked = tuple(
        Considered(
            target=each.candidate.target.name,
            eligible=True,
            probability=each.probability,
            score=each.score,
            components=each.components,
            note=each.note,
        )
        for each in chain
    )
    barred = tuple(Considered(target=name, eligible=False, why_not=why) for name, why in admission.why_not.items())
    return ranked + barred
