"""What a store promises of its daily aggregates and of jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from mahavishnu.model import DAY_US, Daily, Execution, Status, day_of
from mahavishnu.ports import Fact, Keeping, Store
from mahavishnu.stats.evidence import Tally, day_of_fact
from mahavishnu.testing.clock import ManualClock
from mahavishnu.testing.promises.places import Opener, Promise, evidence, id_of, opened, samples, two
from mahavishnu.testing.samples import ODD_TEXT, Samples

ENDINGS = (Status.SUCCEEDED, Status.FAILED, Status.SUCCEEDED, Status.TIMED_OUT, Status.REFUSED, Status.CANCELLED)
APART = (Status.UNSUITABLE, Status.LOST, Status.REFUSED, Status.CANCELLED)


def some_days(make: Samples, days: Sequence[int], runs: int = 12) -> list[Fact]:
    """Decisions, executions and outcomes that began on these days."""
    facts: list[Fact] = []
    for day in days:
        for number in range(runs):
            decision = replace(make.decision(task_type=("etl", "rag")[number % 2]), at_us=day * DAY_US + number)
            start = replace(make.start(decision, target=("a", "b", ODD_TEXT)[number % 3]), started_at_us=decision.at_us)
            end = make.end(start, ENDINGS[number % len(ENDINGS)], (None, 0.25, 1 / 3)[number % 3])
            facts += [decision, start, replace(end, latency_us=1500 + 977 * number)]
            if number % 4 == 0:
                facts.append(make.outcome(decision, completed=number % 8 == 0, quality=0.5))
    return facts


async def folded(store: Store, limit: int = 10_000) -> Sequence[Daily]:
    while await store.fold(limit):
        continue
    _cursor, found = await store.dailies()
    return found


async def expected(store: Store) -> Sequence[Daily]:
    """The days as they come from all of the evidence, one by one."""
    tallies: dict[tuple[int, str, str], Tally] = {}
    for _, fact in await evidence(store):
        tallies.setdefault((day_of_fact(fact), fact.task_type, fact.target), Tally()).add(fact)
    return [Daily(day=key[0], card=tally.card(key[2], key[1])) for key, tally in sorted(tallies.items())]


async def days_are_the_sums_of_their_facts(opener: Opener) -> None:
    async with opened(opener) as store:
        assert list(await folded(store)) == []
        await store.record(some_days(samples(), (3, 2, 5)))
        found = await folded(store)
        assert list(found) == list(await expected(store))
        assert {each.day for each in found} == {2, 3, 5}
        cursor, later = await store.dailies(since_day=3)
        assert list(later) == [each for each in found if each.day >= 3]
        assert cursor == await store.newest()


async def a_lost_execution_is_counted_apart_and_one_that_does_not_suit_is_a_sample(opener: Opener) -> None:
    make = samples()
    async with opened(opener) as store:
        decision = make.decision()
        await store.record([decision, *(make.end(make.start(decision), status) for status in APART)])
        (day,) = await folded(store)
        card = day.card
        assert (card.unsuitable, card.lost, card.refused, card.cancelled) == (1, 1, 1, 1)
        assert (card.samples, card.successes, card.cost_samples, sum(card.cost.values())) == (1, 0, 1, 1)


async def the_order_of_arrival_and_the_size_of_the_steps_change_nothing(opener: Opener) -> None:
    facts = some_days(samples(), (3, 2, 5))
    runs = [fact for fact in facts if isinstance(fact, Execution) and fact.status.ended]
    async with opened(opener) as store:
        for fact in (*runs[::2], *runs[::-1], *runs[:9]):
            await store.record([fact])
            await store.fold(1)
        assert list(await folded(store, 7)) == list(await expected(store))


async def what_is_learnt_later_belongs_to_the_day_of_what_it_is_about(opener: Opener) -> None:
    make = samples()
    async with opened(opener) as store:
        old, routed = replace(make.decision(), at_us=2 * DAY_US), replace(make.decision(), at_us=3 * DAY_US)
        start = replace(make.start(old), started_at_us=2 * DAY_US)
        await store.record([old, make.end(start), routed])
        await folded(store)
        await store.record([make.outcome(old, completed=False), make.outcome(routed, completed=True)])
        found = await folded(store)
        assert [(each.day, each.card.samples, each.card.successes) for each in found] == [(2, 1, 0), (3, 1, 1)]


async def two_that_fold_at_once_count_every_fact_once(opener: Opener) -> None:
    async with two(opener) as (one, other):
        await one.record(some_days(samples(), (1, 2, 3)))
        await asyncio.gather(*(store.fold(5) for store in (one, other) * 15))
        assert list(await folded(other)) == list(await expected(one))


async def worked_out_again_the_days_are_the_same(opener: Opener) -> None:
    make = samples()
    async with opened(opener) as store:
        await store.record(some_days(make, (1, 2, 3)))
        found = await folded(store)
        await store.record(some_days(make, (2,), runs=3))
        cursor, again = await store.recomputed()
        assert list(again) == list(found)
        _cursor, later = await store.recomputed(since_day=2)
        assert list(later) == [each for each in found if each.day >= 2]
        assert await store.replace_dailies(cursor, [], since_day=2)
        assert list((await store.dailies())[1]) == [each for each in found if each.day < 2]
        assert await store.replace_dailies(cursor, again)
        assert list(await folded(store)) == list(await expected(store))
        assert not await store.replace_dailies(cursor, [])


async def what_recording_returns_is_how_far_a_reader_has_to_come(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (store, other):
        decision = make.decision()
        first = await store.record([decision, *make.run(decision)])
        second = await other.record([make.outcome(decision, completed=False)])
        assert first < second == await store.newest()
        assert [position for position, _ in await evidence(store, first)] == [second]


async def many_at_once_are_recorded_as_one_by_one(opener: Opener) -> None:
    make = samples()
    runs = [
        make.odd_end(make.start(make.decision())) if number == 150 else make.run(make.decision())[1]
        for number in range(300)
    ]
    async with two(opener) as (store, other):
        await store.record(runs[:250])
        await other.record([*runs, *runs[200:]])
        await store.record(runs[::-1])
        read = [fact for _, fact in await evidence(other)]
        assert sorted(id_of(each) for each in read) == sorted(run.id for run in runs)
        assert await other.execution(runs[150].id) == runs[150]


async def a_job_runs_once_at_a_time(opener: Opener) -> None:
    async with two(opener) as (one, other):
        claims = await asyncio.gather(*(store.claim_job("fold", 60) for store in (one, other) * 5))
        (run,) = [claim for claim in claims if claim is not None]
        assert await other.claim_job(ODD_TEXT, 60) is not None
        assert await other.extend_job(run, 60)
        await other.finish_job(run, ok=True, note=ODD_TEXT)
        assert not await one.extend_job(run, 60)
        again = await other.claim_job("fold", 60)
        assert again not in (None, run)
        await one.finish_job(run, ok=False, note="an older run")
        (fold,) = [job for job in await one.jobs() if job.name == "fold"]
        assert (fold.run_id, fold.ended_at_us, fold.ok, fold.note) == (again, None, None, "")
        assert fold.succeeded_at_us is not None


async def a_job_whose_lease_ran_out_can_be_claimed(opener: Opener) -> None:
    async with two(opener) as (one, other):
        late = await one.claim_job("fold", 0.0)
        taken = await other.claim_job("fold", 60)
        assert None not in (late, taken)
        assert not await one.extend_job(late or "", 60)


async def a_job_whose_process_is_gone_can_be_claimed(opener: Opener) -> None:
    async with opened(opener) as store:
        gone = await opener()
        assert await gone.claim_job("fold", 3600) is not None
        assert await store.claim_job("fold", 60) is None
        await gone.close()
        assert await store.claim_job("fold", 60) is not None


async def tidying_up_changes_no_sum(opener: Opener) -> None:
    clock = ManualClock()
    make, today = samples(), day_of(clock.now_us())
    async with opened(opener) as store:
        await store.record(some_days(make, range(today - 6, today + 1)))
        before = await folded(store)
        await store.publish(replace(make.snapshot(), cursor=await store.newest()))
        while await store.retain(Keeping(hot_days=2, rates={"rag": 0.5}), today) is not None:
            continue
        assert list((await store.recomputed())[1]) == list(before) == list((await store.dailies())[1])


PROMISES: Sequence[Promise] = (
    days_are_the_sums_of_their_facts,
    a_lost_execution_is_counted_apart_and_one_that_does_not_suit_is_a_sample,
    the_order_of_arrival_and_the_size_of_the_steps_change_nothing,
    what_is_learnt_later_belongs_to_the_day_of_what_it_is_about,
    two_that_fold_at_once_count_every_fact_once,
    worked_out_again_the_days_are_the_same,
    what_recording_returns_is_how_far_a_reader_has_to_come,
    many_at_once_are_recorded_as_one_by_one,
    a_job_runs_once_at_a_time,
    a_job_whose_lease_ran_out_can_be_claimed,
    a_job_whose_process_is_gone_can_be_claimed,
    tidying_up_changes_no_sum,
)
