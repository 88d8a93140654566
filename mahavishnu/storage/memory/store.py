"""The store in memory: the same promises, in lists and dicts, for tests and for trying things out."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import islice
from os import getpid

from mahavishnu.errors import (
    NotWritten,
    SnapshotConflict,
    StoreUnavailable,
    TakenOver,
    UnknownName,
)
from mahavishnu.model import Daily, Decision, Execution, Outcome, Process, Snapshot
from mahavishnu.model.identity import IdKind
from mahavishnu.model.loop import LoopReport
from mahavishnu.model.unreadable import Rows
from mahavishnu.model.workflow_run import StepEnd, WorkflowEnd, WorkflowRun, WorkflowStart
from mahavishnu.ports import (
    EVER,
    Between,
    Claim,
    Clock,
    Evidence,
    ExecutionQuery,
    Fact,
    JobRun,
    Keeping,
    Kept,
    Settlement,
    StoreInfo,
)
from mahavishnu.ports.presence import Finish
from mahavishnu.storage.memory.aggregates import recomputed
from mahavishnu.storage.memory.alerts import AlertMemory, MemoryAlerts
from mahavishnu.storage.memory.experiments import ExperimentMemory, MemoryExperiments
from mahavishnu.storage.memory.facts import (
    Held,
    Memory,
    add_fact,
    announced,
    evidence_between,
    free_keys,
    holding_of,
    ids_of,
    matches,
    position_of,
    settle_key,
)
from mahavishnu.storage.memory.money import MemoryMoney, MoneyMemory
from mahavishnu.storage.memory.targets import MemoryTargets, TargetMemory
from mahavishnu.storage.sql.coordination.idempotency import answer
from mahavishnu.storage.sql.coordination.presence import lost
from mahavishnu.storage.sql.coordination.withdrawal import withdrawn
from mahavishnu.storage.sql.facts.documents import snapshot_json, snapshot_of
from mahavishnu.storage.sql.facts.fact_rows import CANNOT_BE_WRITTEN, not_plain_json
from mahavishnu.storage.sql.facts.identifiers import ENOUGH

URL = "memory:"


class MemoryStore(MemoryAlerts, MemoryMoney, MemoryExperiments, MemoryTargets):
    """Keeps nothing once its Memory is gone. What is read back is a copy, as it would be from a database."""

    def __init__(self, clock: Clock, memory: Memory | None = None) -> None:
        self._clock = clock
        self._all = Memory() if memory is None else memory
        self._process_id = clock.new_id()
        self._loops: Callable[[], Sequence[LoopReport]] = tuple
        self._take_up: Callable[[], Awaitable[None]] | None = None

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
            "targets": len(kept.target_memory.targets),
            "switches": len(kept.target_memory.switches),
            "workflow_starts": len(kept.workflows.starts),
            "budgets": len(kept.money.standings),
            "reservations": len(kept.money.reservations),
            "ledger_entries": len(kept.money.entries),
            "queued_tasks": len(kept.money.queue),
            "experiments": len(kept.experiments.runs),
            "experiment_units": sum(map(len, kept.experiments.units.values())),
            "assignments": len(kept.experiments.assignments),
        }
        return StoreInfo(url=URL, schema="none", detail={"durable": "no"}, rows=rows)

    # -- facts ---------------------------------------------------------------------------------------------------------

    async def record(
        self,
        facts: Sequence[Fact],
        *,
        settle: Settlement | None = None,
        token: int | None = None,
        within_s: float | None = None,
    ) -> int:
        del within_s
        kept = self._ready()
        self._check(token)
        undo: list[Callable[[], object]] = []
        try:
            for fact in facts:
                kept.position += 1
                add_fact(kept, fact, undo)
        except BaseException as error:
            for step in reversed(undo):
                step()
            if isinstance(error, CANNOT_BE_WRITTEN):
                raise NotWritten(url=URL, problem=not_plain_json(error)) from error
            raise
        if settle is not None:
            settle_key(kept, settle)
        return kept.position

    async def newest(self) -> int:
        return self._ready().position

    async def facts(
        self, since: int, upto: int | None = None, *, besides: str | None = None
    ) -> AsyncIterator[tuple[int, Evidence]]:
        kept = self._ready()
        until = kept.position if upto is None else min(kept.position, upto)
        place = bisect_right(kept.evidence, since, key=position_of)
        while place < len(kept.evidence) and kept.evidence[place][0] <= until:
            position, found = kept.evidence[place]
            place += 1
            if not isinstance(found, Execution):
                yield position, found
            elif found.process_id != besides:
                yield position, announced(kept, found)

    async def decision(self, decision_id: str) -> Decision | None:
        return self._ready().decisions.get(decision_id)

    async def decisions(self, last: int, task_type: str | None = None, within: Between = EVER) -> Sequence[Decision]:
        newest = (each for each in reversed(self._ready().decisions.values()) if each.at_us in within)
        return list(islice((each for each in newest if task_type in (None, each.task.type)), max(last, 0)))

    async def execution(self, execution_id: str) -> Execution | None:
        kept = self._ready()
        found = kept.ends.get(execution_id) or kept.starts.get(execution_id)
        return None if found is None else announced(kept, found)

    async def executions(self, query: ExecutionQuery) -> Sequence[Execution]:
        kept = self._ready()
        found = [announced(kept, each) for each in ({**kept.starts, **kept.ends}).values() if matches(each, query)]
        found.sort(key=lambda each: each.id, reverse=True)
        return found if query.last is None else found[: max(query.last, 0)]

    async def outcomes(self, decision_id: str) -> Sequence[Outcome]:
        return [each for each in self._ready().outcomes.values() if each.decision_id == decision_id]

    # -- keys and presence ---------------------------------------------------------------------------------------------

    async def claim(self, key: str, fingerprint: str, decision_id: str, *, within_s: float | None = None) -> Claim:
        del within_s
        kept = self._ready()
        holding = holding_of(kept, key)
        if holding is not None:
            return answer(key, fingerprint, decision_id, holding)
        kept.keys[key] = Held(fingerprint, decision_id, self._process_id)
        return Claim(decision_id=decision_id, mine=True, over=False)

    async def holder(self, key: str) -> Claim | None:
        holding = holding_of(self._ready(), key)
        return None if holding is None else Claim(decision_id=holding.decision_id, mine=False, over=holding.over)

    @property
    def process_id(self) -> str:
        return self._process_id

    async def reap(self, first: Finish | None = None) -> Sequence[Execution]:
        kept = self._ready()
        running = [start for start in kept.starts.values() if start.id not in kept.ends]
        left = [start for start in running if start.process_id not in kept.processes]
        if left and first is not None and not await first(sorted({start.process_id for start in left})):
            return []
        now_us = self._clock.now_us()
        gone = [
            lost(announced(kept, start), f"store {start.process_id} in memory", now_us)
            for start in left
            if start.id not in kept.ends
        ]
        await self.record(gone)
        kept.money.give_up(kept.processes.__contains__, now_us)
        return gone

    @property
    def token(self) -> int:
        return self._all.given_up.count(self._process_id)

    def holds(self, token: int) -> bool:
        return token == self.token

    async def renew(self, *, within_s: float | None = None) -> None:
        del within_s
        self._ready()

    def say_of_loops(self, loops: Callable[[], Sequence[LoopReport]]) -> None:
        self._loops = loops

    async def release(self, process_id: str) -> Sequence[Execution]:
        kept = self._ready()
        if process_id not in kept.processes:
            raise UnknownName(kind="process", name=process_id, see="mahavishnu store processes")
        kept.given_up.append(process_id)
        kept.processes.discard(process_id)
        try:
            free_keys(kept, process_id)
            return await self.reap() if process_id != self._process_id else []
        finally:
            kept.processes.add(process_id)

    async def processes(self) -> Sequence[Process]:
        kept = self._ready()
        running = Counter(start.process_id for start in kept.starts.values() if start.id not in kept.ends)
        reserved = kept.money.reserved_by_process()
        return [
            Process(
                id=id_,
                host="memory",
                pid=getpid(),
                started_at_us=0,
                renewed_at_us=self._clock.now_us(),
                lives=True,
                running=running[id_],
                reserved_micros=reserved[id_],
                loops=tuple(self._loops()) if id_ == self._process_id else (),
            )
            for id_ in sorted(kept.processes)
        ]

    async def withdraw(self, begun: Sequence[Execution], at_us: int, *, settle: Settlement | None = None) -> int:
        kept = self._ready()
        there = [start for start in begun if start.id in kept.starts and start.id not in kept.ends]
        position = await self.record([withdrawn(start, at_us) for start in there], settle=settle)
        kept.money.withdraw({start.id for start in begun}, at_us)
        return position

    # -- what may change -----------------------------------------------------------------------------------------------

    async def latest(self) -> Snapshot:
        return self._ready().snapshots[-1]

    async def newest_version(self) -> int:
        return (await self.latest()).version

    async def publish(self, snapshot: Snapshot) -> None:
        kept = self._ready()
        if snapshot.version != kept.snapshots[-1].version + 1:
            raise SnapshotConflict(version=snapshot.version)
        copy = snapshot_of(snapshot.version, snapshot.cursor, snapshot.published_at_us, snapshot_json(snapshot))
        kept.snapshots.append(copy)
        if self._take_up is not None:
            await self._take_up()

    def when_published(self, take_up: Callable[[], Awaitable[None]]) -> None:
        self._take_up = take_up

    async def snapshot(self, version: int) -> Snapshot | None:
        return next((each for each in self._ready().snapshots[1:] if each.version == version), None)

    async def snapshots(self, last: int) -> Rows[Snapshot]:
        return Rows(self._ready().snapshots[:0:-1][: max(last, 0)])

    # -- aggregates, jobs and retention --------------------------------------------------------------------------------

    async def fold(self, limit: int = 10_000) -> int:
        kept = self._ready()
        since = kept.aggregates.cursor
        upto = min(since + max(limit, 1), kept.position)
        kept.aggregates.add(evidence_between(kept, since, upto), upto)
        return upto - since

    async def dailies(self, since_day: int | None = None) -> tuple[int, Sequence[Daily]]:
        aggregates = self._ready().aggregates
        return aggregates.cursor, aggregates.since(since_day)

    async def recomputed(self, since_day: int | None = None) -> tuple[int, Sequence[Daily]]:
        kept = self._ready()
        cursor = kept.aggregates.cursor
        return cursor, recomputed(evidence_between(kept, 0, cursor), since_day)

    async def replace_dailies(self, cursor: int, dailies: Sequence[Daily], since_day: int | None = None) -> bool:
        aggregates = self._ready().aggregates
        if aggregates.cursor != cursor:
            return False
        aggregates.replace(dailies, since_day)
        return True

    async def claim_job(self, name: str, lease_s: float) -> str | None:
        kept, run_id = self._ready(), self._clock.new_id()
        until_s = self._clock.monotonic_s() + lease_s
        lives = kept.processes.__contains__
        return kept.jobs.claim(name, run_id, self._process_id, self._clock, until_s, lives)

    async def extend_job(self, run_id: str, lease_s: float) -> bool:
        return self._ready().jobs.extend(run_id, self._clock.monotonic_s() + lease_s)

    async def finish_job(self, run_id: str, *, ok: bool, note: str) -> None:
        self._ready().jobs.finish(run_id, self._clock.now_us(), ok, note)

    async def jobs(self) -> Rows[JobRun]:
        return Rows(self._ready().jobs.newest())

    async def retain(self, keeping: Keeping, today: int) -> Kept | None:
        """Nothing to do: all of it goes with the Memory, which holds no more than a process does."""
        del keeping, today
        self._ready()
        return None

    async def ids_ending(self, kind: IdKind, tail: str) -> Sequence[str]:
        return [each for each in sorted(ids_of(self._ready(), kind)) if each.endswith(tail)][:ENOUGH]

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

    def _kept_alerts(self) -> AlertMemory:
        return self._ready().alerts

    def _kept_targets(self) -> TargetMemory:
        return self._ready().target_memory

    def _kept_money(self) -> MoneyMemory:
        return self._ready().money

    def _kept_experiments(self) -> ExperimentMemory:
        return self._ready().experiments

    def _kept_evidence(self) -> Sequence[tuple[int, Evidence]]:
        return self._ready().evidence

    def _check(self, token: int | None) -> None:
        if token not in (None, self.token):
            raise TakenOver(process_id=self._process_id)

    def _ready(self) -> Memory:
        if self._process_id not in self._all.processes:
            raise StoreUnavailable(url=URL, problem="it is not open; await its open() first")
        return self._all
