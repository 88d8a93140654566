"""The backlog: a store that is down stops nobody, and has everything exactly once when it is back."""

import asyncio
import logging
import random
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from mahavishnu.engine.clock import SystemClock
from mahavishnu.engine.recording.collector import Collector
from mahavishnu.engine.routing.evidence import EvidenceBook
from mahavishnu.errors import StoreUnavailable
from mahavishnu.jobs.scores import fold
from mahavishnu.model import Status
from mahavishnu.ports import Charge, ExecutionQuery
from mahavishnu.settings import EvidenceSettings
from mahavishnu.stats.scoring import Scoring
from mahavishnu.storage import SqlStore
from mahavishnu.storage.spool import Spool, Spooled, line_of, spool_of
from mahavishnu.testing.clock import ManualClock
from mahavishnu.testing.samples import Samples, spender

ALL = ExecutionQuery(last=None)


class Switched:
    """A store in a file that can be switched off; what it is asked for meanwhile fails as it would.

    `cramped` is a disk with room for the change of a row, and for no new one: the store answers every question.
    """

    def __init__(self, store, url):
        self.store, self.url, self.down, self.asked, self.cramped = store, url, False, 0, False

    def __getattr__(self, name):
        found = getattr(self.store, name)
        if name not in ("record", "charge", "reserve", "newest", "execution", "newest_version", "latest"):
            return found

        async def asked(*args, **kwargs):
            self.asked += name == "record"
            if self.down:
                raise StoreUnavailable(url=self.url, problem="it was switched off")
            if self.cramped and name in ("record", "charge", "reserve") and args[0]:
                raise StoreUnavailable(url=self.url, problem="the disk is full; make room and try again")
            return await found(*args, **kwargs)

        return asked


class Ours(Samples):
    """Executions of this process."""

    process_id = ""

    def run(self, decision, **changes):
        return tuple(replace(each, process_id=self.process_id) for each in super().run(decision, **changes))


class House:
    """One process: its store, what it knows, and its collector."""

    def __init__(self, store):
        self.store, self.clock = store, SystemClock()
        self.book = EvidenceBook(store, Scoring())
        self.collector = Collector(store, self.book, self.clock)
        self.collector.spool_into(spool_of(store.url, store.process_id))
        self.make = Ours(self.clock)
        self.make.process_id = store.process_id

    def counted(self):
        return sum(stat.scorecard.samples for stat in self.book.stats())

    async def run(self, decision=None):
        """A task from its decision to its end."""
        decision = decision or self.make.decision()
        start, end = self.make.run(decision)
        await self.collector.began(start, decision)
        await self.collector.ended(end)
        return end


@asynccontextmanager
async def opened(tmp_path):
    url = f"sqlite:///{tmp_path}/store.db"
    store = SqlStore(url, SystemClock())
    await store.open()
    house = House(Switched(store, url))
    await house.book.load()
    yield house
    await house.collector.close()
    await store.close()


@pytest.fixture
async def house(tmp_path):
    async with opened(tmp_path) as house:
        yield house


def files(tmp_path):
    return list((tmp_path / "mahavishnu-spool").glob("*"))


async def test_what_happens_while_the_store_is_down_is_in_it_once_when_it_is_back(house, tmp_path):
    before = await house.run()
    house.store.down = True
    during = [await house.run() for _ in range(5)]
    assert len(files(tmp_path)) == 1
    assert house.counted() == 6
    assert not await house.collector.catch_up()
    house.store.down = False
    assert await house.collector.catch_up()
    assert files(tmp_path) == []
    assert {each.id for each in await house.store.executions(ALL)} == {each.id for each in (before, *during)}
    assert all(each.status is Status.SUCCEEDED for each in await house.store.executions(ALL))
    assert await house.store.decision(during[0].decision_id) is not None
    await house.book.refresh()
    assert house.counted() == 6


async def test_once_it_is_known_to_be_down_nobody_asks_again(house):
    house.store.down = True
    await house.run()
    asked = house.store.asked
    await asyncio.gather(*(house.run() for _ in range(20)))
    assert house.store.asked == asked


