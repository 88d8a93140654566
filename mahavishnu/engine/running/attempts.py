"""Attempts: one call of an adapter under a deadline, and what to do after it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from random import Random

from mahavishnu.engine.running.adapter_results import error_of, result_of
from mahavishnu.errors import AdapterError, Cancelled, Crashed, Refused, Throttled, TimedOut, Transient, Unsuitable
from mahavishnu.model import Estimate, Execution, Micros, Result, Status, Target, Task, Usage
from mahavishnu.model.money import to_micros
from mahavishnu.settings import AttemptSettings

STOP_GRACE_S = 1.0
"""How long an adapter may take to let go of a cancelled run before it is left to itself."""

THROTTLED_REST_S = 1.0
"""The patience a 429 asks for when it does not say."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How one call ended: a result, or the adapter's error; and how long it took."""

    status: Status
    latency_us: int
    result: Result | None = None
    error: AdapterError | None = None


# Runs that did not let go when they were told to: kept here so that they are not collected while they still run.
_stray: set[asyncio.Task[Result]] = set()


async def attempt(run: Awaitable[Result], limit_s: float, max_value_bytes: int) -> Ending:
    """Await one call for `limit_s` at most. Whatever the adapter does, this ends, and says how it ended.

    Raises only CancelledError, after the run has been told to stop.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    task = asyncio.ensure_future(_contained(run))
    try:
        await _until_done(task, limit_s)
    except asyncio.CancelledError:
        await _stop(task)
        raise
    in_time = task.done()
    if not in_time:
        await _stop(task)
    latency_us = round((loop.time() - started) * 1e6)
    if not in_time:
        return Ending(Status.TIMED_OUT, latency_us, error=TimedOut(f"no answer within {limit_s:.3g} s"))
    if task.cancelled():
        return Ending(Status.FAILED, latency_us, error=Crashed("the run cancelled itself"))
    failure = task.exception()
    if failure is None:
        try:
            return Ending(Status.SUCCEEDED, latency_us, result=result_of(task.result(), max_value_bytes))
        except Exception as problem:  # noqa: BLE001 - what a stranger's class does when it is looked at ends here, too
            failure = problem
    error = error_of(failure)
    return Ending(_status_of(error), latency_us, error=error)


async def _contained(run: Awaitable[Result]) -> Result:
    """SystemExit and KeyboardInterrupt would tear the event loop down if they left a task: keep them inside."""
    try:
        return await run
    except (SystemExit, KeyboardInterrupt, GeneratorExit) as failure:
        raise Crashed(f"{type(failure).__name__}: {failure}") from failure


async def _until_done(task: asyncio.Task[Result], limit_s: float) -> None:
    """What asyncio.wait does for one task, at a third of its price: this stands in everybody's way to everything."""
    loop = asyncio.get_running_loop()
    woken = loop.create_future()

    def wake(_: object = None) -> None:
        if not woken.done():
            woken.set_result(None)

    task.add_done_callback(wake)
    timer = loop.call_later(limit_s, wake)
    try:
        await woken
    finally:
        timer.cancel()
        task.remove_done_callback(wake)


async def _stop(task: asyncio.Task[Result]) -> None:
    task.cancel()
    _stray.add(task)
    task.add_done_callback(_forget)
    await asyncio.wait({task}, timeout=STOP_GRACE_S)


def _forget(task: asyncio.Task[Result]) -> None:
    _stray.discard(task)
    if not task.cancelled():
        task.exception()  # looked at, so that asyncio does not complain that nobody did


def _status_of(failure: BaseException) -> Status:
    match failure:
        case Refused():
            return Status.REFUSED
        case Unsuitable():
            return Status.UNSUITABLE
        case TimedOut():
            return Status.TIMED_OUT
        case Cancelled():
            return Status.CANCELLED
        case _:
            return Status.FAILED


def cost_of(ending: Ending, usage: Usage, target: Target) -> Micros:
    """What the target said it cost, else its cost model, for every run that was begun; a refused one is free."""
    if ending.result is not None and ending.result.cost_usd is not None:
        return to_micros(ending.result.cost_usd)
    if ending.error is not None and not ending.error.may_have_run:
        return Micros(0)
    return target.cost_model.cost(billed(ending, usage, target))


