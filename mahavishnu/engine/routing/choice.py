"""Choice: admission, then the policy, then the decision that says all of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import overload

from mahavishnu.engine.routing.admission import Admission, Gates
from mahavishnu.engine.routing.assignment import Assigned, Assigner
from mahavishnu.engine.routing.evidence import EvidenceBook
from mahavishnu.engine.supervision import said
from mahavishnu.errors import InputError, NothingEligible, PolicyFailed, UnknownName
from mahavishnu.model import Candidate, Considered, Decision, Ranked, Ranking, Snapshot, Task
from mahavishnu.model.experiment import Assignment
from mahavishnu.policies.recommendation import Recommendation, recommend
from mahavishnu.ports import Clock, Policy
from mahavishnu.stats.scoring import Scoring

log = logging.getLogger("mahavishnu.decisions")


def log_decision(decision: Decision) -> None:
    """One line at INFO: the choice, the figures that it rests on, and the id of the decision. The task is not in it."""
    # The reason is worked out when it is first read, which nothing waits for where the line is not wanted.
    if log.isEnabledFor(logging.INFO):
        log.info("%s (decision %s)", decision.reason, decision.id)


@dataclass(frozen=True, slots=True)
class Choice:
    """A decision, the chain behind it, and (where nothing is eligible) when waiting might help.

    `short`: somebody was kept out because a budget, as it was last read, had no room.
    """

    decision: Decision
    chain: Sequence[Ranked]
    next_at: float | None
    short: bool = False


class Chooser:
    """Decides; reads only memory, writes nothing."""

    def __init__(
        self,
        gates: Gates,
        book: EvidenceBook,
        assigner: Assigner,
        policies: Mapping[str, Policy],
        default_policy: str,
        clock: Clock,
        process_id: str,
        broken: Mapping[str, InputError] | None = None,
    ) -> None:
        self._gates = gates
        self._book = book
        self._assigner = assigner
        self._policies = policies
        self._broken = broken or {}
        self._versions = {name: policy.version for name, policy in policies.items()}
        self._default_policy = default_policy
        self._clock = clock
        self._process_id = process_id
        self._seeds = Random()

    def check_policy(self, name: str | None) -> None:
        """Raises UnknownName, or why a policy that is installed cannot be used."""
        if name is not None and name in self._broken:
            raise self._broken[name]
        if name is not None and name not in self._policies:
            raise UnknownName(kind="policy", name=name, see="mahavishnu doctor")

    def choose(self, task: Task, decision_id: str, policy: str | None = None, seed: int | None = None) -> Choice:
        began = time.perf_counter_ns()
        now_us = self._clock.now_us()
        assigned = self._assigner.assign(task, decision_id, self._book.snapshot(), now_us, policy=policy)
        snapshot = assigned.snapshot
        # A policy that was published may be one that this process does not have.
        ruling = self._policies.get(assigned.policy or self._default_policy) or self._policies[self._default_policy]
        admission, reserve = self._admit(task, assigned)
        seed = self._seeds.getrandbits(63) if seed is None else seed
        ranking = None
        if len(admission.candidates):
            ranking = _ranked(ruling, task, admission.candidates, snapshot, now_us, Random(seed))
        decision = Decision.deferred(
            _Record(task, ranking, admission, assigned),
            id=decision_id,
            at_us=now_us,
            process_id=self._process_id,
            task=task,
            selected=ranking.first.target.name if ranking else None,
            confidence=ranking.confidence if ranking else 0.0,
            confidence_kind=ranking.confidence_kind if ranking else "none",
            randomised=ranking is not None and task.target is None,
            policy=ruling.name,
            policy_version=self._versions[ruling.name],
            snapshot_version=snapshot.version,
            snapshot_cursor=snapshot.cursor,
            seed=seed,
            overhead_us=(time.perf_counter_ns() - began) // 1000,
        )
        chain = Chain(ranking, len(admission.candidates), reserve) if ranking else ()
        return Choice(decision, chain, admission.next_at, admission.short)

    def recommend(self, task: Task, scoring: Scoring) -> Recommendation:
        """The best expected target of those that may run the task now: no draw, no experiment, nothing recorded.

        Raises NothingEligible.
        """
        snapshot = self._book.snapshot()
        left_out = self._assigner.outside(task, snapshot, self._clock.now_us())
        admission = self._gates.admit(task, self._clock.monotonic_s(), left_out)
        if not len(admission.candidates):
            least = admission.relaxation
            raise NothingEligible(
                task_type=task.type,
                why_not=admission.why_not,
                relaxation=None if least is None else str(least),
            )
        return recommend(task, admission.candidates, snapshot, scoring)

    def _admit(self, task: Task, assigned: Assigned) -> tuple[Admission, Sequence[Candidate]]:
        """Who may be chosen; and who may run when those have failed, because an experiment has others in his place.

        Where none of the others can run now, he is chosen at once: nobody waits, or gets nothing, for an experiment.
        """
        now_s = self._clock.monotonic_s()
        admission = self._gates.admit(task, now_s, assigned.left_out)
        if not assigned.reserve:
            return admission, ()
        left_out = {name: why for name, why in assigned.left_out.items() if name not in assigned.reserve}
        with_reserve = self._gates.admit(task, now_s, left_out)
        if not len(admission.candidates):
            return with_reserve, ()
        return admission, [each for each in with_reserve.candidates if each.target.name in assigned.reserve]


def _ranked(
    policy: Policy, task: Task, candidates: Sequence[Candidate], snapshot: Snapshot, now_us: int, rng: Random
) -> Ranking:
    """What the policy says. Raises PolicyFailed: a policy of another package is blamed by its name, not the engine."""
    try:
        ranking: object = policy.rank(task, candidates, snapshot, now_us, rng)
    except Exception as failure:
        raise PolicyFailed(policy=policy.name, problem=said(failure)) from failure
    if not isinstance(ranking, Ranking):
        raise PolicyFailed(policy=policy.name, problem=f"it returned {type(ranking).__name__} and not a Ranking")
    return ranking


class Chain(Sequence[Ranked]):
    """A ranking's chain, of which only those that have their turn are worked out; after it, who is in reserve."""

    def __init__(self, ranking: Ranking, length: int, reserve: Sequence[Candidate] = ()) -> None:
        self._ranking = ranking
        self._length = length
        self._reserve = reserve

    def __len__(self) -> int:
        return self._length + len(self._reserve)

    @overload
    def __getitem__(self, place: int) -> Ranked: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Ranked, ...]: ...
    def __getitem__(self, place: int | slice) -> Ranked | tuple[Ranked, ...]:
        if isinstance(place, slice):
            return tuple(self[each] for each in range(*place.indices(len(self))))
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        place %= len(self)
        if place >= self._length:
            candidate = self._reserve[place - self._length]
            return Ranked(candidate=candidate, probability=0.0, score=None, components={}, note="in reserve")
        candidate = self._ranking.order[place] if place else self._ranking.first
        return Ranked.deferred(_Link(self._ranking, place), candidate=candidate)


