"""A process that lives is never given up: not while it is stopped, not by a clock, not while the store is locked."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress

import pytest

from mahavishnu.app import open_app
from mahavishnu.errors import BudgetExhausted, TaskFailed
from mahavishnu.model import Budget, Micros, Status
from mahavishnu.ports import ExecutionQuery
from mahavishnu.testing.torture.clock import SkewedClock
from tests.integration.holder import COST_MICROS, LEASE_S, LIMIT_MICROS, settings, task

LONG_S = 3 * LEASE_S
ALL = ExecutionQuery(last=None)


class Holder:
    """One of the processes; `stop` and `go_on` are what a container's freezer does to it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def begun(self) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            assert (await self.process.stdout.readline()).strip() == b"begun"

    async def said(self) -> dict[str, str | None]:
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            return json.loads(await self.process.stdout.readline())

    def stop(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    return f"sqlite:///{tmp_path}/store.db" if request.param == "sqlite" else request.getfixturevalue("postgres")()


@asynccontextmanager
async def holding(url, tmp_path):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.holder", url, str(tmp_path / "spool"), str(tmp_path),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Holder(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@asynccontextmanager
async def observing(url, tmp_path, clock=None):
    """A second process, as far as the store can tell, with a budget that has room for one run."""
    async with open_app(settings(url, tmp_path / "spool-2"), clock=clock) as app:
        await app.store.set_budget(Budget(name="team", hard_micros=Micros(LIMIT_MICROS)))
        yield app


async def look_about(app, seconds: float) -> None:
    """What a second process does all the time, and does harm with if it takes the first for dead."""
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        assert list(await app.store.reap()) == []
        await asyncio.sleep(0.1)


async def check(app, tmp_path) -> None:
    """The money was spent once, the key ran once, and nothing healthy is lost."""
    assert len((tmp_path / "trace").read_text().splitlines()) == 1
    (execution,) = await app.store.executions(ALL)
    assert execution.status is Status.SUCCEEDED
    (balance,) = await app.store.balances(execution.started_at_us)
    assert (balance.spent_micros, balance.reserved_micros) == (COST_MICROS, 0)


Fault = Callable[[Holder, SkewedClock], None]


def nothing(_holder: Holder, _clock: SkewedClock) -> None:
    """The clock was wrong from the beginning."""


@pytest.mark.parametrize(
    ("ahead_s", "fault"),
    [
        pytest.param(0, lambda holder, _: holder.stop(), id="stopped"),
        pytest.param(20, nothing, id="20 s ahead"),
        pytest.param(0, lambda _, clock: clock.set(offset_s=60), id="stepped by a minute"),
        pytest.param(-60, lambda holder, _: holder.stop(), id="stopped, a minute behind"),
    ],
)
async def test_a_second_process_gives_up_none_that_lives(url, tmp_path, ahead_s, fault):
    clock = SkewedClock()
    clock.set(offset_s=ahead_s)
    async with observing(url, tmp_path, clock) as app, holding(url, tmp_path) as holder:
        await holder.begun()
        fault(holder, clock)
        await look_about(app, LONG_S)
        with pytest.raises(TaskFailed, match="still running elsewhere"):
            await app.orchestrator.execute(task(tmp_path, deadline_ms=300))
        with pytest.raises(BudgetExhausted):
            await app.orchestrator.execute(task(tmp_path, key="another"))
        holder.go_on()
        (tmp_path / "go").touch()
        assert await holder.said() == {"error": None, "status": "succeeded"}
        await check(app, tmp_path)
        # And now that it is over, the key answers with what it came to.
        assert (await app.orchestrator.execute(task(tmp_path))).value == "held"


async def test_a_process_that_is_killed_is_given_up_at_once(url, tmp_path):
    async with observing(url, tmp_path) as app, holding(url, tmp_path) as holder:
        await holder.begun()
        holder.process.kill()
        await holder.process.wait()
        assert [execution.status for execution in await app.store.reap()] == [Status.LOST]
        (balance,) = await app.store.balances(0)
        assert (balance.spent_micros, balance.reserved_micros) == (0, 0)
        (tmp_path / "go").touch()
        assert (await app.orchestrator.execute(task(tmp_path))).value == "held"


async def test_a_file_that_is_locked_for_longer_than_a_lease_loses_no_execution(tmp_path):
    url = f"sqlite:///{tmp_path}/store.db"
    async with observing(url, tmp_path) as app, holding(url, tmp_path) as holder:
        await holder.begun()
        lock = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        try:
            await look_about(app, LONG_S)
        finally:
            lock.execute("ROLLBACK")
            lock.close()
        assert list(await app.store.reap()) == []
        (tmp_path / "go").touch()
        assert await holder.said() == {"error": None, "status": "succeeded"}
        await check(app, tmp_path)
    assert not list((tmp_path / "spool").glob("*"))