def billed(ending: Ending, usage: Usage, target: Target) -> Usage:
    """What is paid for: where seconds are, and the engine does not say how many, those that the attempt took."""
    begun = ending.error is None or ending.error.may_have_run
    if usage.seconds or not target.cost_model.per_second_usd or not begun:
        return usage
    return replace(usage, seconds=ending.latency_us / 1e6)


def limit_s(target: Target, seen: Estimate, remaining_s: float, *, last: bool, rules: AttemptSettings) -> float:
    """How long one attempt may take: the target's own limit, and of the time that is left only half while others could
    still be tried, or more where this target is known to need it (one and a half times its p99).

    >>> from mahavishnu.model import NO_EVIDENCE
    >>> target = Target(name="a", adapter="local", run="m:f", task_types={"t"}, timeout_ms=8_000)
    >>> [limit_s(target, NO_EVIDENCE, left, last=last, rules=AttemptSettings())
    ...  for left, last in ((10.0, False), (10.0, True), (60.0, False))]
    [5.0, 8.0, 8.0]
    """
    own_s = (target.timeout_ms or rules.timeout_ms) / 1000
    if last:
        return min(own_s, remaining_s)
    needed_s = 1.5 * (seen.p99_ms or 0.0) / 1000
    return min(own_s, remaining_s, max(remaining_s / 2, needed_s))


@dataclass(frozen=True, slots=True)
class Again:
    """Try the same target once more, after a wait."""

    wait_s: float


@dataclass(frozen=True, slots=True)
class Onwards:
    """Try the next target of the chain."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Try nothing more, and say why."""

    why: str


@dataclass(frozen=True, slots=True)
class Done:
    """It succeeded."""


Step = Done | Again | Onwards | Stop


def next_step(
    error: AdapterError | None, *, tries: int, task: Task, remaining_s: float, rules: AttemptSettings, rng: Random
) -> Step:
    """What to do after an attempt, the `tries`-th on its target, that ended with this error or with none.

    An error of the task itself stops everything: any target would refuse it. A task that is not safe to repeat goes on
    only where the failed attempt cannot have taken effect. Only Transient is tried again on the same target, after a
    wait with full jitter (Brooker, "Exponential backoff and jitter", 2015), never shorter than the engine asked for;
    a wait that would take more than half of what is left is not worth it while others could be tried.
    """
    if error is None:
        return Done()
    if isinstance(error, Refused):
        return Stop("the target refused what was asked")
    if isinstance(error, Cancelled):
        return Stop("it was cancelled where it ran")
    if remaining_s <= 0:
        return Stop("its deadline passed")
    if not task.repeatable:
        return Stop("it is not safe to repeat and may have taken effect") if error.may_have_run else Onwards()
    if not isinstance(error, Transient) or tries > rules.retries:
        return Onwards()
    wait_s = rng.uniform(0, min(rules.backoff_ms * 2 ** (tries - 1), rules.backoff_max_ms)) / 1000
    wait_s += rest_of(error) or 0.0
    return Again(wait_s) if wait_s <= min(remaining_s / 2, rules.backoff_max_ms / 1000) else Onwards()


def rest_of(error: AdapterError | None) -> float | None:
    """How long the target asked to be left alone, if it did."""
    if not isinstance(error, Transient):
        return None
    if error.retry_after_s is None:
        return THROTTLED_REST_S if isinstance(error, Throttled) else None
    return error.retry_after_s


def described(execution: Execution) -> str:
    """One attempt in a few words, for the sentence of a failed task.

    >>> from mahavishnu.model import Execution
    >>> described(Execution(id="e", decision_id="d", process_id="p", target="etl-a", adapter="local", task_type="etl",
    ...     attempt=1, fallback=False, randomised=True, status=Status.FAILED, started_at_us=0, error="ValueError: no"))
    'etl-a failed (ValueError: no)'
    """
    words = f"{execution.target} {execution.status.replace('_', ' ')}"
    return f"{words} ({execution.error})" if execution.error else words
