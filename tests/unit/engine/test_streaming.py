"""Answers that come bit by bit: passed on at once, counted however they end."""

import asyncio
from decimal import Decimal

import pytest

from mahavishnu.errors import Crashed, TaskFailed
from mahavishnu.model import Chunk, CostModel, Report, Result, Status, Target, Usage
from tests.unit.engine.scripted import ScriptedAdapter, failing, fine, hang, stored, task

PER_TOKEN = CostModel(per_output_token_usd=Decimal("0.001"))


class Writer(ScriptedAdapter):
    """Writes what each target's script says: texts, exceptions, or an event to wait for."""

    def __init__(self, **scripts):
        super().__init__(**dict.fromkeys(scripts, fine))
        self.scripts = scripts
        self.closed = []

    def targets(self):
        return [
            Target(name=name, adapter=self.name, run=name, task_types={"t"}, place=place, cost_model=PER_TOKEN)
            for place, name in enumerate(self.scripts)
        ]

    async def stream(self, task, target, call):
        written = []
        try:
            for part in self.scripts[target.name]:
                if isinstance(part, Exception):
                    raise part
                if isinstance(part, asyncio.Event):
                    await part.wait()
                    continue
                written.append(part)
                yield Chunk(text=part, usage=Usage(output_tokens=len(written), estimated=True))
            yield Result(value="".join(written), usage=Usage(output_tokens=10 * len(written)))
        finally:
            self.closed.append(target.name)


async def read(stream, parts=None):
    parts = [] if parts is None else parts
    async for part in stream:
        parts.append(part)
    return parts


async def test_chunks_come_in_order_and_the_report_last(engine):
    async with engine(Writer(a=["one ", "two"])) as (orchestrator, store):
        *chunks, report = await read(orchestrator.stream(task()))
        assert [each.text for each in chunks] == ["one ", "two"]
        assert isinstance(report, Report)
        assert report.value == "one two"
        (execution,) = await stored(store)
        assert execution.usage == Usage(output_tokens=20)
        assert execution.cost_micros == 20_000


async def test_the_first_chunk_is_not_held_back(engine):
    gate = asyncio.Event()
    async with engine(Writer(a=["early", gate, "late"])) as (orchestrator, _):
        stream = orchestrator.stream(task())
        assert (await anext(stream)).text == "early"
        assert not gate.is_set()
        gate.set()
        assert [getattr(part, "text", None) for part in await read(stream)] == ["late", None]


async def test_before_the_first_chunk_the_next_target_has_its_turn(engine):
    async with engine(Writer(a=[Crashed("no")], b=["b"])) as (orchestrator, _):
        chunk, report = await read(orchestrator.stream(task()))
        assert chunk.text == "b"
        assert [each.status for each in report.executions] == [Status.FAILED, Status.SUCCEEDED]


async def test_an_answer_that_breaks_off_is_not_begun_again_and_not_free(engine):
    async with engine(Writer(a=["one ", "two ", Crashed("line cut")], b=["b"])) as (orchestrator, store):
        seen = []
        with pytest.raises(TaskFailed, match="the answer had begun"):
            await read(orchestrator.stream(task()), seen)
        assert [each.text for each in seen] == ["one ", "two "]
        (execution,) = await stored(store)
        assert (execution.status, execution.usage) == (Status.FAILED, Usage(output_tokens=2, estimated=True))
        assert execution.cost_micros == 2_000


async def test_a_caller_that_stops_reading_stops_the_run_and_pays_for_what_was_written(engine):
    adapter = Writer(a=["one ", "two ", asyncio.Event(), "never"])
    async with engine(adapter) as (orchestrator, store):
        stream = orchestrator.stream(task())
        await anext(stream)
        await anext(stream)
        await stream.aclose()
        assert adapter.closed == ["a"]
        (execution,) = await stored(store)
        assert (execution.status, execution.cost_micros) == (Status.CANCELLED, 2_000)


async def test_a_target_that_cannot_stream_answers_in_one_piece(engine):
    async with engine(ScriptedAdapter(a=failing(ValueError("no")), b=fine)) as (orchestrator, _):
        chunk, report = await read(orchestrator.stream(task(text="it")))
        assert (chunk.text, report.value) == ("did it", "did it")


async def test_the_same_key_streams_what_came_before_without_running_again(engine):
    adapter = Writer(a=["once"])
    async with engine(adapter) as (orchestrator, _):
        await read(orchestrator.stream(task(idempotency_key="k")))
        chunk, report = await read(orchestrator.stream(task(idempotency_key="k")))
        assert (chunk.text, report.replayed) == ("once", True)
        assert adapter.closed == ["a"]


async def test_a_stream_ends_with_the_deadline(engine):
    async with engine(Writer(a=["one", asyncio.Event()])) as (orchestrator, store):
        with pytest.raises(TaskFailed):
            await read(orchestrator.stream(task(deadline_ms=100)))
        (execution,) = await stored(store)
        assert (execution.status, execution.cost_micros) == (Status.TIMED_OUT, 1_000)


async def test_a_stream_without_an_end_is_a_failure(engine):
    class Forgetful(Writer):
        async def stream(self, task, target, call):
            yield Chunk(text="and then")

    async with engine(Forgetful(a=[])) as (orchestrator, _):
        with pytest.raises(TaskFailed, match="ended without a result"):
            await read(orchestrator.stream(task()))


async def test_a_hundred_streams_do_not_mix(engine):
    class Echo(Writer):
        async def stream(self, task, target, call):
            for letter in task.text:
                await asyncio.sleep(0)
                yield Chunk(text=letter)
            yield Result(value=task.text)

    async with engine(Echo(a=[])) as (orchestrator, _):
        answers = await asyncio.gather(*(read(orchestrator.stream(task(text=f"answer {n}"))) for n in range(100)))
    for number, (*chunks, report) in enumerate(answers):
        assert "".join(each.text for each in chunks) == report.value == f"answer {number}"


async def test_hanging_before_the_first_chunk_leaves_time_for_the_next(engine):
    class Mute(ScriptedAdapter):
        async def stream(self, task, target, call):
            yield Result(value=await self.behaviours[target.name](task, call))

    async with engine(Mute(a=hang, b=fine)) as (orchestrator, _):
        *_, report = await read(orchestrator.stream(task(deadline_ms=400)))
        assert report.last.target == "b"
