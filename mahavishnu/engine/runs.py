"""Runs: one task from its decision to its last attempt."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from mahavishnu.engine.attempts import (
    Again,
    Done,
    Ending,
    Onwards,
    Step,
    Stop,
    attempt,
    cost_of,
    described,
    limit_s,
    next_step,
    rest_of,
)
from mahavishnu.engine.breaker import Breaker, Permit, Verdict
from mahavishnu.engine.choice import Choice, Chooser
from mahavishnu.engine.collector import Collector
from mahavishnu.engine.places import Places
from mahavishnu.engine.roster import Roster
from mahavishnu.engine.streams import Stream, streamed
from mahavishnu.errors import (
    AdapterError,
    Cancelled,
    MahavishnuError,
    NothingEligible,
    Refused,
    TaskCancelled,
    TaskFailed,
    Throttled,
)
from mahavishnu.model import Decision, Execution, Ranked, Report, Result, Status, Target, Task, Usage
from mahavishnu.ports import Adapter, Call, Clock, Settlement
from mahavishnu.settings import Settings


@dataclass(slots=True)
class Run:
    """What one task has come to so far."""

    task: Task
    decision_id: str
    began_s: float
    deadline_s: float
    carrier: asyncio.Task[Any] | None = None
    stream: Stream | None = None
    decision: Decision | None = None
    cancelled: bool = False
    settled: bool = False
    executions: list[Execution] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def settlement(self, *, succeeded: bool) -> Settlement | None:
        """What is to be written with the last fact, where the run holds an idempotency key."""
        if self.task.idempotency_key is None or self.settled:
            return None
        self.settled = True
        return Settlement(key=self.task.idempotency_key, decision_id=self.decision_id, succeeded=succeeded)


@dataclass(frozen=True, slots=True)
class _Leg:
    """One target's turn in the chain."""

    decision: Decision
    ranked: Ranked
    target: Target
    adapter: Adapter
    breaker: Breaker
    places: Places
    fallback: bool
    last: bool