async def test_it_is_said_once_that_the_store_is_down_and_once_that_it_is_back(house, caplog):
    caplog.set_level(logging.WARNING)
    house.store.down = True
    await asyncio.gather(*(house.run() for _ in range(10)))
    await house.collector.catch_up()
    assert ["is kept in" in each.message for each in caplog.records] == [True]
    house.store.down = False
    await house.collector.catch_up()
    await house.collector.catch_up()
    assert ["is back; 20 things" in each.message for each in caplog.records] == [False, True]


async def test_an_end_that_finds_the_disk_full_waits_for_room_also_where_the_store_answers(house):
    decision = house.make.decision()
    start, end = house.make.run(decision)
    await house.collector.began(start, decision)
    house.store.cramped = True
    await house.collector.ended(end)
    for _ in range(3):
        await house.collector.catch_up()
    assert [each.status for each in await house.store.executions(ALL)] == [Status.RUNNING]
    house.store.cramped = False
    assert await house.collector.catch_up()
    assert [each.status for each in await house.store.executions(ALL)] == [Status.SUCCEEDED]


async def test_a_key_waits_for_the_store_and_says_why(house):
    house.store.down = True
    decision = house.make.decision()
    keyed = replace(decision, task=replace(decision.task, idempotency_key="k"))
    with pytest.raises(StoreUnavailable, match=r"switched off; .* idempotency key runs once"):
        await house.collector.began(house.make.run(keyed)[0], keyed, token=house.store.token)
    with pytest.raises(StoreUnavailable, match="idempotency key runs once"):
        await house.collector.claimed("k", "print", keyed.id)
    await house.run()


async def test_what_the_store_will_never_take_is_refused_at_once_and_stops_nobody(house, tmp_path):
    decision = house.make.decision()
    start, end = house.make.run(decision)
    await house.collector.began(start, decision)
    with pytest.raises(StoreUnavailable, match="hand it plain JSON values"):
        await house.collector.ended(replace(end, value=object()))
    assert files(tmp_path) == []
    house.store.down = True
    await house.run()
    with pytest.raises(StoreUnavailable, match="hand it plain JSON values"):
        await house.collector.ended(replace(end, value=object()))
    # It is plain JSON, and too large for its column: only the store itself finds out.
    await house.collector.ended(replace(end, latency_us=2**70))
    last = await house.run()
    house.store.down = False
    assert await house.collector.catch_up()
    assert (await house.store.execution(last.id)).status is Status.SUCCEEDED
    found = await house.store.execution(end.id)
    assert (found.status, found.error_code) == (Status.FAILED, "not-written")


async def test_a_disk_that_takes_nothing_either_is_named_in_the_error(house, tmp_path):
    (tmp_path / "mahavishnu-spool").write_text("in the way")
    house.store.down = True
    with pytest.raises(StoreUnavailable, match=r"switched off; and nothing can be kept in .*mahavishnu-spool"):
        await house.run()


async def test_a_run_that_is_cancelled_while_the_store_is_slow_is_written_and_counted_once(house):
    decision = house.make.decision()
    start, end = house.make.run(decision)
    await house.collector.began(start, decision)
    ending = asyncio.create_task(house.collector.ended(end))
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    await house.collector.catch_up()
    await house.book.refresh()
    assert (await house.store.execution(end.id)).status is Status.SUCCEEDED
    assert house.counted() == 1


@pytest.mark.parametrize("seed", range(6))
async def test_evidence_is_neither_lost_nor_doubled_however_snapshots_fall(house, tmp_path, seed):
    rng = random.Random(seed)
    async with another(house) as other:
        runs = 0
        for _ in range(60):
            match rng.choice(("run", "run", "run", "other", "switch", "publish", "refresh", "catch up")):
                case "run":
                    await house.run()
                    runs += 1
                case "other":
                    await other.run()
                    runs += 1
                case "switch":
                    house.store.down = not house.store.down
                case "publish":
                    await fold(other.store, house.clock, EvidenceSettings(decay_per_day=1))
                case "refresh" if not house.store.down:
                    await house.book.refresh()
                case _:
                    await house.collector.catch_up()
        house.store.down = False
        await house.collector.catch_up()
        await house.book.refresh()
        fresh = EvidenceBook(other.store, Scoring())
        await fresh.load()
        assert house.counted() == runs
        assert list(house.book.stats()) == list(fresh.stats())