@dataclass(frozen=True, slots=True)
class _Link:
    """What the chain says of one place in it."""

    ranking: Ranking
    place: int

    @property
    def probability(self) -> float:
        return self.ranking.chain[self.place].probability

    @property
    def score(self) -> float | None:
        return self.ranking.chain[self.place].score

    @property
    def components(self) -> Mapping[str, float | int | None]:
        return self.ranking.chain[self.place].components

    @property
    def note(self) -> str:
        return self.ranking.chain[self.place].note


@dataclass(frozen=True, slots=True)
class _Record:
    """What a decision's record holds that nobody waits for: worked out by whoever writes it down."""

    task: Task
    ranking: Ranking | None
    admission: Admission
    assigned: Assigned

    @property
    def assignments(self) -> tuple[Assignment, ...]:
        return self.assigned.assignments

    @property
    def probability(self) -> float:
        return self.ranking.chain[0].probability if self.ranking else 0.0

    @property
    def reason(self) -> str:
        return _reason(self.task, self.ranking, self.admission) + _arms(self.assignments)

    @property
    def considered(self) -> tuple[Considered, ...]:
        return _considered(self.ranking.chain if self.ranking else (), self.admission)


def _reason(task: Task, ranking: Ranking | None, admission: Admission) -> str:
    if ranking is None:
        each = "; ".join(f"{name}: {why}" for name, why in admission.why_not.items())
        return f"Chose nobody: {each}"
    asked_for = "asked for by name; " if task.target is not None else ""
    return f"Chose {ranking.first.target.name}: {asked_for}{ranking.why}"


def _arms(assignments: Sequence[Assignment]) -> str:
    arms = [
        f"{each.experiment} ({'not drawn' if each.probability is None else 'treatment' if each.treated else 'control'})"
        for each in assignments
    ]
    return f"; in experiment {', '.join(arms)}" if arms else ""


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
    least = admission.relaxation
    barred = tuple(
        Considered(
            target=name,
            eligible=False,
            why_not=why,
            note=str(least) if least is not None and least.target == name else "",
        )
        for name, why in admission.why_not.items()
    )
    return ranked + barred
