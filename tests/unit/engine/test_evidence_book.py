"""Evidence in memory: begun from a snapshot, kept true, the same after a restart."""

import random

from mahavishnu.engine.clock import SystemClock
from mahavishnu.engine.routing.evidence import EvidenceBook
from mahavishnu.jobs.scores import fold
from mahavishnu.model import Execution, Status
from mahavishnu.settings import EvidenceSettings
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
        started_at_us=clock.now_us(),
        ended_at_us=clock.now_us() + rng.randrange(10**6),
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
        position = await store.record([mine])
        if number % 2:
            live.fold(mine, position)
        if number == 150:
            await fold(store, clock, EvidenceSettings())
    await live.refresh()
    restarted = EvidenceBook(store, Scoring())
    # After a restart the process is another one, and everything in the store is somebody else's.
    asked = ("latest", "newest_version", "newest", "facts")
    restarted._store = type("Other", (), {name: getattr(store, name) for name in asked})()
    restarted._store.process_id = "new"
    assert await restarted.load() == 149
    assert list(restarted.stats()) == list(live.stats())
    assert sum(stat.estimate.samples for stat in live.stats()) > 200


async def test_own_executions_are_counted_once_however_reading_and_folding_interleave():
    clock, rng, store = SystemClock(), random.Random(5), await a_store()
    book = EvidenceBook(store, Scoring())
    await book.load()
    own = execution(clock, store.process_id, rng)
    position = await store.record([own])
    await book.refresh()
    book.fold(own, position)
    await book.refresh()
    assert sum(s.scorecard.samples + s.scorecard.refused for s in book.stats()) == 1


async def test_a_newer_snapshot_is_taken_up_with_everything_counted_once():
    clock, rng, store = SystemClock(), random.Random(11), await a_store()
    book = EvidenceBook(store, Scoring())
    await book.load()
    late = []
    for number in range(90):
        own = execution(clock, store.process_id, rng)
        position = await store.record([own])
        if number % 3:
            book.fold(own, position)
        else:
            late.append((own, position))
        await store.record([execution(clock, "somebody else", rng)])
        if number % 20 == 10:
            await fold(store, clock, EvidenceSettings())
            await book.refresh()
            # It was durable before the snapshot was taken up, and is heard of only now.
            for each in late:
                book.fold(*each)
            late = []
    for each in late:
        book.fold(*each)
    await book.refresh()
    assert book.snapshot().version == (await store.latest()).version == 4
    told = sum(stat.scorecard.samples + stat.scorecard.refused for stat in book.stats())
    assert told == 180


async def test_what_is_recorded_while_a_newer_snapshot_is_taken_up_is_not_lost():
    clock, rng, store = SystemClock(), random.Random(13), await a_store()
    book = EvidenceBook(store, Scoring())
    await book.load()
    await store.record([execution(clock, "somebody else", rng) for _ in range(20)])
    await fold(store, clock, EvidenceSettings())
    await store.record([execution(clock, "somebody else", rng) for _ in range(5)])

    class Slow:
        """Our own execution ends while the facts are being read."""

        def __getattr__(self, name):
            return getattr(store, name)

        async def facts(self, *args, **kwargs):
            async for each in store.facts(*args, **kwargs):
                yield each
            own = execution(clock, store.process_id, rng)
            book.fold(own, await store.record([own]))

    book._store = Slow()
    await book.refresh()
    assert sum(stat.scorecard.samples + stat.scorecard.refused for stat in book.stats()) == 26
