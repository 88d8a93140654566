"""Whatever an adapter hands back or raises, its attempt has an end that is recorded, and the next task is done."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mahavishnu.engine.clock import SystemClock
from mahavishnu.errors import Crashed, Misconfigured, TaskFailed, Throttled, Transient
from mahavishnu.model import Chunk, Result, Status, Task, Usage
from mahavishnu.ports import ExecutionQuery
from mahavishnu.storage import open_store
from tests import hostile
from tests.unit.engine.scripted import ScriptedAdapter, fine

TASK = Task(type="t", text="x")


class Mute(Misconfigured):
    def __str__(self):
        raise RuntimeError("mute")


class OddCode(Crashed):
    code = 5


class Broken(Exception):
    def __str__(self):
        raise RuntimeError("mute")


@dataclass
class Streaming(ScriptedAdapter):
    """Streams what it was given."""

    def __init__(self, *parts):
        super().__init__(a=fine)
        self.parts = parts

    async def stream(self, task, target, call):
        for part in self.parts:
            yield part


@asynccontextmanager
async def opened(engine, url, handed):
    """An engine whose target "a" hands back, or raises, what stands in `handed`."""

    async def a(task, call):
        if task.text == "good":
            return Result(value="good")
        if handed[0] is hostile.Lying:
            return hostile.Lying()
        if isinstance(handed[0], BaseException):
            raise handed[0]
        return handed[0]

    class Adapter(ScriptedAdapter):
        async def run(self, task, target, call):
            return await self.behaviours[target.name](task, call)

    store = open_store(url, SystemClock())
    await store.open()
    rules = {"retries": 0}
    async with engine(
        Adapter(a=a),
        store,
        attempts=rules,
        breaker={"consecutive_failures": 10_000, "failure_rate": 1.0, "window": 10_000},
    ) as (orchestrator, _):
        yield orchestrator, store
    await store.close()


async def ended(orchestrator, store):
    """The last execution as it is read back."""
    report = await orchestrator.perform(TASK)
    (stored,) = await store.executions(ExecutionQuery(decision_id=report.decision.id, last=None))
    assert stored == report.executions[0]
    assert stored.status.ended
    return stored


@pytest.mark.parametrize(
    ("handed", "words"),
    [
        (Result(run_id=UUID(int=5)), "returned a Result whose run_id must be text"),
        (Result(quality=True), "returned a Result whose quality must lie between 0 and 1"),
        (Result(cost_usd=Decimal("NaN")), "returned a Result whose cost_usd is not an amount of dollars"),
        (Result(usage=Usage(input_tokens=2**70)), "usage has input_tokens: it must be a whole number"),
        (Result(usage=Usage(estimated="perhaps")), "usage has estimated: it must be True or False"),
        (Result(usage=5), "usage is of type int"),
        (Result(value={"a": hostile.deep(150)}), "nested more than 100 deep"),
        (Result(value={"a": hostile.deep(5000)}), "nested "),
        (Result(value={1: "a", "1": "b"}), "written alike"),
        (hostile.Lying, "returned Lying and not a Result"),
        (Broken(), "Broken: (its message cannot be read)"),
        (Mute("x"), "(its message cannot be read)"),
        (Transient(5), "5"),
        (Transient("busy", retry_after_s="soon"), "busy"),
        (Transient("busy", retry_after_s=float("nan")), "busy"),
        (OddCode("odd"), "odd"),
        (Crashed("x" * 10_000_000), "x" * 2000),
    ],
)
async def test_what_cannot_be_recorded_is_a_failure_that_is_recorded(engine, tmp_path, handed, words):
    async with opened(engine, f"sqlite:///{tmp_path}/x.db", [handed]) as (orchestrator, store):
        stored = await ended(orchestrator, store)
        assert stored.status is Status.FAILED
        assert words in stored.error
        assert len(stored.error) <= 2000
        assert (await orchestrator.execute(Task(type="t", text="good"))).value == "good"


@pytest.mark.parametrize("kind", [Throttled, Misconfigured])
async def test_an_odd_error_keeps_its_kind(engine, kind):
    async with opened(engine, "memory:", [kind(["odd"])]) as (orchestrator, store):
        stored = await ended(orchestrator, store)
    assert stored.error_code == kind.code


@pytest.mark.parametrize(
    "value", [("a", 1), {1: "a"}, {"a": ("b",)}, hostile.OddText("x"), hostile.Number.ONE, "\ud83d\ude00"]
)
async def test_a_value_is_the_same_now_and_when_it_is_read_again(engine, tmp_path, value):
    async with opened(engine, f"sqlite:///{tmp_path}/x.db", [Result(value=value)]) as (orchestrator, store):
        report = await orchestrator.execute(TASK)
        stored = await store.execution(report.executions[0].id)
    assert report.value == stored.value
    assert type(report.value) is type(stored.value)


@pytest.mark.parametrize("url", ["memory:", "sqlite"])
def test_every_attempt_has_an_end_that_is_read_back_equal(engine, tmp_path, url):
    handed = []
    url = f"sqlite:///{tmp_path}/x.db" if url == "sqlite" else url
    results = st.builds(
        lambda given: Result(**given), hostile.fields(["value", "cost_usd", "usage", "quality", "run_id", "detail"], 3)
    )
    usages = hostile.fields(Usage.__dataclass_fields__, 3).map(lambda given: Result(usage=Usage(**given)))
    errors = st.tuples(
        st.sampled_from([Transient, Throttled, Crashed, Mute, OddCode]), hostile.values(), hostile.values()
    )
    raised = errors.map(lambda each: each[0](each[1], each[2]))

    with asyncio.Runner() as runner:
        context = opened(engine, url, handed)
        orchestrator, store = runner.run(context.__aenter__())

        @settings(deadline=None, max_examples=60)
        @given(st.one_of(results, usages, raised, hostile.values()))
        def tried(value):
            handed[:] = [value]
            stored = runner.run(ended(orchestrator, store))
            assert stored.error is None or isinstance(stored.error, str)

        tried()
        runner.run(context.__aexit__(None, None, None))


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([Chunk(text="a"), 5], "streamed int and not a Chunk or a Result"),
        ([Chunk(text=5)], "streamed a Chunk whose text must be text, not 5"),
        ([Chunk(text="a"), Chunk(text="b", usage=Usage(output_tokens=-1))], "a Chunk whose usage has output_tokens"),
        ([Chunk(text="a", usage=None)], "a Chunk whose usage is of type NoneType"),
    ],
)
async def test_a_chunk_that_is_none_ends_the_stream_as_a_failure_that_is_recorded(engine, parts, words):
    async with engine(Streaming(*parts), attempts={"retries": 0}) as (orchestrator, store):
        with pytest.raises(TaskFailed) as caught:
            async for _ in orchestrator.stream(TASK):
                pass
        (stored,) = await store.executions(ExecutionQuery(last=None))
    assert words in str(caught.value)
    assert words in stored.error
