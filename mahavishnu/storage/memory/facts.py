"""What stores in memory share, and how facts are put into it and found there."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Set
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from mahavishnu.model import Decision, Execution, Outcome, Revision, Snapshot, Status
from mahavishnu.model.identity import IdKind
from mahavishnu.ports import Evidence, ExecutionQuery, Fact, Settlement
from mahavishnu.storage.memory.aggregates import AggregateMemory, JobMemory
from mahavishnu.storage.memory.alerts import AlertMemory
from mahavishnu.storage.memory.experiments import ExperimentMemory
from mahavishnu.storage.memory.money import MoneyMemory
from mahavishnu.storage.memory.targets import TargetMemory
from mahavishnu.storage.memory.workflows import WorkflowMemory
from mahavishnu.storage.sql.coordination.idempotency import Holding
from mahavishnu.storage.sql.facts.fact_rows import decision_of, decision_row, end_row, ended_of
from mahavishnu.storage.sql.facts.facts_write import unknown_decision
from mahavishnu.storage.sql.facts.revisions import revise, still_running

T = TypeVar("T")


@dataclass(slots=True)
class Held:
    """A key that was claimed."""

    fingerprint: str
    decision_id: str
    process_id: str
    succeeded: bool = False


@dataclass(slots=True)
class Memory:
    """What stores in memory share: two stores on one Memory see each other as two processes on one database would."""

    position: int = 0
    decisions: dict[str, Decision] = field(default_factory=dict)
    starts: dict[str, Execution] = field(default_factory=dict)
    run_ids: dict[str, str] = field(default_factory=dict)
    ends: dict[str, Execution] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    evidence: list[tuple[int, Evidence]] = field(default_factory=list)
    keys: dict[str, Held] = field(default_factory=dict)
    processes: set[str] = field(default_factory=set)
    given_up: list[str] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=lambda: [Snapshot()])
    aggregates: AggregateMemory = field(default_factory=AggregateMemory)
    jobs: JobMemory = field(default_factory=JobMemory)
    target_memory: TargetMemory = field(default_factory=TargetMemory)
    workflows: WorkflowMemory = field(default_factory=WorkflowMemory)
    alerts: AlertMemory = field(default_factory=AlertMemory)
    money: MoneyMemory = field(default_factory=MoneyMemory)
    experiments: ExperimentMemory = field(default_factory=ExperimentMemory)


def add_fact(kept: Memory, fact: Fact, undo: list[Callable[[], object]]) -> None:
    match fact:
        case Decision():
            _add_decision(kept, fact, undo)
        case Execution():
            _add_execution(kept, fact, undo)
        case Outcome():
            _add_outcome(kept, fact, undo)


def _add_decision(kept: Memory, fact: Decision, undo: list[Callable[[], object]]) -> None:
    decision = decision_of(decision_row(0, fact), fact.assignments)
    if not _put(kept.decisions, decision.id, decision, undo):
        return
    for assignment in decision.assignments:
        kept.position += 1
        kept.experiments.add(kept.position, decision, assignment)
        undo.append(kept.experiments.take_back)
    if decision.selected is None:
        _note_heard(kept.experiments.heard, decision.id, undo)


def _add_execution(kept: Memory, execution: Execution, undo: list[Callable[[], object]]) -> None:
    if execution.status.ended:
        end = ended_of(end_row(0, execution), None)
        if _put(kept.ends, end.id, end, undo):
            _add_evidence(kept, end, undo)
            _note_heard(kept.experiments.heard, end.decision_id, undo)
        return
    _put(kept.starts, execution.id, replace(execution, run_id=None), undo)
    if execution.run_id is not None:
        _put(kept.run_ids, execution.id, execution.run_id, undo)


def _add_outcome(kept: Memory, outcome: Outcome, undo: list[Callable[[], object]]) -> None:
    decision = kept.decisions.get(outcome.decision_id)
    if decision is None:
        raise unknown_decision(outcome.decision_id)
    if outcome.id in kept.outcomes:
        return
    started = (each.id for each in kept.starts.values() if each.decision_id == decision.id)
    if any(each not in kept.ends for each in started):
        raise still_running(outcome)
    ended = [each for each in kept.ends.values() if each.decision_id == decision.id]
    same = {each.id for each in kept.outcomes.values() if each.decision_id == decision.id}
    earlier = [each for _, each in kept.evidence if isinstance(each, Revision) and each.outcome_id in same]
    revision = revise(outcome, decision, ended, earlier)
    _put(kept.outcomes, outcome.id, outcome, undo)
    if revision is not None:
        _add_evidence(kept, revision, undo)


def _add_evidence(kept: Memory, found: Evidence, undo: list[Callable[[], object]]) -> None:
    kept.evidence.append((kept.position, found))
    undo.append(kept.evidence.pop)


def _note_heard(heard: set[str], decision_id: str, undo: list[Callable[[], object]]) -> None:
    if decision_id not in heard:
        heard.add(decision_id)
        undo.append(partial(heard.discard, decision_id))


def _put(kept: dict[str, T], id_: str, fact: T, undo: list[Callable[[], object]]) -> bool:
    """Keep a fact under its id, unless there is one: the first stands."""
    if id_ in kept:
        return False
    kept[id_] = fact
    undo.append(partial(kept.pop, id_))
    return True


def announced(kept: Memory, execution: Execution) -> Execution:
    """The execution with the run id that was announced for it, where its end brought none."""
    run_id = kept.run_ids.get(execution.id)
    return execution if run_id is None or execution.run_id is not None else replace(execution, run_id=run_id)


def matches(execution: Execution, query: ExecutionQuery) -> bool:
    return (
        query.decision_id in (None, execution.decision_id)
        and query.target in (None, execution.target)
        and query.task_type in (None, execution.task_type)
        and query.status in (None, execution.status)
        and execution.started_at_us in query.within
    )


def holding_of(kept: Memory, key: str) -> Holding | None:
    held = kept.keys.get(key)
    if held is None:
        return None
    over = held.succeeded or any(
        each.decision_id == held.decision_id and each.status is Status.SUCCEEDED for each in kept.ends.values()
    )
    if not over and held.process_id not in kept.processes:
        return None
    return Holding(decision_id=held.decision_id, fingerprint=held.fingerprint, over=over)


def settle_key(kept: Memory, settle: Settlement) -> None:
    held = kept.keys.get(settle.key)
    if held is None or held.decision_id != settle.decision_id:
        return
    if settle.succeeded:
        held.succeeded = True
    elif not held.succeeded:
        del kept.keys[settle.key]


def free_keys(kept: Memory, process_id: str) -> None:
    """Those of a process that was given up, unless their run has succeeded."""
    held_by = [key for key, held in kept.keys.items() if held.process_id == process_id]
    for key in [key for key in held_by if holding_of(kept, key) is None]:
        del kept.keys[key]


def evidence_between(kept: Memory, since: int, upto: int) -> list[Evidence]:
    """The evidence after `since` and not after `upto`."""
    first, end = (bisect_right(kept.evidence, place, key=position_of) for place in (since, upto))
    return [fact for _, fact in kept.evidence[first:end]]


def position_of(found: tuple[int, Evidence]) -> int:
    return found[0]


def ids_of(kept: Memory, kind: IdKind) -> Set[str]:
    match kind:
        case IdKind.DECISION:
            return kept.decisions.keys()
        case IdKind.EXECUTION:
            return kept.starts.keys() | kept.ends.keys()
        case IdKind.WORKFLOW_RUN:
            return {start.run_id for _, start in kept.workflows.starts}
        case IdKind.ALERT:
            return kept.alerts.alerts.keys()
        case IdKind.PROCESS:
            return kept.processes
        case IdKind.QUEUED_TASK:
            return kept.money.queue.keys()
