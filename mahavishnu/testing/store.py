"""What every store promises; a stranger's store proves itself by `await promise(opener)`, each on an empty place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from mahavishnu.errors import (
    InvalidOutcome,
    KeyReused,
    SnapshotConflict,
    StoreUnavailable,
    TargetExists,
    UnknownName,
)
from mahavishnu.model import Execution, Revision, Snapshot, Status
from mahavishnu.ports import Claim, Evidence, ExecutionQuery, Fact, Settlement, Store
from mahavishnu.testing.clock import ManualClock
from mahavishnu.testing.samples import ODD_TEXT, Samples

Opener = Callable[[], Awaitable[Store]]
"""Opens a store; called again, a second one on the same place, as another process would."""

Promise = Callable[[Opener], Awaitable[None]]

ALL = ExecutionQuery(last=None)


@asynccontextmanager
async def _opened(opener: Opener) -> AsyncIterator[Store]:
    store = await opener()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def _two(opener: Opener) -> AsyncIterator[tuple[Store, Store]]:
    async with _opened(opener) as one, _opened(opener) as other:
        yield one, other


def _samples() -> Samples:
    return Samples(ManualClock(seed=7))


async def _evidence(store: Store, since: int = 0, upto: int | None = None) -> list[tuple[int, Evidence]]:
    return [each async for each in store.facts(since, upto)]


async def _revisions(store: Store) -> list[tuple[int, int, int, int]]:
    """Samples, successes, quality samples and quality of every revision."""
    return [
        (each.samples, each.successes, each.quality_samples, each.quality_ppm)
        for _, each in await _evidence(store)
        if isinstance(each, Revision)
    ]


async def _raised(kind: type[Exception], waiting: Awaitable[object]) -> Exception:
    try:
        await waiting
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} should have been raised")


# -- facts -------------------------------------------------------------------------------------------------------------


async def what_was_recorded_is_read_back_by_everybody(opener: Opener) -> None:
    make = _samples()
    async with _two(opener) as (store, other):
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
    make = _samples()
    async with _two(opener) as (store, other):
        decision = make.odd_decision()
        end = make.odd_end(make.start(decision))
        outcome = make.odd_outcome(decision)
        await store.record([decision, end, outcome])
        assert await other.decision(decision.id) == decision
        assert await other.execution(end.id) == end
        assert list(await other.outcomes(decision.id)) == [outcome]


async def a_name_that_nothing_carries_is_not_found(opener: Opener) -> None:
    async with _opened(opener) as store:
        for name in ("nothing", "", ODD_TEXT):
            assert await store.decision(name) is None
            assert await store.execution(name) is None
            assert list(await store.outcomes(name)) == []
            assert list(await store.executions(ExecutionQuery(target=name))) == []
            assert await store.holder(name) is None


async def recording_twice_is_recording_once(opener: Opener) -> None:
    make = _samples()
    async with _two(opener) as (store, other):
        decision = make.decision()
        facts: list[Fact] = [decision, *make.run(decision), make.outcome(decision, completed=False)]
        await store.record(facts)
        once = await _evidence(store)
        await store.record(facts)
        await other.record([*facts, *facts])
        assert await _evidence(other) == once
        assert len(await store.decisions(9)) == len(await store.executions(ALL)) == 1
        assert len(await store.outcomes(decision.id)) == 1


async def the_first_end_of_an_execution_stands(opener: Opener) -> None:
    make = _samples()
    async with _two(opener) as (store, other):
        decision = make.decision()
        start, failed = make.run(decision, Status.FAILED)
        await store.record([decision, start, failed, make.end(start, Status.TIMED_OUT)])
        await other.record([make.end(start, Status.SUCCEEDED)])
        assert await store.execution(start.id) == failed
        assert [fact for _, fact in await _evidence(store)] == [failed]


async def an_execution_runs_until_it_has_ended(opener: Opener) -> None:
    make = _samples()
    async with _two(opener) as (store, other):
        decision = make.decision()
        start = make.start(decision)
        await store.record([decision, start])
        assert await other.execution(start.id) == start
        assert list(await other.executions(ExecutionQuery(status=Status.RUNNING))) == [start]
        assert await _evidence(other) == []
        await store.record([make.end(start)])
        await store.record([start])
        assert list(await other.executions(ExecutionQuery(status=Status.RUNNING))) == []
        assert await other.execution(start.id) == make.end(start)


async def an_announced_run_id_can_be_read_before_and_after_the_end(opener: Opener) -> None:
    make = _samples()
    async with _two(opener) as (store, other):
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
        assert [fact for _, fact in await _evidence(other)] == [ended]


async def the_newest_come_first_and_every_condition_holds(opener: Opener) -> None:
    clock = ManualClock(seed=7)
    make = Samples(clock)
    decisions, ends = [], []
    async with _opened(opener) as store:
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


async def what_fails_leaves_nothing_behind_and_harms_nobody(opener: Opener) -> None:
    make = _samples()
    async with _opened(opener) as store:
        good = [make.decision() for _ in range(20)]
        guilty = make.decision()
        nobody = replace(make.outcome(guilty, completed=True), decision_id="nobody")
        waiting = [store.record([decision, *make.run(decision)]) for decision in good]
        waiting.insert(10, store.record([guilty, *make.run(guilty), nobody]))
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in answers if each is not None] == [UnknownName]
        assert await store.decision(guilty.id) is None
        assert {each.id for each in await store.decisions(99)} == {each.id for each in good}
        assert len(await store.executions(ALL)) == len(await _evidence(store)) == 20


async def what_cannot_be_written_is_refused(opener: Opener) -> None:
    make = _samples()
    async with _opened(opener) as store:
        decision = make.decision()
        start, end = make.run(decision)
        await _raised(StoreUnavailable, store.record([decision, replace(end, value=object())]))
        assert await store.decision(decision.id) is None
        await store.record([decision, start, end])
        assert await store.execution(end.id) == end


async def what_was_handed_over_is_written_even_if_the_caller_is_cancelled(opener: Opener) -> None:
    make = _samples()
    async with _opened(opener) as store:
        decisions = [make.decision() for _ in range(30)]
        tasks = [asyncio.create_task(store.record([decision])) for decision in decisions]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        last = make.decision()
        await store.record([last])
        assert {each.id for each in await store.decisions(99)} == {each.id for each in [*decisions, last]}


async def evidence_is_complete_in_order_and_can_be_resumed_anywhere(opener: Opener) -> None:
    make = _samples()
    async with _two(opener) as (store, other):
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
        read = await _evidence(other)
        assert [_id(fact) for _, fact in read] == expected
        positions = [position for position, _ in read]
        assert positions == sorted(set(positions))
        assert positions[0] > 0
        for place, position in enumerate(positions):
            assert await _evidence(store, position) == read[place + 1 :]
            assert await _evidence(store, 0, position) == read[: place + 1]


async def a_reader_that_polls_misses_nothing_that_two_writers_write(opener: Opener) -> None:
    make = _samples()
    async with _two(opener) as (one, other):
        ends: list[Execution] = []
        writing: list[Awaitable[None]] = []
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
            read += await _evidence(one, read[-1][0] if read else 0)
        await written
        assert sorted(_id(fact) for _, fact in read) == sorted(end.id for end in ends)
        assert read == await _evidence(other)


def _id(fact: Evidence) -> str:
    return fact.id if isinstance(fact, Execution) else fact.outcome_id


# -- outcomes ----------------------------------------------------------------------------------------------------------


async def outcomes_end_where_the_last_one_points(opener: Opener) -> None:
    make = _samples()
    async with _opened(opener) as store:
        decision = make.decision()
        await store.record([decision, *make.run(decision, quality=0.5)])
        for completed, quality in ((True, None), (False, 0.25), (False, None), (None, 1.0), (True, 0.5), (None, 0.5)):
            await store.record([make.outcome(decision, completed=completed, quality=quality)])
        assert await _revisions(store) == [(0, -1, 0, -250_000), (0, 0, 0, 750_000), (0, 1, 0, -500_000)]
        assert len(await store.outcomes(decision.id)) == 6


async def an_outcome_is_about_the_execution_that_succeeded_or_the_last_one_that_says_something(opener: Opener) -> None:
    make = _samples()
    for statuses, about, change in (
        ("failed succeeded failed", "target-1", (0, -1)),
        ("failed timed_out refused", "target-1", (0, 0)),
        ("lost failed cancelled", "target-1", (0, 0)),
    ):
        async with _opened(opener) as store:
            decision = make.decision()
            runs = [make.run(decision, Status(s), target=f"target-{n}") for n, s in enumerate(statuses.split())]
            await store.record([decision, *(fact for run in runs for fact in run)])
            outcome = make.outcome(decision, completed=False, quality=0.5)
            await store.record([outcome])
            revision = next(f for _, f in await _evidence(store) if _id(f) == outcome.id)
            assert isinstance(revision, Revision)
            assert (revision.target, revision.task_type, revision.at_us) == (about, "etl", outcome.at_us)
            assert (revision.samples, revision.successes) == change
            assert (revision.quality_samples, revision.quality_ppm) == (1, 500_000)


async def an_outcome_of_a_decision_that_was_only_routed_is_a_sample(opener: Opener) -> None:
    make = _samples()
    async with _opened(opener) as store:
        routed, nothing, judged = make.decision(), make.decision(selected=None), make.decision()
        await store.record([routed, nothing, judged])
        for completed in (False, True, True):
            await store.record([make.outcome(routed, completed=completed)])
        await store.record([make.outcome(nothing, completed=False), make.outcome(judged, correct=False)])
        assert await _revisions(store) == [(1, 0, 0, 0), (0, 1, 0, 0)]


async def an_outcome_needs_a_decision_that_is_over(opener: Opener) -> None:
    make = _samples()
    async with _opened(opener) as store:
        decision = make.decision()
        start = make.start(decision)
        outcome = make.outcome(decision, completed=True)
        unknown = await _raised(UnknownName, store.record([outcome]))
        assert isinstance(unknown, UnknownName)
        assert (unknown.kind, unknown.name) == ("decision", decision.id)
        await store.record([decision, start])
        await _raised(InvalidOutcome, store.record([outcome]))
        assert list(await store.outcomes(decision.id)) == []
        await store.record([make.end(start, Status.FAILED), outcome])
        assert await _revisions(store) == [(0, 1, 0, 0)]


# -- keys --------------------------------------------------------------------------------------------------------------


async def of_many_claims_of_one_key_one_wins(opener: Opener) -> None:
    async with _two(opener) as (one, other):
        claims = await asyncio.gather(*((one, other)[n % 2].claim("key", "print", f"decision-{n}") for n in range(50)))
        (winner,) = (claim for claim in claims if claim.mine)
        assert {claim.decision_id for claim in claims} == {winner.decision_id}
        assert not any(claim.over for claim in claims)
        # The winner's own claim again is no second run's.
        assert await one.claim("key", "print", winner.decision_id) == winner


async def a_key_answers_for_ever_after_a_success_and_is_free_after_anything_else(opener: Opener) -> None:
    make = _samples()
    async with _two(opener) as (one, other):
        key = ODD_TEXT
        assert (await one.claim(key, "print", "first")).mine
        assert await other.holder(key) == Claim(decision_id="first", mine=False, over=False)
        await one.record([], settle=Settlement(key=key, decision_id="first", succeeded=False))
        assert await other.holder(key) is None
        decision = make.decision()
        assert (await other.claim(key, "print", decision.id)).mine
        success = Settlement(key=key, decision_id=decision.id, succeeded=True)
        await other.record([decision, *make.run(decision)], settle=success)
        over = Claim(decision_id=decision.id, mine=False, over=True)
        assert await one.claim(key, "print", "third") == await one.holder(key) == over
        await one.record([], settle=Settlement(key=key, decision_id=decision.id, succeeded=False))
        assert await one.claim(key, "print", decision.id) == over


async def a_key_belongs_to_one_task(opener: Opener) -> None:
    async with _two(opener) as (one, other):
        await one.claim("key", "print", "first")
        error = await _raised(KeyReused, other.claim("key", "another", "second"))
        assert isinstance(error, KeyReused)
        assert (error.key, error.decision_id) == ("key", "first")
        await one.record([], settle=Settlement(key="key", decision_id="first", succeeded=False))
        assert (await other.claim("key", "another", "second")).mine


async def only_the_holder_of_a_key_settles_it(opener: Opener) -> None:
    async with _opened(opener) as store:
        await store.claim("key", "print", "first")
        for succeeded in (True, False):
            await store.record([], settle=Settlement(key="key", decision_id="second", succeeded=succeeded))
        assert await store.holder("key") == Claim(decision_id="first", mine=False, over=False)


async def a_record_that_fails_settles_nothing(opener: Opener) -> None:
    make = _samples()
    async with _opened(opener) as store:
        await store.claim("key", "print", "first")
        nobody = replace(make.outcome(make.decision(), completed=True), decision_id="nobody")
        success = Settlement(key="key", decision_id="first", succeeded=True)
        await _raised(UnknownName, store.record([nobody], settle=success))
        assert await store.holder("key") == Claim(decision_id="first", mine=False, over=False)


async def the_key_of_a_process_that_is_gone_goes_to_the_next(opener: Opener) -> None:
    make = _samples()
    done = make.decision()
    async with _opened(opener) as gone:
        await gone.claim("left", "print", "first")
        await gone.claim("done", "print", done.id)
        await gone.record([done, *make.run(done)])
    async with _two(opener) as (one, other):
        assert await one.holder("left") is None
        claims = await asyncio.gather(*((one, other)[n % 2].claim("left", "print", f"next-{n}") for n in range(10)))
        assert sum(claim.mine for claim in claims) == 1
        over = Claim(decision_id=done.id, mine=False, over=True)
        assert await one.claim("done", "print", "next") == await other.holder("done") == over


# -- presence ----------------------------------------------------------------------------------------------------------


async def what_a_process_left_running_is_lost(opener: Opener) -> None:
    make = _samples()
    decision = make.decision()
    async with _opened(opener) as gone:
        left = [make.start(decision, gone.process_id) for _ in range(3)]
        announced = replace(left[0], run_id="run-1")
        ended = make.start(decision, gone.process_id)
        await gone.record([decision, *left, announced, ended, make.end(ended)])
    async with _two(opener) as (one, other):
        reaped = await asyncio.gather(one.reap(), other.reap())
        lost = {each.id: each for each in (*reaped[0], *reaped[1])}
        assert sorted(len(each) for each in reaped) == [0, 3]
        assert set(lost) == {each.id for each in left}
        for each in lost.values():
            assert (each.status, each.error_code, each.latency_us, each.cost_micros) == (Status.LOST, "lost", None, 0)
            assert each.ended_at_us is not None
            assert each.ended_at_us >= each.started_at_us
            assert "is gone" in (each.error or "")
            assert await one.execution(each.id) == each
        assert lost[announced.id].run_id == "run-1"
        assert await one.execution(ended.id) == make.end(ended)
        await other.record([make.end(left[1])])
        assert await one.execution(left[1].id) == lost[left[1].id]
        assert list(await one.reap()) == []
        assert len(await _evidence(one)) == 4


async def what_a_living_process_runs_is_left_alone(opener: Opener) -> None:
    make = _samples()
    decision = make.decision()
    async with _two(opener) as (one, other):
        assert one.process_id != other.process_id
        starts = [make.start(decision, store.process_id) for store in (one, other)]
        await one.record([decision, *starts])
        assert list(await one.reap()) == list(await other.reap()) == []
        assert {each.status for each in await one.executions(ALL)} == {Status.RUNNING}


# -- snapshots, targets, the store itself ------------------------------------------------------------------------------


async def snapshots_come_back_exactly_and_one_follows_the_other(opener: Opener) -> None:
    make = _samples()
    async with _two(opener) as (one, other):
        assert await one.latest() == Snapshot()
        for version in (1, 2):
            snapshot = make.snapshot(version)
            await one.publish(snapshot)
            assert await other.latest() == snapshot
        for version in (0, 1, 2, 4):
            await _raised(SnapshotConflict, other.publish(make.snapshot(version)))
        assert await one.latest() == snapshot


async def of_many_publishers_of_one_version_one_wins(opener: Opener) -> None:
    make = _samples()
    async with _two(opener) as (one, other):
        rivals = [replace(make.snapshot(1), cursor=number) for number in range(10)]
        answers = await asyncio.gather(
            *((one, other)[n % 2].publish(rival) for n, rival in enumerate(rivals)), return_exceptions=True
        )
        assert [type(each) for each in answers if each is not None] == [SnapshotConflict] * 9
        assert await other.latest() == rivals[answers.index(None)]


async def targets_are_kept_in_the_order_in_which_they_came(opener: Opener) -> None:
    make = _samples()
    async with _two(opener) as (one, other):
        targets = [make.target(name) for name in ("etl-b", "etl-a", "rag")]
        for target in targets:
            await one.add_target(target)
        assert list(await other.targets()) == targets
        await _raised(TargetExists, other.add_target(make.target("rag")))
        await other.remove_target("etl-b")
        await other.add_target(targets[0])
        assert list(await one.targets()) == [targets[1], targets[2], targets[0]]


async def switches_outlive_everything_but_their_target(opener: Opener) -> None:
    make = _samples()
    async with _two(opener) as (one, other):
        await one.add_target(make.target("etl-a"))
        for name, enabled in (("etl-a", False), ("elsewhere", False), ("elsewhere", True)):
            await one.switch_target(name, enabled)
        assert dict(await other.switches()) == {"etl-a": False, "elsewhere": True}
        await other.remove_target("etl-a")
        assert dict(await one.switches()) == {"elsewhere": True}
        await one.add_target(make.target("etl-a"))
        error = await _raised(UnknownName, one.remove_target("etl-b"))
        assert isinstance(error, UnknownName)
        assert (error.kind, error.name, error.nearest) == ("target", "etl-b", "etl-a")


async def a_store_says_what_it_holds(opener: Opener) -> None:
    make = _samples()
    async with _opened(opener) as store:
        decision = make.decision()
        await store.record([decision, *make.run(decision), make.outcome(decision, completed=True)])
        info = await store.info()
        assert info.schema
        assert {"decisions": 1, "execution_starts": 1, "executions": 1, "outcomes": 1}.items() <= info.rows.items()


async def closing_writes_what_waits_and_may_be_done_twice(opener: Opener) -> None:
    make = _samples()
    store = await opener()
    decisions = [make.decision() for _ in range(50)]
    waiting = [asyncio.create_task(store.record([decision])) for decision in decisions]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*waiting)
    await store.close()
    for refused in (store.record([decisions[0]]), store.latest(), store.claim("key", "print", "first")):
        await _raised(StoreUnavailable, refused)
    async with _opened(opener) as again:
        assert len(await again.decisions(99)) == 50


STORE_PROMISES: Sequence[Promise] = (
    what_was_recorded_is_read_back_by_everybody,
    odd_and_big_content_comes_back_as_it_was,
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
    outcomes_end_where_the_last_one_points,
    an_outcome_is_about_the_execution_that_succeeded_or_the_last_one_that_says_something,
    an_outcome_of_a_decision_that_was_only_routed_is_a_sample,
    an_outcome_needs_a_decision_that_is_over,
    of_many_claims_of_one_key_one_wins,
    a_key_answers_for_ever_after_a_success_and_is_free_after_anything_else,
    a_key_belongs_to_one_task,
    only_the_holder_of_a_key_settles_it,
    a_record_that_fails_settles_nothing,
    the_key_of_a_process_that_is_gone_goes_to_the_next,
    what_a_process_left_running_is_lost,
    what_a_living_process_runs_is_left_alone,
    snapshots_come_back_exactly_and_one_follows_the_other,
    of_many_publishers_of_one_version_one_wins,
    targets_are_kept_in_the_order_in_which_they_came,
    switches_outlive_everything_but_their_target,
    a_store_says_what_it_holds,
    closing_writes_what_waits_and_may_be_done_twice,
)
