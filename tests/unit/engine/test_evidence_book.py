"""Evidence in memory: begun from a snapshot, kept true, the same after a restart."""

import random

from mahavishnu.engine.clock import SystemClock
from mahavishnu.engine.evidence import EvidenceBook
from mahavishnu.jobs.scores import recalculate
from mahavishnu.model import Execution, Status
from mahavishnu.stats.scoring import Scoring
from mahavishnu.storage import open_store


def execution(clock, process_id, rng):
    status = rng.choice([Status.SUCCEEDED, Status.SUCCEEDED, Status.FAILED, Status.TIMED_OUT, Status.REFUSED])
    return Execution(
        id=clock.new_id(),
        decision_id=clock.new_id(),
        process_id=process_id,
        target=rng.choice("ab"),
        adapter="local",
        task_type=rng.choice("tu"),
        attempt=1,
        fallback=False,
        randomised=True,
        status=status,
        started_at_us=1,
        ended_at_us=rng.randrange(10**6),
        latency_us=rng.randrange(1, 10**7),
        cost_micros=rng.randrange(10**4),
        quality=rng.choice([None, 0.25, 0.5]),
    )


async def a_store():
    store = open_store("memory:", SystemClock())
    await store.open()
    return store


async def test_scores_after_a_restart_are_exactly_those_before_with_and_without_a_snapshot():
    clock, rng, store = SystemClock(), random.Random(3), await a_store()
    live = EvidenceBook(store, Scoring())
    await live.load()
    for number in range(300):
        mine = execution(clock, store.process_id if number % 2 else "somebody else", rng)
        await store.record([mine])
        if number % 2:
            live.fold(mine)
        if number == 150:
            await recalculate(store, clock)
    await live.refresh()
    restarted = EvidenceBook(store, Scoring())
    # After a restart the process is another one, and everything in the store is somebody else's.
    restarted._store = type("Other", (), {name: getattr(store, name) for name in ("latest", "newest", "facts")})()
    restarted._store.process_id = "new"
    assert await restarted.load() == 149
    assert list(restarted.stats()) == list(live.stats())
    assert sum(stat.estimate.samples for stat in live.stats()) > 200


async def test_own_executions_are_counted_once_however_reading_and_folding_interleave():
    clock, rng, store = SystemClock(), random.Random(5), await a_store()
    book = EvidenceBook(store, Scoring())
    await book.load()
    own = execution(clock, store.process_id, rng)
    await store.record([own])
    await book.refresh()
    book.fold(own)
    await book.refresh()
    assert sum(s.scorecard.samples + s.scorecard.refused for s in book.stats()) == 1


async def test_recalculating_publishes_the_next_version_and_nothing_when_nothing_came():
    clock, rng, store = SystemClock(), random.Random(7), await a_store()
    assert (await recalculate(store, clock)).version == 0
    await store.record([execution(clock, "p", rng) for _ in range(10)])
    first = await recalculate(store, clock)
    assert first.version == 1
    assert await recalculate(store, clock) == first == await store.latest()


async def test_who_publishes_second_is_content_with_the_first():
    clock, rng, store = SystemClock(), random.Random(9), await a_store()
    await store.record([execution(clock, "p", rng) for _ in range(10)])

    class Overtaken:
        """Somebody else publishes between the reading and the writing."""

        def __getattr__(self, name):
            return getattr(store, name)

        async def publish(self, snapshot):
            await recalculate(store, clock)
            await store.publish(snapshot)

    assert (await recalculate(Overtaken(), clock)).version == 1
    assert (await store.latest()).version == 1
