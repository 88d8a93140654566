"""The promises that every adapter is held to: plain async functions, so that a stranger's adapter can prove itself.

    for promise in ADAPTER_PROMISES:
        await promise(make_case())

Each one wants a case of its own, since some of them close the adapter.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from mahavishnu.errors import AdapterError, Cancelled, Misconfigured, Refused
from mahavishnu.model import Health, HealthStatus, Result, Status, Target, Task
from mahavishnu.ports import Adapter, Call, RunRef

PROMPT_S = 2.0
"""How soon a run must let go after it was cancelled."""

STARTS_WITHIN_S = 0.2
"""How long a run that hangs is watched before it is cancelled: long enough to be under way."""

_LONG_S = 30.0

_Run = asyncio.Task[Result]

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A task for a target; `value` is what comes back where it succeeds."""

    target: Target
    task: Task
    value: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterCase:
    """An adapter, and tasks of which it is known how they end. A promise about a kind that is not given holds.

    `numbered` makes an example that succeeds and whose value tells its number. `calls` counts how often the target of
    `fails` was really called. `names_runs` says that the engine gives runs ids of its own: one is under way, then, as
    soon as it has been announced, however long that takes.
    """

    adapter: Adapter
    succeeds: Example
    fails: Example | None = None
    hangs: Example | None = None
    refused: Example | None = None
    misconfigured: Example | None = None
    numbered: Callable[[int], Example] | None = None
    calls: Callable[[], int] | None = None
    names_runs: bool = False


Promise = Callable[[AdapterCase], Awaitable[None]]


async def has_the_shape_of_an_adapter(case: AdapterCase) -> None:
    adapter = case.adapter
    assert isinstance(adapter.name, str), "name must be text"
    assert adapter.name, "name must not be empty"
    for name, wanted in inspect.getmembers(Adapter, inspect.isfunction):
        if name.startswith("_"):
            continue
        given = getattr(adapter, name, None)
        assert given is not None, f"{name}() is missing"
        assert inspect.iscoroutinefunction(given) == inspect.iscoroutinefunction(wanted), f"{name}(): async or not?"
        # Without `self`; every argument is given by its place.
        arguments = [None] * (len(inspect.signature(wanted).parameters) - 1)
        inspect.signature(given).bind(*arguments)
    for target in adapter.targets():
        assert isinstance(target, Target)
        assert target.adapter == adapter.name, f"{target.name} belongs to {target.adapter} and not to {adapter.name}"


async def supports_answers_any_word(case: AdapterCase) -> None:
    for word in ("can_cancel_workflows", "can_monitor_execution", "", "no such capability", "ünïcödé"):
        assert isinstance(case.adapter.supports(word), bool), f"supports({word!r}) must be True or False"


async def a_success_returns_a_result_that_is_json(case: AdapterCase) -> None:
    result = await _run(case, case.succeeds)
    assert isinstance(result, Result)
    assert result.value == case.succeeds.value
    assert json.loads(json.dumps(result.value, allow_nan=False)) == result.value
    assert result.cost_usd is None or result.cost_usd >= 0


async def failures_leave_only_as_adapter_errors(case: AdapterCase) -> None:
    wanted = ((case.fails, AdapterError), (case.refused, Refused), (case.misconfigured, Misconfigured))
    for example, kind in wanted:
        if example is None:
            continue
        failure = await _failure(case, example)
        assert isinstance(failure, kind), f"{example.target.run} raised {failure!r} and not {kind.__name__}"
        assert str(failure).strip(), "an error without a sentence helps nobody"


async def a_failing_run_is_not_retried(case: AdapterCase) -> None:
    if case.fails is None or case.calls is None:
        return
    before = case.calls()
    await _failure(case, case.fails)
    assert case.calls() == before + 1, f"called {case.calls() - before} times; retrying is the engine's business"


async def concurrent_runs_do_not_mix(case: AdapterCase) -> None:
    numbered = case.numbered
    examples = [numbered(number) if numbered else case.succeeds for number in range(20)]
    results = await asyncio.gather(*(_run(case, example) for example in examples))
    assert [result.value for result in results] == [example.value for example in examples]


