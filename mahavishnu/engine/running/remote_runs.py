"""Runs of other processes: asked after and stopped through the adapter, by the id that their engine gave them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mahavishnu.engine.routing.roster import Roster
from mahavishnu.engine.supervision import said
from mahavishnu.errors import AdapterError, Contained, Crashed, UnknownName
from mahavishnu.model import Execution, Status
from mahavishnu.ports import ExecutionQuery, RunRef, Store


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """An execution as it was recorded, and what its engine says of the run now (None: it cannot say)."""

    execution: Execution
    now: Status | None


class Elsewhere:
    """Needs nothing but the record: it works after a restart, from any process."""

    def __init__(self, store: Store, roster: Roster) -> None:
        self._store = store
        self._roster = roster

    async def status(self, execution_id: str) -> Whereabouts:
        """Raises UnknownName, and AdapterError where the engine cannot be asked.

        Of one that was given up as lost the engine is asked, too: the run may have outlived the process that began it.
        """
        execution = await self._store.execution(execution_id)
        if execution is None:
            raise UnknownName(kind="execution", name=execution_id, see="mahavishnu executions")
        if execution.status not in (Status.RUNNING, Status.LOST):
            return Whereabouts(execution, execution.status)
        run = self._run(execution)
        now = await _asked(self._roster.adapter(run.target).status, run)
        if not isinstance(now, Status | None):
            raise Crashed(f"its adapter says that it is {now!r:.80}, which is no Status")
        return Whereabouts(execution, now)

    async def cancel(self, decision_id: str) -> bool:
        """Tell every run of a decision that has not ended to stop; whether there was one that could be told."""
        if await self._store.decision(decision_id) is None:
            raise UnknownName(kind="decision", name=decision_id, see="mahavishnu decisions")
        executions = await self._store.executions(ExecutionQuery(decision_id=decision_id, last=None))
        told = False
        for execution in executions:
            if execution.status in (Status.RUNNING, Status.LOST):
                run = self._run(execution)
                told = bool(await _asked(self._roster.adapter(run.target).cancel, run)) or told
        return told

    def _run(self, execution: Execution) -> RunRef:
        target = self._roster.target(execution.target)
        return RunRef(target=target, execution_id=execution.id, run_id=execution.run_id)


async def _asked(ask: Callable[[RunRef], Awaitable[object]], run: RunRef) -> object:
    """What an adapter answers. Whatever it raises leaves here as an AdapterError, except that we are cancelled."""
    crash = Contained()
    with crash:
        return await ask(run)
    asking = asyncio.current_task()
    cancelled = isinstance(crash.failure, asyncio.CancelledError) and asking is not None and asking.cancelling()
    if cancelled or isinstance(crash.failure, AdapterError):
        raise crash.failure
    raise Crashed(f"its adapter could not be asked: {said(crash.failure)}") from crash.failure
