"""Publishing what is known: new evidence, new orders, back to earlier ones; by as many as want to at once."""

import random

import pytest

from mahavishnu.engine.clock import SystemClock
from mahavishnu.errors import UnknownName
from mahavishnu.jobs.scores import fold, recalculate, roll_back
from mahavishnu.model import Execution, SnapshotKind, Status, Target
from mahavishnu.model.scorecard import DAY_US
from mahavishnu.settings import EvidenceSettings, Settings
from mahavishnu.storage import open_store
from mahavishnu.testing.clock import ManualClock

SETTINGS = Settings()


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
async def store(clock):
    store = open_store("memory:", clock)
    await store.open()
    yield store
    await store.close()


def ended(clock, target, succeeded, latency_ms=100, task_type="t"):
    return Execution(
        id=SystemClock().new_id(),
        decision_id="01J00000000000000000000000",
        process_id="p",
        target=target,
        adapter="local",
        task_type=task_type,
        attempt=1,
        fallback=False,
        randomised=True,
        status=Status.SUCCEEDED if succeeded else Status.FAILED,
        started_at_us=clock.now_us(),
        ended_at_us=clock.now_us(),
        latency_us=latency_ms * 1000,
    )


async def record(store, clock, target, successes, failures, **given):
    outcomes = [True] * successes + [False] * failures
    random.Random(1).shuffle(outcomes)
    await store.record([ended(clock, target, each, **given) for each in outcomes])


async def add(store, *names):
    for place, name in enumerate(names):
        await store.add_target(Target(name=name, adapter="local", run=f"m:{name}", task_types={"t"}, place=place))


async def test_recalculating_publishes_the_next_version_and_nothing_when_nothing_came(store, clock):
    assert not (await recalculate(store, clock, SETTINGS)).news
    await record(store, clock, "a", 7, 3)
    first = await recalculate(store, clock, SETTINGS)
    assert first.news
    assert first.after.version == 1
    assert first.after.notes == ("t: a is new, 70.0 % of 10",)
    again = await recalculate(store, clock, SETTINGS)
    assert not again.news
    assert again.after == first.after == await store.latest()


async def test_who_publishes_second_says_what_is_left_to_say(store, clock):
    await record(store, clock, "a", 7, 3)

    class Overtaken:
        """Somebody else publishes between the reading and the writing, once."""

        overtaken = False

        def __getattr__(self, name):
            return getattr(store, name)

        async def publish(self, snapshot):
            if not self.overtaken:
                self.overtaken = True
                await recalculate(store, clock, SETTINGS)
            await store.publish(snapshot)

    published = await recalculate(Overtaken(), clock, SETTINGS)
    assert published.after.version == 1
    assert not published.news
    assert (await store.latest()).version == 1


async def test_an_order_changes_by_a_difference_that_is_no_noise_and_says_so(store, clock):
    await add(store, "first", "second")
    await record(store, clock, "first", 700, 300)
    await record(store, clock, "second", 950, 50)
    published = await recalculate(store, clock, SETTINGS)
    assert published.after.orders == {"t": ("second", "first")}
    assert published.after.notes[0].startswith("t: second moves before first: 95.0 % of 1000 against 70.0 % of 1000")


async def test_an_order_stays_as_it_was_without_a_difference_that_is_significant(store, clock):
    await add(store, "first", "second")
    await record(store, clock, "first", 93, 27)
    await record(store, clock, "second", 97, 23)
    assert (await recalculate(store, clock, SETTINGS)).after.orders == {"t": ("first", "second")}


async def test_a_target_without_enough_samples_keeps_its_default_place(store, clock):
    await add(store, "first", "second")
    await record(store, clock, "first", 50, 50)
    await record(store, clock, "second", 99, 0)
    assert (await recalculate(store, clock, SETTINGS)).after.orders == {"t": ("first", "second")}


async def test_a_fold_publishes_new_evidence_and_leaves_the_orders_alone(store, clock):
    await add(store, "first", "second")
    await record(store, clock, "first", 100, 0)
    await recalculate(store, clock, SETTINGS)
    await record(store, clock, "first", 0, 900)
    await record(store, clock, "second", 1000, 0)
    folded = await fold(store, clock, SETTINGS.evidence)
    assert folded.news
    assert folded.after.kind is SnapshotKind.FOLD
    assert folded.after.orders == {"t": ("first", "second")}
    assert folded.after.scorecards["second", "t"].successes == 1000
    assert not (await fold(store, clock, SETTINGS.evidence)).news


async def test_evidence_weighs_less_by_the_day_and_leaves_the_window(store, clock):
    settings = EvidenceSettings(decay_per_day=0.5, window_days=3)
    await record(store, clock, "a", 8, 8)
    await fold(store, clock, settings)
    clock.advance(DAY_US / 1e6)
    aged = await fold(store, clock, settings)
    assert aged.news
    assert aged.after.scorecards["a", "t"].samples == 8
    assert aged.after.scorecards["a", "t"].squares == 4
    clock.advance(2 * DAY_US / 1e6)
    gone = await recalculate(store, clock, SETTINGS.model_copy(update={"evidence": settings}))
    assert gone.news
    assert gone.after.scorecards == {}
    assert gone.after.notes == ("t: a has left the window",)


async def test_going_back_brings_cards_and_orders_of_then_until_the_next_recalculation(store, clock):
    await add(store, "first", "second")
    await record(store, clock, "first", 1000, 0)
    earlier = (await recalculate(store, clock, SETTINGS)).after
    await record(store, clock, "first", 0, 3000)
    await record(store, clock, "second", 1000, 0)
    later = (await recalculate(store, clock, SETTINGS)).after
    assert later.orders == {"t": ("second", "first")}
    back = (await roll_back(store, clock, earlier.version)).after
    assert (back.version, back.kind, back.restored) == (3, SnapshotKind.ROLLBACK, 1)
    assert (back.orders, back.scorecards) == (earlier.orders, earlier.scorecards)
    assert back.cursor == await store.newest()
    # A fold would bring back what was left behind.
    assert not (await fold(store, clock, SETTINGS.evidence)).news
    again = (await recalculate(store, clock, SETTINGS)).after
    assert again.version == 4
    assert again.orders == later.orders


async def test_going_back_to_what_never_was_says_where_to_look(store, clock):
    with pytest.raises(UnknownName, match="snapshots"):
        await roll_back(store, clock, 7)


async def test_a_dry_run_tells_what_would_be_and_publishes_nothing(store, clock):
    await record(store, clock, "a", 7, 3)
    told = await recalculate(store, clock, SETTINGS, dry_run=True)
    assert told.after.version == 1
    assert (await store.latest()).version == 0


async def test_recalculating_from_every_fact_gives_the_same_to_the_last_bit(store, clock):
    for target in "ab":
        await record(store, clock, target, 70, 30, latency_ms=37)
    await recalculate(store, clock, SETTINGS)
    before = await store.dailies()
    await recalculate(store, clock, SETTINGS, full=True)
    assert await store.dailies() == before