async def test_a_newer_snapshot_does_not_make_us_forget_what_still_waits(house):
    house.store.down = True
    for _ in range(2):
        await house.run()
    house.store.down = False
    async with another(house) as other:
        await other.run()
        await fold(other.store, house.clock, EvidenceSettings(decay_per_day=1))
    await house.book.refresh()
    assert house.book.snapshot().version == 1
    assert house.counted() == 3
    await house.collector.catch_up()
    await house.book.refresh()
    assert house.counted() == 3


async def test_what_was_read_with_a_newer_snapshot_before_it_was_confirmed_is_counted_once(house):
    house.store.down = True
    end = await house.run()
    house.store.down = False
    async with another(house) as other:
        await other.run()
        await fold(other.store, house.clock, EvidenceSettings(decay_per_day=1))
    position = await house.store.record([end])
    await house.book.refresh()
    assert house.book.snapshot().version == 1
    assert house.counted() == 2
    house.book.confirm(end, position)
    await house.book.refresh()
    assert house.counted() == 2


async def test_what_came_with_a_snapshot_before_it_was_confirmed_is_counted_once(house):
    house.store.down = True
    end = await house.run()
    house.store.down = False
    position = await house.store.record([end])
    await fold(house.store, house.clock, EvidenceSettings(decay_per_day=1))
    await house.book.refresh()
    house.book.confirm(end, position)
    await house.book.refresh()
    assert house.counted() == 1


@asynccontextmanager
async def another(house):
    """Another process on the same store, which sees it all the time."""
    store = SqlStore(house.store.url, SystemClock())
    await store.open()
    other = House(Switched(store, house.store.url))
    yield other
    await other.collector.close()
    await store.close()


async def test_what_a_process_left_is_written_by_the_next_and_what_it_left_running_is_lost(house, tmp_path):
    begun_before = house.make.decision()
    start_before, end_before = house.make.run(begun_before)
    await house.collector.began(start_before, begun_before)
    house.store.down = True
    await house.collector.ended(end_before)
    ended = await house.run()
    decision = house.make.decision()
    running, _ = house.make.run(decision)
    await house.collector.began(running, decision)
    await house.collector.close()
    assert len(files(tmp_path)) == 1
    async with another(house) as other:
        await other.collector.catch_up()
        assert files(tmp_path) == []
        found = {each.id: each.status for each in await other.store.executions(ALL)}
        assert found == {start_before.id: Status.SUCCEEDED, ended.id: Status.SUCCEEDED, running.id: Status.LOST}
        await other.book.refresh()
        # What was lost is counted apart.
        assert other.counted() == 2


async def test_what_a_process_finished_is_not_given_up_because_a_third_one_is_about_to_write_it(house):
    house.store.down = True
    ended = await house.run()
    await house.collector.close()
    async with another(house) as other:
        taken = other.collector._backlog.spool.abandoned()
        assert not await other.collector.finish_for([house.make.process_id])
        taken.close()
        assert await other.collector.finish_for([house.make.process_id])
        assert (await other.store.execution(ended.id)).status is Status.SUCCEEDED


async def test_what_a_living_process_keeps_is_nobody_elses(house, tmp_path):
    house.store.down = True
    end = await house.run()
    async with another(house) as other:
        assert await other.collector.catch_up()
        assert await other.store.execution(end.id) is None
    assert len(files(tmp_path)) == 1


