"""Runs: one task from its decision to its last attempt."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from random import Random

from mahavishnu.engine.recording.collector import Collector
from mahavishnu.engine.routing.breaker import Permit, Verdict
from mahavishnu.engine.routing.choice import Choice, Chooser, log_decision
from mahavishnu.engine.routing.roster import Roster
from mahavishnu.engine.running.attempts import (
    Again,
    Done,
    Ending,
    Onwards,
    Step,
    Stop,
    attempt,
    billed,
    cost_of,
    limit_s,
    next_step,
    rest_of,
)
from mahavishnu.engine.running.failures import exhausted, failure, final, nothing_eligible, waits
from mahavishnu.engine.running.run_state import Attempt, Leg, Run
from mahavishnu.engine.running.streams import streamed
from mahavishnu.engine.spending.queue import Queue
from mahavishnu.engine.spending.spending import Price, Purse, breaks_max_cost, no_room
from mahavishnu.errors import (
    AdapterError,
    Cancelled,
    MahavishnuError,
    Refused,
    RepositoryError,
    TakenOver,
    Throttled,
    Unsuitable,
)
from mahavishnu.model import (
    Decision,
    Execution,
    Micros,
    OnExhausted,
    Report,
    Result,
    Shortfall,
    Status,
    Usage,
)
from mahavishnu.ports import Call, Clock, Presence
from mahavishnu.redaction import redacted
from mahavishnu.settings import Settings

END_GRACE_S = 0.05
"""How long the store may take to confirm an end after the deadline of its task, before it is kept on the local disk."""


class Runner:
    """Carries runs out: the only place that calls an adapter's `run`."""

    def __init__(
        self,
        roster: Roster,
        chooser: Chooser,
        collector: Collector,
        purse: Purse,
        queue: Queue,
        clock: Clock,
        settings: Settings,
        presence: Presence,
    ) -> None:
        self._roster = roster
        self._chooser = chooser
        self._collector = collector
        self._purse = purse
        self._queue = queue
        self._clock = clock
        self._settings = settings
        self._presence = presence
        self._jitter = Random()

    async def run_task(self, run: Run, seed: int | None) -> Report:
        """The report on a run; raises only for what is no answer to the task: the store, a cancellation."""
        try:
            choice, permit = await self._choose(run, seed)
            log_decision(choice.decision)
            if permit is None:
                return await self._nothing_eligible(run, choice.decision)
            return await self._run_chain(run, choice, permit)
        finally:
            if settle := run.settlement(succeeded=False):
                await self._collector.settled(settle, within_s=max(self._left_s(run), END_GRACE_S))

    async def _choose(self, run: Run, seed: int | None) -> tuple[Choice, Permit | None]:
        """Decide, and take the permit of the first choice in the same breath, so that no other call comes between.

        While every target that could do it rests, wait for the first to come back, until the deadline. Nobody is kept
        out for want of money by what was read of a budget some time ago.
        """
        fresh = False
        while True:
            choice = self._chooser.choose(run.task, run.decision_id, run.policy, seed)
            if choice.short and not fresh:
                await self._look_again(run)
                fresh = True
                continue
            run.decision = choice.decision
            now_s = self._clock.monotonic_s()
            if choice.chain:
                return choice, self._roster.breaker(choice.chain[0].candidate.target.name).acquire(now_s)
            if choice.next_at is None or now_s >= run.deadline_s:
                return choice, None
            await self._roster.change(min(choice.next_at, run.deadline_s) - now_s)

    async def _look_again(self, run: Run) -> None:
        """Read the budgets anew, if they can be read before the deadline."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._left_s(run)):
                await self._purse.refresh()

    async def _nothing_eligible(self, run: Run, decision: Decision) -> Report:
        await self._decided(run, decision)
        waited_ms = round((self._clock.monotonic_s() - run.began_s) * 1000)
        return self.report(run, nothing_eligible(decision, waited_ms))

    async def _run_chain(self, run: Run, choice: Choice, first_permit: Permit) -> Report:
        permit: Permit | None = first_permit
        for place, ranked in enumerate(choice.chain):
            target = ranked.candidate.target
            leg = Leg(
                decision=choice.decision,
                ranked=ranked,
                target=target,
                adapter=self._roster.adapter(target),
                breaker=self._roster.breaker(target.name),
                places=self._roster.places(target.name),
                fallback=place > 0,
                last=place == len(choice.chain) - 1,
            )
            report = await self._run_target(run, leg, permit)
            if report is not None:
                return report
            permit = None
        if run.executions:
            return self.report(run, failure(run, "no target is left to try"))
        await self._decided(run, choice.decision)
        if run.shortfalls:
            return self.report(run, exhausted(run, run.shortfalls[0].balance, self._clock.now_us()))
        return self.report(run, failure(run, "no target is left to try"))

    async def _run_target(self, run: Run, leg: Leg, permit: Permit | None) -> Report | None:
        """One target's attempts; None where the next one should have its turn."""
        tries = 0
        while True:
            now_s = self._clock.monotonic_s()
            permit = permit or leg.breaker.acquire(now_s)
            if permit is None:
                run.passed_over.append(f"{leg.target.name} passed over ({leg.breaker.why(now_s)})")
                return None
            seconds = self._seconds(run, leg)
            estimate = leg.ranked.candidate.estimate
            if why := breaks_max_cost(run.task, run.cost_micros, leg.target, estimate, seconds):
                self._roster.report(leg.breaker, permit, Verdict.NOTHING)
                run.passed_over.append(f"{leg.target.name} passed over ({why})")
                return None
            if not await self._take_place(run, leg, permit):
                return None
            tries += 1
            try:
                made = await self._attempt(run, leg, permit)
            finally:
                leg.places.give_back()
            if isinstance(made, Shortfall):
                return await self._short(run, leg, made)
            permit = None
            begun, ending = made
            step = self._next_step(run, ending, tries)
            value = await self._end(run, leg, begun, ending, step)
            match step:
                case Done():
                    return self.report(run, None, value)
                case Again(wait_s):
                    await self._clock.sleep(wait_s)
                case Onwards():
                    return None
                case Stop(why):
                    return self.report(run, final(run, ending.error, why))

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

    async def _take_place(self, run: Run, leg: Leg, permit: Permit) -> bool:
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

    def _seconds(self, run: Run, leg: Leg) -> float:
        """How long an attempt may take that begins now."""
        left_s = self._left_s(run)
        seen = leg.ranked.candidate.estimate
        return limit_s(leg.target, seen, left_s, last=leg.last, rules=self._settings.attempts)

    async def _short(self, run: Run, leg: Leg, shortfall: Shortfall) -> Report | None:
        """What becomes of a task that a budget has no room for; None where another target may still be paid for."""
        run.shortfalls.append(shortfall)
        run.passed_over.append(f"{leg.target.name} passed over ({no_room(shortfall)})")
        budget = shortfall.balance.budget
        if budget.of_targets or budget.on_exhausted is OnExhausted.DEGRADE:
            return None
        if run.executions:
            return self.report(run, failure(run, f"budget {budget.name} has no room for another attempt"))
        queued = run.queued
        if queued is None:
            # A task that already waits would otherwise leave a decision behind whenever it is its turn.
            await self._decided(run, leg.decision)
        if budget.on_exhausted is OnExhausted.REJECT:
            return self.report(run, exhausted(run, shortfall.balance, self._clock.now_us()))
        queued = queued or await self._queue.keep(run.task, run.policy, shortfall.balance)
        kept = waits(run, shortfall.balance, queued.id, self._clock.now_us())
        return self.report(run, kept)

    async def _decided(self, run: Run, decision: Decision) -> None:
        """Write a decision down that no attempt follows."""
        await self._collector.decided(decision, run.settlement(succeeded=False), within_s=self._left_s(run))

    async def _begin(self, run: Run, leg: Leg, made: Attempt, price: Price) -> Shortfall | None:
        """The start is durable and paid for when this returns None, and this process was not given up meanwhile."""
        line = None if run.queued else self._purse.line(run.task, leg.target)
        if line is not None:
            return Shortfall(balance=line, wanted_micros=price.most or Micros(0))
        decision = None if run.executions else leg.decision
        fenced = made.reservation is not None or run.token is not None
        return await self._collector.began(
            made.start,
            decision,
            made.reservation,
            token=made.token if fenced else None,
            within_s=self._left_s(run),
        )

    async def _confirm(self, run: Run, made: Attempt) -> None:
        """Raise `TakenOver` where what the attempt relies on may have been given up since it began.

        Nothing is asked of the store as long as the lease is valid.
        """
        if (made.reservation is None and run.token is None) or self._presence.holds(made.token):
            return
        await self._presence.renew(within_s=self._left_s(run))
        if not self._presence.holds(made.token):
            raise TakenOver(process_id=self._presence.process_id)

    async def _attempt(self, run: Run, leg: Leg, permit: Permit) -> tuple[Attempt, Ending] | Shortfall:
        """One call. The start is durable before it, and the permit is handed back whatever happens."""
        start = self._start(run, leg)
        seconds = self._seconds(run, leg)
        price = self._purse.price(run.task, leg.target, seconds)
        token = self._presence.token if run.token is None else run.token
        made = Attempt(start, self._purse.reservation(run.task, leg.target, start, price), token)
        verdict, rest_s, begun, called = Verdict.NOTHING, None, False, False
        began_s = self._clock.monotonic_s()
        try:
            shortfall = await self._begin(run, leg, made, price)
            if shortfall is not None:
                return shortfall
            begun = True
            await self._confirm(run, made)
            began_s = self._clock.monotonic_s()
            seconds = min(seconds, self._left_s(run))
            call = Call(
                execution_id=start.id,
                deadline_s=seconds,
                idempotency_key=run.task.idempotency_key,
                announce=_Announcer(self._collector, start),
            )
            called = True
            ending = await attempt(_running(run, leg, call), seconds, self._settings.limits.max_value_bytes)
            verdict, rest_s = _verdict(ending.error), rest_of(ending.error)
        except asyncio.CancelledError:
            if not begun:
                raise
            passed_us = round((self._clock.monotonic_s() - began_s) * 1e6)
            # Before it was called it costs nothing.
            error = None if called else Cancelled("it was cancelled before it began", may_have_run=False)
            await self._end(run, leg, made, Ending(Status.CANCELLED, passed_us, error=error), Stop("cancelled"))
            raise
        except RepositoryError as trouble:
            if begun and not called:
                unsure = Cancelled(f"it was not begun: {trouble}", may_have_run=False)
                await self._end(run, leg, made, Ending(Status.CANCELLED, 0, error=unsure), Stop("not begun"))
            raise
        finally:
            self._roster.report(leg.breaker, permit, verdict, rest_s)
        return made, ending

    def _start(self, run: Run, leg: Leg) -> Execution:
        return Execution(
            id=self._clock.new_id(),
            decision_id=run.decision_id,
            process_id=self._presence.process_id,
            target=leg.target.name,
            adapter=leg.target.adapter,
            task_type=run.task.type,
            attempt=len(run.executions) + 1,
            fallback=leg.fallback,
            randomised=leg.decision.randomised and not leg.fallback,
            status=Status.RUNNING,
            started_at_us=self._clock.now_us(),
        )

    async def _end(self, run: Run, leg: Leg, made: Attempt, ending: Ending, step: Step) -> object:
        """Record how an attempt ended and what it cost, and with the last one whom the idempotency key belongs to."""
        start = made.start
        # Of an answer that broke off, what had been used by its last chunk.
        result = ending.result or Result(usage=run.stream.usage if run.stream is not None else Usage())
        ended = replace(
            start,
            status=ending.status,
            ended_at_us=max(self._clock.now_us(), start.started_at_us),
            latency_us=ending.latency_us,
            cost_micros=cost_of(ending, result.usage, leg.target),
            price_version=leg.target.cost_model.version,
            usage=billed(ending, result.usage, leg.target),
            quality=result.quality,
            value=result.value,
            error_code=ending.error.code if ending.error else None,
            error=redacted(str(ending.error)) if ending.error else None,
            run_id=result.run_id,
        )
        run.executions.append(ended)
        settle = run.settlement(succeeded=isinstance(step, Done)) if isinstance(step, Done | Stop) else None
        charge = self._purse.charge(run.task, leg.target, ended, made.reservation)
        within_s = max(self._left_s(run), END_GRACE_S)
        await self._collector.ended(ended, settle, charge, token=made.token, within_s=within_s)
        return ended.value

    def _left_s(self, run: Run) -> float:
        return max(run.deadline_s - self._clock.monotonic_s(), 0.001)

    def report(self, run: Run, error: MahavishnuError | None, value: object = None) -> Report:
        return Report(
            task=run.task,
            decision=run.decision,
            executions=tuple(run.executions),
            value=value,
            error=error,
            latency_us=round((self._clock.monotonic_s() - run.began_s) * 1e6),
        )


async def _running(run: Run, leg: Leg, call: Call) -> Result:
    """A coroutine, so that what an adapter raises before it awaits anything is contained as well."""
    if run.stream is None:
        return await leg.adapter.run(run.task, leg.target, call)
    return await streamed(leg.adapter, run.task, leg.target, call, run.stream)


class _Announcer:
    """Writes down, durably, the id that the engine gave the run."""

    def __init__(self, collector: Collector, start: Execution) -> None:
        self._collector = collector
        self._start = start

    async def __call__(self, run_id: str) -> None:
        await self._collector.announced(replace(self._start, run_id=run_id))


def _verdict(error: AdapterError | None) -> Verdict:
    """The caller's error and a 429 say nothing about the target's health; everything else that failed does."""
    if error is None:
        return Verdict.WELL
    return Verdict.NOTHING if isinstance(error, Refused | Unsuitable | Throttled | Cancelled) else Verdict.ILL
