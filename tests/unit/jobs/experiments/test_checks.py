"""Whatever happens in between: batches, jumps, duplicates, deaths and others who do the same change no verdict."""

import asyncio
from dataclasses import replace
from random import Random

import pytest

from mahavishnu.errors import SnapshotConflict, StoreUnavailable
from mahavishnu.jobs.experiments import check, create, publish_ends, reader, recompute, start
from mahavishnu.model import Snapshot
from mahavishnu.model.experiment import ExperimentStatus, Guardrail, Measure
from mahavishnu.storage import SqlStore
from mahavishnu.storage.memory.store import MemoryStore
from mahavishnu.testing.clock import ManualClock
from tests.experimenting import BENEFIT, DAY, HARM, HOUR, SETTINGS, SUCCESS, Late, Works, experiment, put_aside


@pytest.fixture
async def works():
    return await Works.opened()


async def told(law, count, *, batches=1, between=None, seed=1, **fields):
    """How an experiment stands after so many tasks, checked after every batch of them."""
    works = await Works.opened(seed)
    await works.begin(**fields)
    facts = works.traffic.tasks(count, **law)
    size = -(-len(facts) // batches)
    for begin in range(0, len(facts), size):
        await works.store.record(facts[begin : begin + size])
        await works.check()
        if between is not None:
            await between(works)
    await works.later()
    assert await works.same_again()
    return await works.stands()


def essence(run):
    return run.status, run.note, run.cursor, run.state


@pytest.mark.parametrize("count", [500, pytest.param(1_200, marks=pytest.mark.soak)])
@pytest.mark.parametrize("law", [HARM, BENEFIT, {}], ids=["harm", "benefit", "equal"])
async def test_the_verdict_and_the_evidence_are_the_same_however_often_it_is_checked(law, count, monkeypatch):
    fields = {"promote": True, "guardrails": (SUCCESS, Guardrail(measure=Measure.LATENCY, margin=0.1))}
    once = await told(law, count, **fields)
    often = await told(law, count, batches=37, **fields)
    monkeypatch.setattr(reader, "PAGE", 11)
    by_pages = await told(law, count, batches=5, **fields)
    assert essence(once)[:2] == essence(often)[:2] == essence(by_pages)[:2]
    for part in ("guards", "repeated"):
        assert once.state[part] == often.state[part] == by_pages.state[part]
    assert once.cursor == often.cursor == by_pages.cursor


async def test_clocks_that_jump_change_neither_the_verdict_nor_when_it_falls():
    async def forth_and_back(works):
        works.clock.advance(Random(works.clock.now_us()).choice((-HOUR, HOUR, 40 * DAY, -DAY)))

    steady = await told(HARM, 800, batches=10)
    jumping = await told(HARM, 800, batches=10, between=forth_and_back)
    assert essence(jumping)[:3] == essence(steady)[:3]
    assert jumping.state["guards"] == steady.state["guards"]


async def test_what_is_recorded_twice_or_late_counts_once(works):
    await works.begin()
    facts = works.traffic.tasks(900, **HARM)
    twice = await Works.opened()
    await twice.begin()
    ends = [fact for fact in facts if hasattr(fact, "decision_id")]
    await works.store.record(facts)
    await twice.store.record([fact for fact in facts if not hasattr(fact, "decision_id")])
    await twice.store.record([*ends, *ends[:300]])
    await twice.store.record(facts)
    for each in (works, twice):
        await each.check()
    assert (await works.stands()).state["guards"] == (await twice.stands()).state["guards"]
    assert (await twice.stands()).status is ExperimentStatus.ROLLED_BACK


async def test_what_comes_in_after_it_was_due_counts_as_missing_when_all_is_worked_out_again(works):
    await works.begin(min_evidence=10_000)
    facts = works.traffic.tasks(200)
    late = [fact for fact in facts if hasattr(fact, "decision_id")][::20]
    await works.store.record([fact for fact in facts if fact not in late])
    await works.later()
    assert len((await works.stands()).state["unheard"]) == len(late) == 10
    await works.store.record(late)
    await works.later()
    state = (await works.stands()).state
    assert state["treatment"]["outcomes"] + state["control"]["outcomes"] == 200, (
        "what came of them is read all the same"
    )
    assert await works.same_again()


async def test_only_the_first_outcome_of_a_unit_is_read_wherever_pages_end(works, monkeypatch):
    await works.begin(unit="user", min_evidence=1_000)
    facts = works.traffic.tasks(600, units=40, **HARM)
    await works.store.record(facts)
    await works.later()
    reading = (await recompute(works.store, await works.stands())).reading()
    assert reading.treatment.outcomes + reading.control.outcomes == 40
    assert reading.treatment.assigned + reading.control.assigned == 40
    assert reading.repeated == 560
    monkeypatch.setattr(reader, "PAGE", 7)
    again = await Works.opened()
    await again.begin(unit="user", min_evidence=1_000)
    for begin in range(0, len(facts), 100):
        await again.store.record(facts[begin : begin + 100])
        await again.check()
    again.clock.advance(2 * HOUR)
    await again.check()
    assert (await again.stands()).state == (await works.stands()).state
    assert await again.same_again()


async def test_two_checkers_at_once_act_once_and_publish_once(works):
    await works.begin()
    await works.run(1_500, **HARM)
    other = MemoryStore(works.clock, works.store._all)
    await other.open()
    before = await works.store.newest_version()
    both = await asyncio.gather(
        check(Late(works.store), works.clock, SETTINGS), check(Late(other), works.clock, SETTINGS)
    )
    assert sorted(len(each.ended) for each in both) == [0, 1]
    assert await works.store.newest_version() == before + 1
    assert (await works.stands()).revision == 2
    about = [each for each in await works.store.alerts() if each.condition.about == "e"]
    assert len(about) == 1
    assert await works.same_again()


class Dies:
    """A store that is gone at the first publication."""

    def __init__(self, store):
        self._store = store
        self.died = False

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def publish(self, snapshot: Snapshot) -> None:
        if not self.died:
            self.died = True
            raise StoreUnavailable(url="memory:", problem="gone")
        await self._store.publish(snapshot)


async def test_killed_between_the_verdict_and_the_publication_it_is_acted_on_by_the_next_check(works):
    await works.begin()
    await works.run(1_500, **HARM)
    with pytest.raises(StoreUnavailable):
        await check(Dies(works.store), works.clock, SETTINGS)
    assert (await works.stands()).status is ExperimentStatus.ROLLED_BACK
    assert len((await works.store.latest()).experiments) == 1
    checked = await works.check()
    assert (checked.ended, checked.published.news) == ([], True)
    snapshot = await works.store.latest()
    assert (snapshot.experiments, put_aside(snapshot)) == ((), {"*": {"b": "e"}})
    assert [each.condition.about for each in checked.told.opened if each.condition.about] == ["e"]
    assert (await works.check()).published.news is False


async def test_killed_between_the_start_and_the_publication_it_is_published_by_the_next_check(works):
    await create(works.store, works.clock, experiment())
    with pytest.raises(StoreUnavailable):
        await start(Dies(works.store), works.clock, SETTINGS, "e")
    assert (await works.store.latest()).experiments == ()
    await works.check()
    assert [each.experiment.name for each in (await works.store.latest()).experiments] == ["e"]


async def test_an_end_is_acted_on_although_somebody_else_publishes_meanwhile_and_only_so_often_in_vain(works):
    class Overtaken(Dies):
        times = 2

        async def publish(self, snapshot):
            if self.times:
                self.times -= 1
                newest = await self._store.latest()
                await self._store.publish(replace(newest, version=newest.version + 1, prices={"etl": self.times}))
            await self._store.publish(snapshot)

    await works.begin()
    await works.run(1_500, **HARM)
    await check(Overtaken(works.store), works.clock, SETTINGS)
    snapshot = await works.store.latest()
    assert (snapshot.experiments, snapshot.prices) == ((), {"etl": 0})
    await works.begin("f")
    Overtaken.times = 100
    await works.store.move_experiment(
        run := await works.stands("f"),
        replace(run, revision=run.revision + 1, status=ExperimentStatus.COMPLETED),
    )
    with pytest.raises(SnapshotConflict):
        await publish_ends(Overtaken(works.store), works.clock)


async def test_on_sqlite_it_is_the_same_as_in_memory(tmp_path):
    in_memory = await told(HARM, 700, batches=3)
    clock = ManualClock()
    store = SqlStore(f"sqlite:///{tmp_path}/store.db", clock)
    await store.open()
    try:
        works = Works(store, clock)
        await works.begin()
        facts = works.traffic.tasks(700, **HARM)
        for begin in range(0, len(facts), 500):
            await store.record(facts[begin : begin + 500])
            await works.check()
        await works.later()
        run = await works.stands()
        assert (run.status, run.note) == (in_memory.status, in_memory.note)
        assert run.state["guards"] == in_memory.state["guards"]
        assert await works.same_again()
        assert put_aside(await store.latest()) == {"*": {"b": "e"}}
    finally:
        await store.close()
