"""Idempotency keys: the same key, while it runs or after it succeeded, gives the same executions."""

from __future__ import annotations

from asyncio import Event, timeout

from mahavishnu.engine.recording.collector import Collector
from mahavishnu.engine.running.failures import failed, nothing_eligible, refused
from mahavishnu.errors import MahavishnuError
from mahavishnu.model import Decision, Execution, Report, Status, Task
from mahavishnu.ports import Clock, ExecutionQuery, Store

FIRST_LOOK_S = 0.02
LONGEST_LOOK_S = 0.5


class KeyKeeper:
    """Claims keys, and waits for the runs of others."""

    def __init__(self, store: Store, collector: Collector, clock: Clock) -> None:
        self._store = store
        self._collector = collector
        self._clock = clock

    async def claim(self, task: Task, decision_id: str, deadline_s: float) -> str | None:
        """None where the key is ours to run; else the decision that has it."""
        key = task.idempotency_key or ""
        while True:
            left_s = max(deadline_s - self._clock.monotonic_s(), 0.001)
            token = self._store.token
            claim = await self._collector.claimed(key, task.fingerprint(), decision_id, within_s=left_s)
            # A process that found itself given up may have lost the claim by that.
            if token == self._store.token:
                return None if claim.mine else claim.decision_id

    async def await_report(self, task: Task, decision_id: str, over: Event | None, deadline_s: float) -> Report | None:
        """The report of somebody else's run, once it is over; None where it came to nothing that could be reported (its
        process died, or it was cancelled), so that the key is free to be claimed again.

        `over` is set by a run of this process; that of another one is looked after in the store.
        """
        key = task.idempotency_key or ""
        began_s = self._clock.monotonic_s()
        look_s = FIRST_LOOK_S
        while True:
            left_s = deadline_s - self._clock.monotonic_s()
            if left_s <= 0:
                return self._too_late(task, decision_id, began_s)
            if over is not None:
                await _wait(over, left_s)
                over = None
                continue
            try:
                async with timeout(left_s):
                    holder = await self._store.holder(key)
                    if holder is None or holder.over or holder.decision_id != decision_id:
                        succeeded = holder is not None and holder.over and holder.decision_id == decision_id
                        return await self._report(task, decision_id, began_s, succeeded=succeeded)
            except TimeoutError:
                continue
            await self._clock.sleep(min(look_s, left_s))
            look_s = min(look_s * 2, LONGEST_LOOK_S)

    def _too_late(self, task: Task, decision_id: str, began_s: float) -> Report:
        key = task.idempotency_key or ""
        why = f'its deadline passed while key "{key}" was still running elsewhere'
        return Report(
            task=task,
            decision=None,
            error=failed(decision_id, [], [], why),
            replayed=True,
            latency_us=round((self._clock.monotonic_s() - began_s) * 1e6),
        )

    async def _report(self, task: Task, decision_id: str, began_s: float, *, succeeded: bool) -> Report | None:
        """`succeeded`: the key says that the run has."""
        decision = await self._store.decision(decision_id)
        executions = list(await self._store.executions(ExecutionQuery(decision_id=decision_id, last=None)))[::-1]
        last = executions[-1] if executions else None
        if not succeeded and (
            decision is None or (last is not None and last.status in (Status.LOST, Status.CANCELLED, Status.RUNNING))
        ):
            return None
        error = _error_of(decision, executions, decision_id)
        return Report(
            task=task,
            decision=decision,
            executions=tuple(executions),
            value=last.value if last is not None and error is None else None,
            error=error,
            replayed=True,
            latency_us=round((self._clock.monotonic_s() - began_s) * 1e6),
        )


def _error_of(decision: Decision | None, executions: list[Execution], decision_id: str) -> MahavishnuError | None:
    """The error that the run ended with, built again from what was recorded."""
    if decision is None:
        return failed(decision_id, executions, [], "it has succeeded, and its record is not kept any more")
    if not executions:
        return nothing_eligible(decision)
    last = executions[-1]
    match last.status:
        case Status.SUCCEEDED:
            return None
        case Status.REFUSED:
            return refused(decision.id, last.target, last.error or "it said no more")
        case _:
            return failed(decision.id, executions, [], "no target is left to try")


async def _wait(over: Event, seconds: float) -> None:
    try:
        async with timeout(seconds):
            await over.wait()
    except TimeoutError:
        return
