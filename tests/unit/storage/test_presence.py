"""Who is alive: leases, hosts, pids that were given again."""

import os
import sqlite3
import subprocess
import sys
import time

import pytest

from mahavishnu.engine.clock import SystemClock
from mahavishnu.model import Status
from mahavishnu.storage import SqlStore
from mahavishnu.storage.presence import Census, here, is_running, started_at
from mahavishnu.storage.rows import escaped
from mahavishnu.testing.clock import ManualClock
from mahavishnu.testing.samples import Samples

HOUR_US = 3_600_000_000


@pytest.fixture
def census():
    return Census("me", ManualClock())


def process(**changes):
    row = {
        "id": "other",
        "host": escaped(here()),
        "pid": os.getpid(),
        "pid_started": started_at(os.getpid()),
        "lease_until_us": ManualClock().now_us() + HOUR_US,
        "started_at_us": 0,
    }
    return list({**row, **changes}.values())


@pytest.fixture
def ended_pid():
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        pass
    return child.pid


def test_a_running_process_with_a_lease_is_alive(census):
    assert not census.is_gone(process())


def test_a_process_of_this_host_is_gone_as_soon_as_its_pid_is(census, ended_pid):
    assert census.is_gone(process(pid=ended_pid))


def test_a_process_that_has_ended_and_was_not_asked_after_is_gone(census):
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert census.is_gone(process(pid=child.pid, pid_started=None))


def test_a_pid_that_was_given_to_a_later_process_is_another_process(census):
    assert census.is_gone(process(pid_started=1))
    assert not is_running(os.getpid(), 1)


def test_a_process_of_which_nobody_knows_when_it_started_is_told_by_its_pid(census):
    assert not census.is_gone(process(pid_started=None))


def test_a_process_elsewhere_is_judged_by_its_lease_alone(census, ended_pid):
    assert not census.is_gone(process(host="elsewhere", pid=ended_pid))
    assert census.is_gone(process(host="elsewhere", lease_until_us=ManualClock().now_us()))


def test_a_lease_that_ran_out_is_the_end_also_here(census):
    assert census.is_gone(process(lease_until_us=ManualClock().now_us() - 1))


def test_a_process_never_takes_itself_for_gone(census):
    assert not census.is_gone(process(id="me", lease_until_us=0))


def test_a_process_that_was_buried_is_gone(census):
    assert census.is_gone([None] * 6)


async def test_a_process_that_slept_past_its_lease_loses_its_runs_and_lives_on(tmp_path):
    url = f"sqlite:///{tmp_path}/store.db"
    clock = ManualClock()
    make = Samples(clock)
    sleeper, other = SqlStore(url, clock, lease_s=60), SqlStore(url, clock, lease_s=60)
    await sleeper.open()
    await other.open()
    decision = make.decision()
    start = make.start(decision, sleeper.process_id)
    await sleeper.record([decision, start])
    await sleeper.claim("key", "print", decision.id)
    clock.advance(61)
    (lost,) = await other.reap()
    assert (lost.id, lost.status, lost.ended_at_us) == (start.id, Status.LOST, clock.now_us())
    assert (await other.claim("key", "print", "next")).mine
    # It wakes up: its end comes too late, and what it starts now is its own again.
    later = make.start(decision, sleeper.process_id)
    await sleeper.record([make.end(start), later])
    assert await sleeper.execution(start.id) == lost
    assert list(await other.reap()) == []
    assert await other.execution(later.id) == later
    await sleeper.close()
    await other.close()


async def test_a_busy_event_loop_does_not_lose_the_lease(tmp_path):
    path = tmp_path / "store.db"
    store = SqlStore(f"sqlite:///{path}", SystemClock(), lease_s=0.2)
    await store.open()
    connection = sqlite3.connect(path)

    def lease() -> int:
        return connection.execute("SELECT lease_until_us FROM processes").fetchone()[0]

    first = lease()
    give_up_s = time.monotonic() + 30
    # Nothing is awaited here, so that the loop gets no turn at all.
    while lease() < first + 400_000:
        assert time.monotonic() < give_up_s, "the lease was not renewed"
    connection.close()
    await store.close()
