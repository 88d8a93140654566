"""ExecutionTracker: the adaptive router's three calls (A.1), for work that was chosen and run outside of here."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import replace
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING

from mahavishnu.engine.clock import SystemClock
from mahavishnu.errors import InvalidTask, UnknownName
from mahavishnu.model import Considered, Decision, Execution, Micros, Spender, Status, Task
from mahavishnu.model.identity import is_ulid
from mahavishnu.model.money import NOTHING, dollars, to_micros, to_usd
from mahavishnu.model.task import NAME
from mahavishnu.ports import Charge, Clock, ExecutionQuery

if TYPE_CHECKING:
    from mahavishnu.app import App

POLICY = "elsewhere"
"""The name under which choices are recorded that somebody else made."""

_WORDS = {
    "success": Status.SUCCEEDED,
    "failure": Status.FAILED,
    "error": Status.FAILED,
    "timeout": Status.TIMED_OUT,
}

_current: ContextVar[str | None] = ContextVar("mahavishnu_tracked_execution", default=None)


class ExecutionTracker:
    """Records executions through the collector that the orchestrator's own go through.

    What `execute` runs is collected already, without these calls. An adapter that is the name of a target is that
    target; any other counts as a target of its own. Each execution gets a decision that says it was made elsewhere, so
    that outcomes can be given on it; nothing of it is randomised, so no comparison will rest on it.

    The seed names an attempt by its adapter and number only. It belongs to the execution that the same task of the
    event loop began last, or to the one whose id is given. The first attempt is the execution itself; every other is an
    execution of its own, so that a fallback's success counts for the fallback.

    What is told to have cost something is charged in the ledger, in the same transaction as its end, and counts in
    every budget that covers it. A cost that is told after the end is a bill that arrived late: the ledger is corrected
    by the difference.
    """

    def __init__(self, app: App, clock: Clock | None = None) -> None:
        self._app = app
        self._clock = clock or SystemClock()

    async def record_execution_start(self, execution_id: str, adapter: str, task_type: str) -> None:
        """Raises InvalidTask where the id is no ULID, or the task type is none."""
        if not is_ulid(execution_id):
            raise InvalidTask(field="execution_id", problem=f'must be a ULID, not "{execution_id:.80}"')
        decision = self._decision(adapter, Task(type=task_type, text="Reported from elsewhere."))
        began = self._begun(execution_id, decision.id, adapter, task_type, decision.at_us)
        await self._app.orchestrator.collector.began(began, decision)
        _current.set(execution_id)

    async def record_execution_end(
        self,
        execution_id: str,
        success: bool,
        latency_ms: float | None = None,
        error: str | None = None,
        *,
        cost_usd: Decimal | str | int | None = None,
        quality: float | None = None,
    ) -> None:
        """Raises UnknownName where it never began. Where attempts were recorded, or an end was, that stands.

        `cost_usd` is what the execution came to in all, its attempts together; the ledger follows the one told last.
        """
        micros = None if cost_usd is None else _micros(cost_usd)
        execution = await self._found(execution_id)
        if execution.status.ended:
            if micros is not None:
                await self._billed(execution, micros)
            return
        ended = self._ended(execution, Status.SUCCEEDED if success else Status.FAILED, latency_ms, error)
        await self._record(replace(ended, cost_micros=micros or NOTHING, quality=quality))

    async def record_adapter_attempt(
        self,
        adapter: str,
        attempt_number: int,
        outcome: Status | str | bool,
        *,
        execution_id: str | None = None,
        latency_ms: float | None = None,
        error: str | None = None,
        cost_usd: Decimal | str | int = 0,
    ) -> None:
        """Raises UnknownName where no execution was begun that it could belong to, InvalidTask for an odd outcome."""
        status, micros = _status(outcome), _micros(cost_usd)
        if attempt_number < 1:
            raise InvalidTask(field="attempt_number", problem=f"must be at least 1, not {attempt_number}")
        first = await self._found(execution_id or _current.get() or "")
        collector = self._app.orchestrator.collector
        attempt = first
        if attempt_number > 1 or adapter != first.target:
            begun = self._begun(
                self._clock.new_id(),
                first.decision_id,
                adapter,
                first.task_type,
                first.ended_at_us or first.started_at_us,
            )
            attempt = replace(begun, attempt=attempt_number, fallback=adapter != first.target)
            await collector.began(attempt, None)
        elif first.status.ended:
            return
        ended = self._ended(attempt, status, latency_ms, error)
        await self._record(replace(ended, cost_micros=micros))

    async def _record(self, ended: Execution) -> None:
        """The end, and what it cost in the ledger: one transaction."""
        charge = _charge(ended, ended.cost_micros) if ended.cost_micros else None
        await self._app.orchestrator.collector.ended(ended, charge=charge)

    async def _billed(self, execution: Execution, micros: Micros) -> None:
        """A bill over all attempts; what the others were recorded with is theirs, and the first one has the rest."""
        store = self._app.store
        attempts = await store.executions(ExecutionQuery(last=None, decision_id=execution.decision_id))
        others = sum(attempt.cost_micros for attempt in attempts if attempt.id != execution.id)
        if micros < others:
            problem = f"is ${to_usd(micros)} for all attempts, and all but the first one cost ${to_usd(others)} already"
            raise InvalidTask(field="cost_usd", problem=problem)
        own = Micros(micros - others)
        try:
            await store.correct(execution.id, own, self._clock.now_us())
        except UnknownName:
            # It was recorded as free, so the ledger has no entry of it that could be corrected.
            await store.charge(_charge(execution, own), (execution,))

    async def _found(self, execution_id: str) -> Execution:
        found = await self._app.store.execution(execution_id)
        if found is None:
            raise UnknownName(kind="execution", name=execution_id, see="mahavishnu executions")
        return found

    def _begun(self, id_: str, decision_id: str, adapter: str, task_type: str, at_us: int) -> Execution:
        if not NAME.fullmatch(adapter):
            raise InvalidTask(
                field="adapter", problem=f"must be one word of letters, digits and _.:/@-, not {adapter!r:.80}"
            )
        standings = self._app.orchestrator.standings()
        return Execution(
            id=id_,
            decision_id=decision_id,
            process_id=self._app.store.process_id,
            target=adapter,
            adapter=next((each.target.adapter for each in standings if each.target.name == adapter), adapter),
            task_type=task_type,
            attempt=1,
            fallback=False,
            randomised=False,
            status=Status.RUNNING,
            started_at_us=at_us,
        )

    def _ended(self, execution: Execution, status: Status, latency_ms: float | None, error: str | None) -> Execution:
        """Without a latency, the time since it began."""
        now_us = max(self._clock.now_us(), execution.started_at_us)
        if latency_ms is not None and not (isfinite(latency_ms) and latency_ms >= 0):
            raise InvalidTask(field="latency_ms", problem=f"must be 0 or more, not {latency_ms}")
        succeeded = status is Status.SUCCEEDED
        return replace(
            execution,
            status=status,
            ended_at_us=now_us,
            latency_us=now_us - execution.started_at_us if latency_ms is None else round(latency_ms * 1000),
            error_code=None if succeeded else status.value,
            error=None if succeeded else error,
        )

    def _decision(self, adapter: str, task: Task) -> Decision:
        return Decision(
            id=self._clock.new_id(),
            at_us=self._clock.now_us(),
            process_id=self._app.store.process_id,
            task=task,
            selected=adapter,
            probability=1.0,
            confidence=0.0,
            confidence_kind="none",
            randomised=False,
            reason="Chosen elsewhere, and only recorded here.",
            considered=(Considered(target=adapter, eligible=True, probability=1.0),),
            policy=POLICY,
            policy_version="1",
            snapshot_version=0,
            snapshot_cursor=0,
            seed=0,
            overhead_us=0,
        )


def _charge(ended: Execution, micros: Micros) -> Charge:
    """Nothing was set aside for it: nothing is known here of an execution before it has begun."""
    return Charge(
        execution_id=ended.id,
        at_us=ended.ended_at_us or ended.started_at_us,
        micros=micros,
        spender=Spender(adapter=ended.adapter, target=ended.target, task_type=ended.task_type),
        reserved=False,
    )


def _micros(cost_usd: Decimal | str | int) -> Micros:
    try:
        return to_micros(dollars(cost_usd))
    except ValueError as problem:
        raise InvalidTask(field="cost_usd", problem=str(problem)) from None


def _status(outcome: Status | str | bool) -> Status:
    """What an attempt ended as, in the seed's words or ours."""
    if isinstance(outcome, bool):
        return Status.SUCCEEDED if outcome else Status.FAILED
    known = {**_WORDS, **{each.value: each for each in Status if each.ended}}
    if outcome not in known:
        raise InvalidTask(field="outcome", problem=f'must be one of {", ".join(known)}, not "{outcome:.80}"')
    return known[outcome]
