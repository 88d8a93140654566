"""The store in memory: the same promises, in lists and dicts, for tests and for trying things out."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import TypeVar

from mahavishnu.errors import SnapshotConflict, StoreUnavailable, TargetExists
from mahavishnu.model import Decision, Execution, Outcome, Revision, Snapshot, Status, Target
from mahavishnu.model.workflow_run import StepEnd, WorkflowEnd, WorkflowRun, WorkflowStart
from mahavishnu.ports import Claim, Clock, Evidence, ExecutionQuery, Fact, Settlement, StoreInfo
from mahavishnu.storage.catalogue import unknown_target
from mahavishnu.storage.documents import scorecards_json, snapshot_of, target_json, target_of
from mahavishnu.storage.keys import Holding, answer
from mahavishnu.storage.memory_workflows import WorkflowMemory
from mahavishnu.storage.presence import lost
from mahavishnu.storage.recording import unknown_decision
from mahavishnu.storage.revising import revise, still_running
from mahavishnu.storage.rows import CANNOT_BE_WRITTEN, decision_of, decision_row, end_row, ended_of, not_plain_json

T = TypeVar("T")

URL = "memory:"


@dataclass(slots=True)
class _Held:
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
    keys: dict[str, _Held] = field(default_factory=dict)
    processes: set[str] = field(default_factory=set)
    snapshot: Snapshot = field(default_factory=Snapshot)
    targets: dict[str, Target] = field(default_factory=dict)
    switches: dict[str, bool] = field(default_factory=dict)
    workflows: WorkflowMemory = field(default_factory=WorkflowMemory)


class MemoryStore:
    """Keeps nothing once its Memory is gone. What is read back is a copy, as it would be from a database."""

    def __init__(self, clock: Clock, memory: Memory | None = None) -> None:
        self._clock = clock
        self._all = Memory() if memory is None else memory
        self._process_id = clock.new_id()

    async def open(self) -> None:
        self._all.processes.add(self._process_id)

    async def close(self) -> None:
        self._all.processes.discard(self._process_id)

    async def upgrade(self) -> None:
        """Returns at once: a Memory is as new as the code that made it."""

    async def info(self) -> StoreInfo:
        kept = self._ready()
        rows = {
            "decisions": len(kept.decisions),
            "execution_starts": len(kept.starts),
            "executions": len(kept.ends),
            "outcomes": len(kept.outcomes),
            "keys": len(kept.keys),
            "processes": len(kept.processes),
            "targets": len(kept.targets),
            "switches": len(kept.switches),
            "workflow_starts": len(kept.workflows.starts),
        }
        return StoreInfo(url=URL, schema="none", detail={"durable": "no"}, rows=rows)

    # -- facts ---------------------------------------------------------------------------------------------------------

    async def record(self, facts: Sequence[Fact], *, settle: Settlement | None = None) -> None:
        kept = self._ready()
        undo: list[Callable[[], object]] = []
        try:
            for fact in facts:
                kept.position += 1
                _add(kept, fact, undo)
        except BaseException as error:
            for step in reversed(undo):
                step()
            if isinstance(error, CANNOT_BE_WRITTEN):
                raise StoreUnavailable(url=URL, problem=not_plain_json(error)) from error
            raise
        if settle is not None:
            _settle(kept, settle)

    async def newest(self) -> int:
        return self._ready().position

    async def facts(
        self, since: int, upto: int | None = None, *, besides: str | None = None
    ) -> AsyncIterator[tuple[int, Evidence]]:
        kept = self._ready()
        until = kept.position if upto is None else min(kept.position, upto)
        place = bisect_right(kept.evidence, since, key=_position)
        while place < len(kept.evidence) and kept.evidence[place][0] <= until:
            position, found = kept.evidence[place]
            place += 1
            if not isinstance(found, Execution):
                yield position, found
            elif found.process_id != besides:
                yield position, _announced(kept, found)

    async def decision(self, decision_id: str) -> Decision | None:
        return self._ready().decisions.get(decision_id)

    async def decisions(self, last: int, task_type: str | None = None) -> Sequence[Decision]:
        newest = reversed(self._ready().decisions.values())
        return list(islice((each for each in newest if task_type in (None, each.task.type)), max(last, 0)))

    async def execution(self, execution_id: str) -> Execution | None:
        kept = self._ready()
        found = kept.ends.get(execution_id) or kept.starts.get(execution_id)
        return None if found is None else _announced(kept, found)

    async def executions(self, query: ExecutionQuery) -> Sequence[Execution]:
        kept = self._ready()
        found = [_announced(kept, each) for each in ({**kept.starts, **kept.ends}).values() if _matches(each, query)]
        found.sort(key=lambda each: each.id, reverse=True)
        return found if query.last is None else found[: max(query.last, 0)]

    async def outcomes(self, decision_id: str) -> Sequence[Outcome]:
        return [each for each in self._ready().outcomes.values() if each.decision_id == decision_id]

    # -- keys and presence ---------------------------------------------------------------------------------------------

    async def claim(self, key: str, fingerprint: str, decision_id: str) -> Claim:
        kept = self._ready()
        holding = _holding(kept, key)
        if holding is not None:
            return answer(key, fingerprint, decision_id, holding)
        kept.keys[key] = _Held(fingerprint, decision_id, self._process_id)
        return Claim(decision_id=decision_id, mine=True, over=False)

    async def holder(self, key: str) -> Claim | None:
        holding = _holding(self._ready(), key)
        return None if holding is None else Claim(decision_id=holding.decision_id, mine=False, over=holding.over)

    @property
    def process_id(self) -> str:
        return self._process_id

    async def reap(self) -> Sequence[Execution]:
        kept = self._ready()
        now_us = self._clock.now_us()
        gone = [
            lost(_announced(kept, start), f"store {start.process_id} in memory", now_us)
            for start in kept.starts.values()
            if start.id not in kept.ends and start.process_id not in kept.processes
        ]
        await self.record(gone)
        return gone

    # -- what may change -----------------------------------------------------------------------------------------------

    async def latest(self) -> Snapshot:
        return self._ready().snapshot

    async def publish(self, snapshot: Snapshot) -> None:
        kept = self._ready()
        if snapshot.version != kept.snapshot.version + 1:
            raise SnapshotConflict(version=snapshot.version)
        kept.snapshot = snapshot_of(
            snapshot.version, snapshot.cursor, snapshot.published_at_us, scorecards_json(snapshot)
        )

    async def targets(self) -> Sequence[Target]:
        return list(self._ready().targets.values())

    async def add_target(self, target: Target) -> None:
        kept = self._ready()
        if target.name in kept.targets:
            raise TargetExists(target=target.name, where="the store")
        kept.targets[target.name] = target_of(target_json(target))

    async def remove_target(self, name: str) -> None:
        kept = self._ready()
        if name not in kept.targets:
            raise unknown_target(name, kept.targets)
        del kept.targets[name]
        kept.switches.pop(name, None)

    async def switches(self) -> Mapping[str, bool]:
        return dict(self._ready().switches)

    async def switch_target(self, name: str, enabled: bool) -> None:
        self._ready().switches[name] = enabled

    # -- workflows -----------------------------------------------------------------------------------------------------

    async def record_workflow_start(self, start: WorkflowStart) -> None:
        self._ready().workflows.add_start(start)

    async def record_step_end(self, end: StepEnd) -> None:
        self._ready().workflows.add_step_end(end)

    async def record_workflow_end(self, end: WorkflowEnd) -> None:
        self._ready().workflows.add_end(end)

    async def workflow(self, run_id: str) -> WorkflowRun | None:
        return self._ready().workflows.run(run_id, self._all.processes.__contains__)

    async def workflows(self, last: int) -> Sequence[WorkflowRun]:
        return self._ready().workflows.runs(last, self._all.processes.__contains__)

    async def request_cancel(self, run_id: str) -> bool:
        return self._ready().workflows.request_cancel(run_id)

    async def cancel_requested(self, run_id: str) -> bool:
        return self._ready().workflows.cancel_requested(run_id)

    def _ready(self) -> Memory:
        if self._process_id not in self._all.processes:
            raise StoreUnavailable(url=URL, problem="it is not open; await its open() first")
        return self._all


def _add(kept: Memory, fact: Fact, undo: list[Callable[[], object]]) -> None:
    match fact:
        case Decision():
            _put(kept.decisions, fact.id, decision_of(decision_row(0, fact)), undo)
        case Execution():
            _add_execution(kept, fact, undo)
        case Outcome():
            _add_outcome(kept, fact, undo)


def _add_execution(kept: Memory, execution: Execution, undo: list[Callable[[], object]]) -> None:
    if execution.status.ended:
        end = ended_of(end_row(0, execution), None)
        if _put(kept.ends, end.id, end, undo):
            _add_evidence(kept, end, undo)
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


def _put(kept: dict[str, T], id_: str, fact: T, undo: list[Callable[[], object]]) -> bool:
    """Keep a fact under its id, unless there is one: the first stands."""
    if id_ in kept:
        return False
    kept[id_] = fact
    undo.append(partial(kept.pop, id_))
    return True


def _announced(kept: Memory, execution: Execution) -> Execution:
    """The execution with the run id that was announced for it, where its end brought none."""
    run_id = kept.run_ids.get(execution.id)
    return execution if run_id is None or execution.run_id is not None else replace(execution, run_id=run_id)


def _matches(execution: Execution, query: ExecutionQuery) -> bool:
    return (
        query.decision_id in (None, execution.decision_id)
        and query.target in (None, execution.target)
        and query.task_type in (None, execution.task_type)
        and query.status in (None, execution.status)
    )


def _holding(kept: Memory, key: str) -> Holding | None:
    held = kept.keys.get(key)
    if held is None:
        return None
    over = held.succeeded or any(
        each.decision_id == held.decision_id and each.status is Status.SUCCEEDED for each in kept.ends.values()
    )
    if not over and held.process_id not in kept.processes:
        return None
    return Holding(decision_id=held.decision_id, fingerprint=held.fingerprint, over=over)


def _settle(kept: Memory, settle: Settlement) -> None:
    held = kept.keys.get(settle.key)
    if held is None or held.decision_id != settle.decision_id:
        return
    if settle.succeeded:
        held.succeeded = True
    elif not held.succeeded:
        del kept.keys[settle.key]


def _position(found: tuple[int, Evidence]) -> int:
    return found[0]
