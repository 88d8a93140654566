"""What a store promises of facts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import replace

from mahavishnu.errors import (
    StoreUnavailable,
    UnknownName,
)
from mahavishnu.model import Execution, Status
from mahavishnu.model.identity import IdKind
from mahavishnu.ports import Between, Evidence, ExecutionQuery, Fact
from mahavishnu.testing.clock import ManualClock
from mahavishnu.testing.promises.places import (
    ALL,
    Opener,
    Promise,
    evidence,
    id_of,
    opened,
    raised,
    samples,
    two,
)
from mahavishnu.testing.samples import ODD_TEXT, Samples


async def what_was_recorded_is_read_back_by_everybody(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (store, other):
        decision = make.decision()
        start, end = make.run(decision, quality=0.25)
        outcome = make.outcome(decision, completed=True)
        await store.record([decision, start, end, outcome])
        for reader in (store, other):
            assert await reader.decision(decision.id) == decision
            assert await reader.execution(end.id) == end
            assert list(await reader.outcomes(decision.id)) == [outcome]
            assert list(await reader.executions(ALL)) == [end]
            assert list(await reader.decisions(5)) == [decision]


async def odd_and_big_content_comes_back_as_it_was(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (store, other):
        decision = make.odd_decision()
        end = make.odd_end(make.start(decision))
        outcome = make.odd_outcome(decision)
        await store.record([decision, end, outcome])
        assert await other.decision(decision.id) == decision
        assert await other.execution(end.id) == end
        assert list(await other.outcomes(decision.id)) == [outcome]


async def an_id_is_found_by_the_letters_that_it_ends_with(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (store, other):
        decisions = [make.decision() for _ in range(3)]
        start, end = make.run(decisions[0])
        await store.record([*decisions, start, end])
        ids = [decision.id for decision in decisions]
        assert list(await other.ids_ending(IdKind.DECISION, ids[1][1:])) == [ids[1]]
        assert list(await other.ids_ending(IdKind.EXECUTION, end.id[1:])) == [end.id]
        assert list(await other.ids_ending(IdKind.DECISION, end.id[1:])) == []
        assert len(await other.ids_ending(IdKind.DECISION, "")) == 2
        for kind in IdKind:
            assert list(await other.ids_ending(kind, f"%{ODD_TEXT}_")) == []


async def a_name_that_nothing_carries_is_not_found(opener: Opener) -> None:
    async with opened(opener) as store:
        for name in ("nothing", "", ODD_TEXT):
            assert await store.decision(name) is None
            assert await store.execution(name) is None
            assert list(await store.outcomes(name)) == []
            assert list(await store.executions(ExecutionQuery(target=name))) == []
            assert await store.holder(name) is None


async def recording_twice_is_recording_once(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (store, other):
        decision = make.decision()
        facts: list[Fact] = [decision, *make.run(decision), make.outcome(decision, completed=False)]
        await store.record(facts)
        once = await evidence(store)
        await store.record(facts)
        await other.record([*facts, *facts])
        assert await evidence(other) == once
        assert len(await store.decisions(9)) == len(await store.executions(ALL)) == 1
        assert len(await store.outcomes(decision.id)) == 1


async def the_first_end_of_an_execution_stands(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (store, other):
        decision = make.decision()
        start, failed = make.run(decision, Status.FAILED)
        await store.record([decision, start, failed, make.end(start, Status.TIMED_OUT)])
        await other.record([make.end(start, Status.SUCCEEDED)])
        assert await store.execution(start.id) == failed
        assert [fact for _, fact in await evidence(store)] == [failed]


async def an_execution_runs_until_it_has_ended(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (store, other):
        decision = make.decision()
        start = make.start(decision)
        await store.record([decision, start])
        assert await other.execution(start.id) == start
        assert list(await other.executions(ExecutionQuery(status=Status.RUNNING))) == [start]
        assert await evidence(other) == []
        await store.record([make.end(start)])
        await store.record([start])
        assert list(await other.executions(ExecutionQuery(status=Status.RUNNING))) == []
        assert await other.execution(start.id) == make.end(start)


async def an_announced_run_id_can_be_read_before_and_after_the_end(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (store, other):
        decision = make.decision()
        start = make.start(decision)
        await store.record([decision, start])
        announced = replace(start, run_id=ODD_TEXT)
        await store.record([announced])
        assert await other.execution(start.id) == announced
        assert list(await other.executions(ALL)) == [announced]
        await store.record([make.end(start, Status.FAILED)])
        ended = replace(make.end(start, Status.FAILED), run_id=ODD_TEXT)
        assert await other.execution(start.id) == ended
        assert [fact for _, fact in await evidence(other)] == [ended]


async def the_newest_come_first_and_every_condition_holds(opener: Opener) -> None:
    clock = ManualClock(seed=7)
    make = Samples(clock)
    decisions, ends = [], []
    async with opened(opener) as store:
        for number in range(12):
            clock.advance(1)
            decision = make.decision(task_type="etl" if number % 2 else "rag")
            start = make.start(decision, target="a" if number % 3 else "b")
            status = Status.FAILED if number % 4 else Status.SUCCEEDED
            decisions.append(decision)
            ends.append(start if number == 11 else make.end(start, status))
            await store.record([decision, start])
        # The order in which they end is not the order in which they are.
        await store.record([end for end in reversed(ends) if end.status.ended])
        decisions.reverse()
        ends.reverse()
        assert list(await store.decisions(3)) == decisions[:3]
        assert list(await store.decisions(2, "rag")) == [each for each in decisions if each.task.type == "rag"][:2]
        assert list(await store.executions(ExecutionQuery(last=5))) == ends[:5]
        assert list(await store.executions(ALL)) == ends
        one = ExecutionQuery(decision_id=decisions[4].id)
        assert list(await store.executions(one)) == [ends[4]]
        query = ExecutionQuery(last=2, target="a", task_type="etl", status=Status.FAILED)
        wanted = [e for e in ends if (e.target, e.task_type, e.status) == ("a", "etl", Status.FAILED)]
        assert list(await store.executions(query)) == wanted[:2]
        assert list(await store.executions(ExecutionQuery(last=0))) == []
        assert list(await store.decisions(0)) == []
        # From the first of the two moments on, and before the second.
        within = Between(decisions[7].at_us, decisions[3].at_us)
        assert list(await store.decisions(9, within=within)) == decisions[4:8]
        assert list(await store.decisions(9, "rag", within)) == [e for e in decisions[4:8] if e.task.type == "rag"]
        assert list(await store.decisions(9, within=Between(until_us=decisions[9].at_us))) == decisions[10:]
        assert list(await store.decisions(1, within=Between(decisions[9].at_us))) == decisions[:1]
        within = Between(ends[7].started_at_us, ends[3].started_at_us)
        assert list(await store.executions(ExecutionQuery(within=within))) == ends[4:8]
        assert list(await store.executions(ExecutionQuery(within=Between(ends[0].started_at_us)))) == ends[:1]


async def what_fails_leaves_nothing_behind_and_harms_nobody(opener: Opener) -> None:
    make = samples()
    async with opened(opener) as store:
        good = [make.decision() for _ in range(20)]
        guilty = make.decision()
        nobody = replace(make.outcome(guilty, completed=True), decision_id="nobody")
        waiting = [store.record([decision, *make.run(decision)]) for decision in good]
        waiting.insert(10, store.record([guilty, *make.run(guilty), nobody]))
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in answers if not isinstance(each, int)] == [UnknownName]
        assert await store.decision(guilty.id) is None
        assert {each.id for each in await store.decisions(99)} == {each.id for each in good}
        assert len(await store.executions(ALL)) == len(await evidence(store)) == 20


async def what_cannot_be_written_is_refused(opener: Opener) -> None:
    make = samples()
    async with opened(opener) as store:
        decision = make.decision()
        start, end = make.run(decision)
        await raised(StoreUnavailable, store.record([decision, replace(end, value=object())]))
        assert await store.decision(decision.id) is None
        await store.record([decision, start, end])
        assert await store.execution(end.id) == end


async def what_was_handed_over_is_written_even_if_the_caller_is_cancelled(opener: Opener) -> None:
    make = samples()
    async with opened(opener) as store:
        decisions = [make.decision() for _ in range(30)]
        tasks = [asyncio.ensure_future(store.record([decision])) for decision in decisions]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        last = make.decision()
        await store.record([last])
        assert {each.id for each in await store.decisions(99)} == {each.id for each in [*decisions, last]}


async def evidence_is_complete_in_order_and_can_be_resumed_anywhere(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (store, other):
        expected: list[str] = []
        for number in range(15):
            decision = make.decision()
            start, end = make.run(decision)
            await (store, other)[number % 2].record([decision, start, end])
            expected.append(end.id)
            if number % 3 == 0:
                outcome = make.outcome(decision, completed=False)
                await store.record([outcome])
                expected.append(outcome.id)
        read = await evidence(other)
        assert [id_of(fact) for _, fact in read] == expected
        positions = [position for position, _ in read]
        assert positions == sorted(set(positions))
        assert positions[0] > 0
        for place, position in enumerate(positions):
            assert await evidence(store, position) == read[place + 1 :]
            assert await evidence(store, 0, position) == read[: place + 1]
        assert await store.newest() >= positions[-1]
        others = [fact async for _, fact in store.facts(0, besides=end.process_id)]
        assert others == [fact for _, fact in read if not isinstance(fact, Execution)]


async def a_reader_that_polls_misses_nothing_that_two_writers_write(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        ends: list[Execution] = []
        writing: list[Awaitable[int]] = []
        for number in range(300):
            decision = make.decision()
            run = make.run(decision)
            ends.append(run[1])
            writing.append((one, other)[number % 2].record([decision, *run]))
        written = asyncio.ensure_future(asyncio.gather(*writing))
        read: list[tuple[int, Evidence]] = []
        last_look = False
        while not last_look:
            await asyncio.sleep(0)
            last_look = written.done()
            read += await evidence(one, read[-1][0] if read else 0)
        await written
        assert sorted(id_of(fact) for _, fact in read) == sorted(end.id for end in ends)
        assert read == await evidence(other)


PROMISES: Sequence[Promise] = (
    what_was_recorded_is_read_back_by_everybody,
    odd_and_big_content_comes_back_as_it_was,
    an_id_is_found_by_the_letters_that_it_ends_with,
    a_name_that_nothing_carries_is_not_found,
    recording_twice_is_recording_once,
    the_first_end_of_an_execution_stands,
    an_execution_runs_until_it_has_ended,
    an_announced_run_id_can_be_read_before_and_after_the_end,
    the_newest_come_first_and_every_condition_holds,
    what_fails_leaves_nothing_behind_and_harms_nobody,
    what_cannot_be_written_is_refused,
    what_was_handed_over_is_written_even_if_the_caller_is_cancelled,
    evidence_is_complete_in_order_and_can_be_resumed_anywhere,
    a_reader_that_polls_misses_nothing_that_two_writers_write,
)