class Runner:
    """Carries runs out: the only place that calls an adapter's `run`."""

    def __init__(
        self, roster: Roster, chooser: Chooser, collector: Collector, clock: Clock, settings: Settings, process_id: str
    ) -> None:
        self._roster = roster
        self._chooser = chooser
        self._collector = collector
        self._clock = clock
        self._settings = settings
        self._process_id = process_id
        self._jitter = Random()

    async def carry_out(self, run: Run, policy: str | None, seed: int | None) -> Report:
        """The report on a run; raises only for what is no answer to the task: the store, a cancellation."""
        try:
            choice, permit = await self._choose(run, policy, seed)
            if permit is None:
                return await self._nothing_eligible(run, choice.decision)
            return await self._work_through(run, choice, permit)
        finally:
            if settle := run.settlement(succeeded=False):
                await self._collector.settled(settle)

    async def _choose(self, run: Run, policy: str | None, seed: int | None) -> tuple[Choice, Permit | None]:
        """Decide, and take the permit of the first choice in the same breath, so that no other call comes between.

        While every target that could do it rests, wait for the first to come back, until the deadline.
        """
        while True:
            choice = self._chooser.choose(run.task, run.decision_id, policy, seed)
            run.decision = choice.decision
            now_s = self._clock.monotonic_s()
            if choice.chain:
                return choice, self._roster.breaker(choice.chain[0].candidate.target.name).acquire(now_s)
            if choice.next_at is None or now_s >= run.deadline_s:
                return choice, None
            await self._roster.change(min(choice.next_at, run.deadline_s) - now_s)

    async def _nothing_eligible(self, run: Run, decision: Decision) -> Report:
        await self._collector.decided(decision, run.settlement(succeeded=False))
        waited_ms = round((self._clock.monotonic_s() - run.began_s) * 1000)
        return self.report(run, nothing_eligible(decision, waited_ms))

    async def _work_through(self, run: Run, choice: Choice, first_permit: Permit) -> Report:
        permit: Permit | None = first_permit
        for place, ranked in enumerate(choice.chain):
            target = ranked.candidate.target
            leg = _Leg(
                decision=choice.decision,
                ranked=ranked,
                target=target,
                adapter=self._roster.adapter(target),
                breaker=self._roster.breaker(target.name),
                places=self._roster.places(target.name),
                fallback=place > 0,
                last=place == len(choice.chain) - 1,
            )
            report = await self._try_target(run, leg, permit)
            if report is not None:
                return report
            permit = None
        return self.report(run, _failure(run, "no target is left to try"))

    async def _try_target(self, run: Run, leg: _Leg, permit: Permit | None) -> Report | None:
        """One target's attempts; None where the next one should have its turn."""
        tries = 0
        while True:
            now_s = self._clock.monotonic_s()
            permit = permit or leg.breaker.acquire(now_s)
            if permit is None:
                run.passed_over.append(f"{leg.target.name} passed over ({leg.breaker.why(now_s)})")
                return None
            if not await self._take_place(run, leg, permit):
                return None
            tries += 1
            try:
                start, ending = await self._attempt(run, leg, permit)
            finally:
                leg.places.give_back()
            permit = None
            step = self._next_step(run, ending, tries)
            value = await self._end(run, leg, start, ending, step)
            match step:
                case Done():
                    return self.report(run, None, value)
                case Again(wait_s):
                    await self._clock.sleep(wait_s)
                case Onwards():
                    return None
                case Stop(why):
                    return self.report(run, _final(run, ending.error, why))

    def _next_step(self, run: Run, ending: Ending, tries: int) -> Step:
        if ending.error is not None and run.stream is not None and run.stream.begun:
            return Stop("the answer had begun and cannot begin again elsewhere")
        return next_step(
            ending.error,
            tries=tries,
            task=run.task,
            remaining_s=run.deadline_s - self._clock.monotonic_s(),
            rules=self._settings.attempts,
            rng=self._jitter,
        )

    async def _take_place(self, run: Run, leg: _Leg, permit: Permit) -> bool:
        """Wait for a place at the target, for half the time that is left while others could still be tried.

        Where none comes free in time the permit goes back unused.
        """
        left_s = run.deadline_s - self._clock.monotonic_s()
        taken = False
        try:
            taken = await leg.places.take(left_s if leg.last else left_s / 2)
        finally:
            if not taken:
                self._roster.report(leg.breaker, permit, Verdict.NOTHING)
        if not taken:
            most = leg.target.max_concurrent
            run.passed_over.append(f"{leg.target.name} passed over (its {most} places stayed taken)")
        return taken

    async def _attempt(self, run: Run, leg: _Leg, permit: Permit) -> tuple[Execution, Ending]:
        """One call. The start is durable before it, and the permit is handed back whatever happens."""
        start = self._start(run, leg)
        verdict, rest_s = Verdict.NOTHING, None
        began_s = self._clock.monotonic_s()
        try:
            await self._collector.began(start, None if run.executions else leg.decision)
            began_s = self._clock.monotonic_s()
            left_s = max(run.deadline_s - began_s, 0.001)
            seconds = limit_s(
                leg.target, leg.ranked.candidate.estimate, left_s, last=leg.last, rules=self._settings.attempts
            )
            call = Call(
                execution_id=start.id,
                deadline_s=seconds,
                idempotency_key=run.task.idempotency_key,
                announce=_Announcer(self._collector, start),
            )
            ending = await attempt(_running(run, leg, call), seconds, self._settings.limits.max_value_bytes)
            verdict, rest_s = _verdict(ending.error), rest_of(ending.error)
        except asyncio.CancelledError:
            passed_us = round((self._clock.monotonic_s() - began_s) * 1e6)
            await self._end(run, leg, start, Ending(Status.CANCELLED, passed_us), Stop("cancelled"))
            raise
        finally:
            self._roster.report(leg.breaker, permit, verdict, rest_s)
        return start, ending

    def _start(self, run: Run, leg: _Leg) -> Execution:
        return Execution(
            id=self._clock.new_id(),
            decision_id=run.decision_id,
            process_id=self._process_id,
            target=leg.target.name,
            adapter=leg.target.adapter,
            task_type=run.task.type,
            attempt=len(run.executions) + 1,
            fallback=leg.fallback,
            randomised=leg.decision.randomised and not leg.fallback,
            status=Status.RUNNING,
            started_at_us=self._clock.now_us(),
        )

    async def _end(self, run: Run, leg: _Leg, start: Execution, ending: Ending, step: Step) -> object:
        """Record how an attempt ended, and with the last one whom the idempotency key now belongs to."""
        # Of an answer that broke off, what had been used by its last chunk.
        result = ending.result or Result(usage=run.stream.usage if run.stream is not None else Usage())
        ended = replace(
            start,
            status=ending.status,
            ended_at_us=max(self._clock.now_us(), start.started_at_us),
            latency_us=ending.latency_us,
            cost_micros=cost_of(ending, result.usage, leg.target),
            price_version=leg.target.cost_model.version,
            usage=result.usage,
            quality=result.quality,
            value=result.value,
            error_code=ending.error.code if ending.error else None,
            error=str(ending.error) if ending.error else None,
            run_id=result.run_id,
        )
        run.executions.append(ended)
        settle = run.settlement(succeeded=isinstance(step, Done)) if isinstance(step, Done | Stop) else None
        await self._collector.ended(ended, settle)
        return ended.value

    def report(self, run: Run, error: MahavishnuError | None, value: object = None) -> Report:
        return Report(
            task=run.task,
            decision=run.decision,
            executions=tuple(run.executions),
            value=value,
            error=error,
            latency_us=round((self._clock.monotonic_s() - run.began_s) * 1e6),
        )


def _running(run: Run, leg: _Leg, call: Call) -> Awaitable[Result]:
    if run.stream is None:
        return leg.adapter.run(run.task, leg.target, call)
    return streamed(leg.adapter, run.task, leg.target, call, run.stream)


class _Announcer:
    """Writes down, durably, the id that the engine gave the run."""

    def __init__(self, collector: Collector, start: Execution) -> None:
        self._collector = collector
        self._start = start

    async def __call__(self, run_id: str) -> None:
        await self._collector.announced(replace(self._start, run_id=run_id))


def nothing_eligible(decision: Decision, waited_ms: int = 0) -> NothingEligible:
    return NothingEligible(
        task_type=decision.task.type,
        why_not={each.target: each.why_not or "" for each in decision.considered},
        decision_id=decision.id,
        waited_ms=waited_ms,
    )


def failed(decision_id: str, executions: list[Execution], passed_over: list[str], why: str) -> TaskFailed:
    attempts = [*(described(each) for each in executions), *passed_over]
    return TaskFailed(decision_id=decision_id, attempts=attempts, stopped=why)


def _failure(run: Run, why: str) -> TaskFailed:
    return failed(run.decision_id, run.executions, run.passed_over, why)


def _final(run: Run, error: AdapterError | None, why: str) -> MahavishnuError:
    """The error of a task whose attempts stopped with this one."""
    match error:
        case Refused():
            return error
        case Cancelled():
            return TaskCancelled(decision_id=run.decision_id)
        case _:
            return _failure(run, why)


def _verdict(error: AdapterError | None) -> Verdict:
    """The caller's error and a 429 say nothing about the target's health; everything else that failed does."""
    if error is None:
        return Verdict.WELL
    return Verdict.NOTHING if isinstance(error, Refused | Throttled | Cancelled) else Verdict.ILL