async def a_cancelled_run_lets_go(case: AdapterCase) -> None:
    if case.hangs is None:
        return
    others = asyncio.all_tasks()
    run = await _under_way(case, case.hangs, _call())
    run.cancel()
    await asyncio.wait({run}, timeout=PROMPT_S)
    assert run.done(), f"still running {PROMPT_S} s after it was cancelled"
    assert run.cancelled(), "a cancelled run must raise CancelledError"
    left = asyncio.all_tasks() - others
    assert not left, f"left behind: {left}"


async def a_run_is_cancelled_on_request(case: AdapterCase) -> None:
    if case.hangs is None or not case.adapter.supports("can_cancel_workflows"):
        return
    announced: list[str] = []
    named = asyncio.Event()
    call = _call(announced, named)
    run = await _under_way(case, case.hangs, call, named)
    ref = RunRef(target=case.hangs.target, execution_id=call.execution_id, run_id=announced[-1] if announced else None)
    assert await case.adapter.status(ref) in (Status.RUNNING, None)
    assert await case.adapter.cancel(ref), "there was a run to stop"
    await asyncio.wait({run}, timeout=PROMPT_S)
    assert run.done(), f"still running {PROMPT_S} s after cancel()"
    assert not run.cancelled(), "a run that was stopped on request must raise Cancelled: nobody cancelled its caller"
    assert isinstance(run.exception(), Cancelled)
    assert await case.adapter.status(ref) is not Status.RUNNING


async def an_unknown_run_has_no_status_and_nothing_to_cancel(case: AdapterCase) -> None:
    ref = RunRef(target=case.succeeds.target, execution_id="never-started", run_id=None)
    assert await case.adapter.status(ref) is None
    assert await case.adapter.cancel(ref) is False


async def health_answers_for_every_target(case: AdapterCase) -> None:
    well = await case.adapter.health(case.succeeds.target)
    assert isinstance(well, Health)
    assert well.can_run, f"the target that succeeds is {well.status}: {well.detail}"
    if case.misconfigured is None:
        return
    ill = await case.adapter.health(case.misconfigured.target)
    assert ill.status in (HealthStatus.MISCONFIGURED, HealthStatus.UNAUTHORISED), f"a misconfigured one is {ill.status}"
    assert ill.detail, "say what is wrong with it"


async def closing_twice_does_no_harm(case: AdapterCase) -> None:
    await _run(case, case.succeeds)
    await case.adapter.close()
    await case.adapter.close()


ADAPTER_PROMISES: tuple[Promise, ...] = (
    has_the_shape_of_an_adapter,
    supports_answers_any_word,
    a_success_returns_a_result_that_is_json,
    failures_leave_only_as_adapter_errors,
    a_failing_run_is_not_retried,
    concurrent_runs_do_not_mix,
    a_cancelled_run_lets_go,
    a_run_is_cancelled_on_request,
    an_unknown_run_has_no_status_and_nothing_to_cancel,
    health_answers_for_every_target,
    closing_twice_does_no_harm,
)


def _call(announced: list[str] | None = None, named: asyncio.Event | None = None) -> Call:
    async def announce(run_id: str) -> None:
        assert run_id, "an adapter announces an id or nothing"
        if announced is not None:
            announced.append(run_id)
        if named is not None:
            named.set()

    return Call(execution_id=f"promise-{next(_numbers)}", deadline_s=_LONG_S, idempotency_key=None, announce=announce)


async def _run(case: AdapterCase, example: Example) -> Result:
    return await case.adapter.run(example.task, example.target, _call())


async def _failure(case: AdapterCase, example: Example) -> Exception:
    try:
        result = await _run(case, example)
    except AdapterError as failure:
        return failure
    raise AssertionError(f"{example.target.run} was to fail, and returned {result!r:.200}")


async def _under_way(case: AdapterCase, example: Example, call: Call, named: asyncio.Event | None = None) -> _Run:
    run = asyncio.ensure_future(case.adapter.run(example.task, example.target, call))
    if case.names_runs and named is not None:
        naming = asyncio.ensure_future(named.wait())
        await asyncio.wait({run, naming}, timeout=_LONG_S, return_when=asyncio.FIRST_COMPLETED)
        naming.cancel()
    else:
        await asyncio.wait({run}, timeout=STARTS_WITHIN_S)
    assert not run.done(), f"{example.target.run} was to hang, and ended: {run}"
    return run
