"""Which processes are alive: pids on this host, beats elsewhere, and the fence around a process that was given up."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from mahavishnu.engine.clock import SystemClock
from mahavishnu.errors import TakenOver, UnknownName
from mahavishnu.model import Status
from mahavishnu.storage import SqlStore
from mahavishnu.storage.sql.coordination import presence
from mahavishnu.storage.sql.coordination.presence import Census, Lease, here, is_running, started_at
from mahavishnu.storage.sql.facts.fact_rows import escaped
from mahavishnu.testing.clock import ManualClock
from mahavishnu.testing.samples import Samples

LEASE_S = 60.0
ELSEWHERE = "elsewhere"


class Observer:
    """A process that renews its own lease while the time passes, and looks at others."""

    def __init__(self):
        self.clock = ManualClock()
        self.lease = Lease("me", self.clock, LEASE_S)
        self.census = Census(self.lease, self.clock)
        self.renew()

    def renew(self):
        now_s = self.clock.monotonic_s()
        self.lease.committed(presence.Entry(0, 0, now_s))

    def pass_time(self, seconds, process=None):
        """Second by second, with a look and a renewal in each."""
        for _ in range(round(seconds)):
            self.clock.advance(1)
            self.renew()
            if process is not None:
                self.census.is_gone(process)


@pytest.fixture
def observer():
    return Observer()


@pytest.fixture
def census(observer):
    return observer.census


def process(**changes):
    row = {
        "id": "other",
        "host": escaped(here()),
        "pid": os.getpid(),
        "pid_started": started_at(os.getpid()),
        "started_at_us": 0,
        "renewed_at_us": 0,
        "lease_us": round(LEASE_S * 1e6),
        "beat": 3,
        "token": 0,
        "released": 0,
        "loops": "[]",
    }
    return list({**row, **changes}.values())


@pytest.fixture
def ended_pid():
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        pass
    return child.pid


def test_a_process_of_this_host_is_gone_as_soon_as_its_pid_is(census, ended_pid):
    assert not census.is_gone(process())
    assert census.is_gone(process(pid=ended_pid))


def test_a_process_that_has_ended_and_was_not_asked_after_is_gone(census):
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert census.is_gone(process(pid=child.pid, pid_started=None))


def test_a_pid_that_was_given_to_a_later_process_is_another_process(census):
    assert census.is_gone(process(pid_started=1))
    assert not is_running(os.getpid(), 1)


def test_a_process_whose_start_is_unknown_is_told_by_its_pid(census):
    assert not census.is_gone(process(pid_started=None))


def test_a_process_of_this_host_is_alive_however_long_it_was_stopped(observer):
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as child:
        try:
            child.send_signal(signal.SIGSTOP)
            stopped = process(pid=child.pid, pid_started=started_at(child.pid))
            observer.pass_time(50 * LEASE_S, stopped)
            assert not observer.census.is_gone(stopped)
        finally:
            child.kill()


def test_no_wall_clock_says_that_a_process_elsewhere_is_gone(observer, monkeypatch):
    there = process(host=ELSEWHERE)
    observer.census.is_gone(there)
    hour_us = 3_600_000_000
    monkeypatch.setattr(observer.clock, "now_us", lambda: ManualClock().now_us() + 24 * hour_us)
    assert not observer.census.is_gone(there)


def test_a_process_elsewhere_is_gone_once_its_beat_has_stood_still_for_its_lease(observer, ended_pid):
    there = process(host=ELSEWHERE, pid=ended_pid)
    observer.pass_time(LEASE_S, there)
    assert not observer.census.is_gone(there)
    observer.pass_time(LEASE_S * 0.1 + 1, there)
    assert observer.census.is_gone(there)
    assert not observer.census.is_gone(process(host=ELSEWHERE, pid=ended_pid, beat=4))


def test_the_lease_of_a_process_elsewhere_is_the_one_that_it_took(observer):
    patient = process(host=ELSEWHERE, lease_us=round(3 * LEASE_S * 1e6))
    observer.pass_time(2 * LEASE_S, patient)
    assert not observer.census.is_gone(patient)


def test_an_observer_that_was_itself_stopped_judges_no_other_until_it_has_been_back_for_as_long(observer):
    there = process(host=ELSEWHERE)
    observer.pass_time(LEASE_S / 2, there)
    # Stopped, or cut off from the store: nothing was renewed meanwhile.
    observer.clock.advance(10 * LEASE_S)
    assert not observer.census.is_gone(there)
    observer.renew()
    assert not observer.census.is_gone(there)
    observer.pass_time(LEASE_S, there)
    assert not observer.census.is_gone(there)
    observer.pass_time(LEASE_S * 0.1, there)
    assert observer.census.is_gone(there)


def test_an_observer_that_cannot_renew_its_own_lease_judges_no_other(observer):
    there = process(host=ELSEWHERE)
    for _ in range(round(3 * LEASE_S)):
        # It can still read, as from a file whose write lock another process holds.
        observer.clock.advance(1)
        assert not observer.census.is_gone(there)


def test_a_process_never_takes_itself_for_gone(census):
    assert not census.is_gone(process(id="me", released=1))


def test_a_process_that_was_given_up_or_has_let_go_is_gone(census):
    assert census.is_gone([None] * 11)
    assert census.is_gone(process(released=1))


def test_a_lease_that_has_run_out_holds_nothing(observer):
    assert observer.lease.holds(0)
    observer.clock.advance(LEASE_S)
    assert not observer.lease.holds(0)
    observer.renew()
    assert observer.lease.holds(0)
    assert not observer.lease.holds(1)


# -- two hosts on one store --------------------------------------------------------------------------------------------


class Host:
    """A store whose process runs on another host than that of this test, by what its row says."""

    def __init__(self, url, clock, monkeypatch, name):
        self.name, self.monkeypatch = name, monkeypatch
        with monkeypatch.context() as patch:
            patch.setattr(presence, "here", lambda: name)
            self.store = SqlStore(url, clock, lease_s=LEASE_S)

    async def reap(self):
        with self.monkeypatch.context() as patch:
            patch.setattr(presence, "here", lambda: self.name)
            return await self.store.reap()

    async def claim(self, key, decision_id):
        with self.monkeypatch.context() as patch:
            patch.setattr(presence, "here", lambda: self.name)
            return await self.store.claim(key, "print", decision_id)


@pytest.fixture(params=["sqlite", "postgres"])
async def hosts(request, tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/store.db" if request.param == "sqlite" else request.getfixturevalue("postgres")()
    clock = ManualClock()
    pair = [Host(url, clock, monkeypatch, name) for name in ("one", "two")]
    for host in pair:
        await host.store.open()
    yield clock, *pair
    for host in pair:
        await host.store.close()


async def pass_lease(clock, awake):
    """A little more than a lease, in which only this process renews its own."""
    for _ in range(round(LEASE_S * 1.2)):
        clock.advance(1)
        await awake.store.renew()
        await awake.reap()


async def test_a_process_elsewhere_that_was_paused_past_its_lease_is_given_up_and_fenced_off(hosts):
    clock, sleeper, other = hosts
    make = Samples(clock)
    decision = make.decision()
    start = make.start(decision, sleeper.store.process_id)
    token = sleeper.store.token
    await sleeper.store.record([decision, start], token=token)
    await sleeper.claim("key", decision.id)
    await other.reap()
    await pass_lease(clock, other)
    lost = await other.store.execution(start.id)
    assert lost.status is Status.LOST
    assert (await other.claim("key", "next")).mine
    # It wakes up. Its lease has run out, so that it asks before it relies on anything.
    assert not sleeper.store.holds(token)
    with pytest.raises(TakenOver, match="taken for dead"):
        await sleeper.store.record([make.start(decision, sleeper.store.process_id)], token=token)
    assert sleeper.store.token > token
    # The end of what it ran comes too late: the first end stands. What it begins now is its own again.
    later = make.start(decision, sleeper.store.process_id)
    await sleeper.store.record([make.end(start), later], token=sleeper.store.token)
    assert await sleeper.store.execution(start.id) == lost
    assert list(await other.reap()) == []
    assert await other.store.execution(later.id) == later


async def test_a_process_elsewhere_whose_key_was_taken_goes_on_with_a_new_token_only(hosts):
    clock, sleeper, other = hosts
    token = sleeper.store.token
    await sleeper.claim("key", "first")
    await other.reap()
    for _ in range(round(LEASE_S * 1.2)):
        clock.advance(1)
        await other.store.renew()
        await other.store.holder("key")
    assert (await other.claim("key", "second")).mine
    await sleeper.store.renew()
    assert sleeper.store.token > token
    assert not sleeper.store.holds(token)


async def test_a_process_that_renews_is_never_given_up(hosts):
    clock, one, two = hosts
    make = Samples(clock)
    decision = make.decision()
    await one.store.record([decision, make.start(decision, one.store.process_id)])
    for _ in range(round(3 * LEASE_S)):
        clock.advance(1)
        await asyncio.gather(one.store.renew(), two.store.renew())
        assert list(await one.reap()) == list(await two.reap()) == []
    assert one.store.holds(one.store.token)


async def test_a_process_that_hangs_for_ever_is_given_up_by_hand(hosts):
    clock, one, two = hosts
    make = Samples(clock)
    decision = make.decision()
    start = make.start(decision, one.store.process_id)
    await one.store.record([decision, start])
    await one.claim("key", decision.id)
    (known,) = [each for each in await two.store.processes() if each.id == one.store.process_id]
    assert (known.host, known.pid, known.lives, known.running) == ("one", os.getpid(), True, 1)
    token = one.store.token
    assert [each.id for each in await two.store.release(one.store.process_id)] == [start.id]
    assert (await two.claim("key", "next")).mine
    with pytest.raises(TakenOver):
        await one.store.record([make.start(decision, one.store.process_id)], token=token)
    with pytest.raises(UnknownName, match="mahavishnu store processes"):
        await two.store.release("never-was")


async def test_a_busy_event_loop_does_not_lose_the_lease(tmp_path):
    path = tmp_path / "store.db"
    store = SqlStore(f"sqlite:///{path}", SystemClock(), lease_s=0.2)
    await store.open()
    connection = sqlite3.connect(path)

    def beat() -> int:
        return connection.execute("SELECT beat FROM processes").fetchone()[0]

    first = beat()
    give_up_s = time.monotonic() + 30
    # Nothing is awaited here, so that the loop gets no turn at all.
    while beat() < first + 3:
        assert time.monotonic() < give_up_s, "the lease was not renewed"
    connection.close()
    await store.close()