async def test_what_was_given_up_as_lost_meanwhile_is_known_to_have_succeeded(house):
    decision = house.make.decision()
    start, end = house.make.run(decision)
    await house.collector.began(start, decision)
    house.store.down = True
    await house.collector.ended(end)
    house.store.down = False
    # Another machine found the lease run out.
    given_up = replace(start, status=Status.LOST, ended_at_us=end.ended_at_us, error_code="lost")
    await house.store.record([given_up])
    assert await house.collector.catch_up()
    await house.book.refresh()
    (stat,) = house.book.stats()
    assert (stat.scorecard.samples, stat.scorecard.successes, stat.scorecard.lost) == (1, 1, 1)
    fresh = EvidenceBook(house.store.store, Scoring())
    await fresh.load()
    assert list(fresh.stats()) == [stat]


async def test_an_outcome_finds_the_decision_that_was_kept(house):
    house.store.down = True
    end = await house.run()
    house.store.down = False
    outcome = house.make.outcome(replace(house.make.decision(), id=end.decision_id), completed=False)
    await house.collector.learnt(outcome)
    assert [each.id for each in await house.store.outcomes(end.decision_id)] == [outcome.id]


def keep(spool, spooled):
    spool.add(spooled, line_of(spooled))
    spool.flush()


def samples():
    make = Samples(ManualClock())
    decision = make.odd_decision()
    start = make.start(decision)
    return decision, start, make.odd_end(start)


def test_a_spool_gives_back_exactly_what_it_was_given(tmp_path):
    decision, start, end = samples()
    charge = Charge(execution_id=end.id, at_us=5, micros=7, spender=spender(end, team="a"))
    announced = replace(start, run_id="r-1\0")
    mine = Spool(tmp_path, "store", "dead")
    for spooled in (Spooled((decision, start)), Spooled((announced,)), Spooled((end,), charge)):
        keep(mine, spooled)
    mine.close()
    found = Spool(tmp_path, "store", "alive").abandoned()
    assert [(each.facts, each.charge) for each in found.spooled] == [
        ((decision, start), None),
        ((announced,), None),
        ((end,), charge),
    ]
    assert list(found.running) == []
    assert Spool(tmp_path, "store", "third").abandoned() is None
    found.settle(0)
    found.close()
    assert Spool(tmp_path, "store", "third").abandoned() is None


def test_a_line_that_was_cut_short_is_left_out_and_one_that_is_spoilt_is_kept_aside(tmp_path):
    decision, start, _ = samples()
    mine = Spool(tmp_path, "store", "dead")
    keep(mine, Spooled((decision, start)))
    mine.close()
    whole = mine.path.read_bytes()
    mine.path.write_bytes(whole + b'{"no": "facts"}\n' + whole[:20])
    found = Spool(tmp_path, "store", "alive").abandoned()
    assert [each.facts for each in found.spooled] == [(decision, start)]
    found.settle(0)
    found.close()
    assert [each.suffix for each in tmp_path.iterdir()] == [".left-over"]


def test_the_file_goes_with_the_last_of_what_was_written(tmp_path):
    decision, start, end = samples()
    mine = Spool(tmp_path, "store", "me")
    one, two = Spooled((decision, start)), Spooled((end,))
    keep(mine, one)
    keep(mine, two)
    mine.forget([one])
    assert mine.path.exists()
    assert mine.path.stat().st_mode & 0o077 == 0
    mine.forget([two])
    assert not mine.path.exists()
    keep(mine, one)
    assert mine.path.exists()
    mine.close()


def test_a_spool_is_the_same_for_every_password_and_way_to_write_the_url(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert spool_of("memory:", "p") is None
    assert spool_of("sqlite:///a.db", "p").path == spool_of(f"sqlite:///{tmp_path}/a.db", "p").path
    remote = [spool_of(f"postgresql://ada:{word}@host/db", "p").path for word in ("one", "two")]
    assert remote[0] == remote[1]
    assert remote[0].parent == tmp_path / "mahavishnu-spool"
    assert spool_of("postgresql://ada@host/db", "p", str(tmp_path / "there")).path.parent == tmp_path / "there"
