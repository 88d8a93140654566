"""What a store promises of runs of workflows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mahavishnu.errors import InputError
from mahavishnu.model import Status
from mahavishnu.model.workflow_run import HERE, StepEnd, StepStatus, WorkflowEnd, WorkflowRun, WorkflowStart
from mahavishnu.ports import Store
from mahavishnu.testing.promises.places import Opener, Promise, opened, raised, samples, two
from mahavishnu.testing.samples import ODD_TEXT, ODD_VALUE, Samples

_DEFINITION: dict[str, Any] = {
    "workflow": {"name": "w"},
    "steps": {"one": {"type": "t", "payload": ODD_VALUE}, "two": {"type": "t", "text": ODD_TEXT, "needs": ["one"]}},
}


def _start(make: Samples, process_id: str | None, run_id: str = "r", place: str = HERE) -> WorkflowStart:
    return WorkflowStart(
        id=make.new_id(),
        run_id=run_id,
        definition=_DEFINITION,
        inputs={ODD_TEXT: ODD_VALUE},
        place=place,
        process_id=process_id,
        at_us=2**52,
    )


def _end(make: Samples, status: Status = Status.FAILED, run_id: str = "r") -> WorkflowEnd:
    return WorkflowEnd(id=make.new_id(), run_id=run_id, status=status, reason=ODD_TEXT, at_us=2**52 + 5)


def _step_end(make: Samples, step: str = "one", reason: str | None = None) -> StepEnd:
    return StepEnd(
        id=make.new_id(),
        run_id="r",
        step=step,
        status=StepStatus.FAILED,
        decision_id=make.new_id() if reason else None,
        reason=reason,
        at_us=2**52 + 1,
    )


async def _run(store: Store) -> WorkflowRun:
    found = await store.workflow("r")
    assert found is not None
    return found


async def a_run_comes_back_exactly_and_is_running_until_its_end(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        assert await one.workflow("r") is None
        start, end = _start(make, one.process_id), _end(make)
        step_ends = [_step_end(make, "one", ODD_TEXT), _step_end(make, "two")]
        for _ in range(2):  # Again, as where the answer to a commit was lost: the first stands.
            await one.record_workflow_start(start)
        running = await _run(other)
        assert (running.status, running.begun, running.ends, running.ended_at_us) == (Status.RUNNING, True, (), None)
        assert (running.definition, running.inputs) == (start.definition, start.inputs)
        for _ in range(2):
            for each in step_ends:
                await one.record_step_end(each)
            await one.record_workflow_end(end)
        expected = replace(running, status=Status.FAILED, reason=ODD_TEXT, ended_at_us=end.at_us, ends=tuple(step_ends))
        assert await _run(one) == await _run(other) == expected


async def a_run_may_be_started_again_as_it_was_and_only_so(opener: Opener) -> None:
    make = samples()
    async with opened(opener) as store:
        first = _start(make, store.process_id)
        await store.record_workflow_start(first)
        await store.record_step_end(_step_end(make))
        await store.record_workflow_end(_end(make))
        for another in (replace(first, inputs={}), replace(first, definition={"workflow": {}, "steps": {}})):
            await raised(InputError, store.record_workflow_start(replace(another, id=make.new_id())))
        again = replace(first, id=make.new_id(), at_us=first.at_us + 9, place="prefect")
        await store.record_workflow_start(again)
        run = await _run(store)
        assert (run.status, run.ends, run.reason, run.ended_at_us) == (Status.RUNNING, (), None, None)
        assert (run.started_at_us, run.place) == (first.at_us, "prefect")


async def of_two_that_start_one_run_differently_one_wins(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        rivals = [replace(_start(make, one.process_id), inputs={"n": n}) for n in range(10)]
        answers = await asyncio.gather(
            *((one, other)[n % 2].record_workflow_start(rival) for n, rival in enumerate(rivals)),
            return_exceptions=True,
        )
        assert sum(isinstance(each, InputError) for each in answers) == 9
        assert (await _run(other)).inputs == {"n": answers.index(None)}


async def a_run_whose_process_is_gone_is_lost_and_one_that_waits_for_a_process_is_not(opener: Opener) -> None:
    make = samples()
    async with opened(opener) as store:
        async with opened(opener) as gone:
            await gone.record_workflow_start(_start(make, gone.process_id))
            await gone.record_workflow_start(_start(make, None, "handed-over", "prefect"))
            assert (await _run(store)).status is Status.RUNNING
        assert (await _run(store)).status is Status.LOST
        waiting = await store.workflow("handed-over")
        assert waiting is not None
        assert (waiting.status, waiting.begun, waiting.place) == (Status.RUNNING, False, "prefect")


async def a_run_can_be_asked_to_stop_until_it_has_ended(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        assert not await other.request_cancel("r")
        start = _start(make, one.process_id)
        await one.record_workflow_start(start)
        assert not await one.cancel_requested("r")
        assert await other.request_cancel("r")
        assert await other.request_cancel("r")
        assert await one.cancel_requested("r")
        assert not await one.cancel_requested("another")
        assert (await _run(one)).cancel_requested
        # Whoever takes up what was handed to it is asked as well.
        await one.record_workflow_start(replace(start, id=make.new_id()))
        assert await one.cancel_requested("r")
        await one.record_workflow_end(_end(make, Status.CANCELLED))
        assert not await other.cancel_requested("r")
        assert not await other.request_cancel("r")
        await one.record_workflow_start(replace(start, id=make.new_id()))
        assert not await other.cancel_requested("r")


async def the_runs_that_were_started_last_come_first(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        for run_id in ("a", "b", "c"):
            await one.record_workflow_start(_start(make, one.process_id, run_id))
        await one.record_workflow_end(_end(make, Status.SUCCEEDED, "b"))
        await one.record_workflow_start(_start(make, one.process_id, "a"))
        found = await other.workflows(10)
        assert [(each.id, each.status) for each in found] == [
            ("a", Status.RUNNING),
            ("c", Status.RUNNING),
            ("b", Status.SUCCEEDED),
        ]
        assert [each.id for each in await other.workflows(2)] == ["a", "c"]


PROMISES: Sequence[Promise] = (
    a_run_comes_back_exactly_and_is_running_until_its_end,
    a_run_may_be_started_again_as_it_was_and_only_so,
    of_two_that_start_one_run_differently_one_wins,
    a_run_whose_process_is_gone_is_lost_and_one_that_waits_for_a_process_is_not,
    a_run_can_be_asked_to_stop_until_it_has_ended,
    the_runs_that_were_started_last_come_first,
)
