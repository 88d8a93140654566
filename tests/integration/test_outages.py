"""A store that stops, hangs or forgets its answer: callers are answered in time, and nothing that happened is lost."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager

import pytest

from mahavishnu import Task
from mahavishnu.app import open_app
from mahavishnu.errors import StoreUnavailable
from mahavishnu.model import Budget, Micros, Status
from mahavishnu.ports import ExecutionQuery
from tests.integration.holder import COST_MICROS, settings, task

ALL = ExecutionQuery(last=None)
ENOUGH_MICROS = 10_000_000


@asynccontextmanager
async def opened(url, tmp_path, **store):
    async with open_app(settings(url, tmp_path / "spool", patience_s=0.5, **store)) as app:
        await set_budget(app)
        yield app


async def set_budget(app, **covering):
    """One that is known here when this returns, as any is after a refresh."""
    await app.store.set_budget(Budget(name="team", hard_micros=Micros(ENOUGH_MICROS), **covering))
    await app.orchestrator._purse.refresh()


async def begun(tmp_path, number=1):
    async with asyncio.timeout(30):
        while not (tmp_path / "trace").exists() or len((tmp_path / "trace").read_text().split()) < number:
            await asyncio.sleep(0.01)


async def caught_up(app):
    async with asyncio.timeout(60):
        while not await app.orchestrator.collector.catch_up() or app.orchestrator.collector.waiting:
            await asyncio.sleep(0.05)


async def spent(app):
    (balance,) = await app.store.balances(0)
    return balance.spent_micros, balance.reserved_micros


async def test_runs_with_a_key_and_a_budget_outlast_an_outage(own_postgres, tmp_path):
    url = own_postgres.url()
    async with opened(url, tmp_path) as app:
        running = [asyncio.create_task(app.orchestrator.execute(task(tmp_path, key=f"k{n}"))) for n in range(5)]
        await begun(tmp_path, 5)
        await asyncio.to_thread(own_postgres.stop)
        (tmp_path / "go").touch()
        reports = await asyncio.gather(*running)
        assert [report.value for report in reports] == ["held"] * 5
        with pytest.raises(StoreUnavailable, match="only the store can"):
            await app.orchestrator.execute(task(tmp_path, key="late"))
        await asyncio.to_thread(own_postgres.start)
        await caught_up(app)
        assert {execution.status for execution in await app.store.executions(ALL)} == {Status.SUCCEEDED}
        assert await spent(app) == (5 * COST_MICROS, 0)
        # The keys answer, and nothing runs again.
        assert (await app.orchestrator.execute(task(tmp_path, key="k3"))).executions == reports[3].executions
        assert (await app.orchestrator.execute(task(tmp_path, key="late"))).value == "held"
    assert len((tmp_path / "trace").read_text().split()) == 6


@asynccontextmanager
async def frozen(url, tmp_path, request):
    """A store that takes connections and answers nothing."""
    if url.startswith("postgresql"):
        server = request.getfixturevalue("own_postgres")
        server.freeze()
        try:
            yield
        finally:
            server.thaw()
        return
    lock = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        lock.execute("ROLLBACK")
        lock.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_a_store_that_hangs_keeps_no_caller_past_its_deadline(kind, tmp_path, request):
    url = f"sqlite:///{tmp_path}/store.db" if kind == "sqlite" else request.getfixturevalue("own_postgres").url()
    async with opened(url, tmp_path) as app:
        await set_budget(app, tags={"paid": "yes"})
        running = asyncio.create_task(app.orchestrator.execute(task(tmp_path, key="before", deadline_ms=10_000)))
        await begun(tmp_path)
        async with frozen(url, tmp_path, request):
            plain = [Task(type="hold", payload={"folder": str(tmp_path)}, deadline_ms=2_000) for _ in range(5)]
            keyed = [task(tmp_path, key=f"k{n}", deadline_ms=2_000) for n in range(5)]
            paid = [
                Task(type="hold", payload={"folder": str(tmp_path)}, deadline_ms=2_000, tags={"paid": "yes"})
                for _ in range(5)
            ]
            (tmp_path / "go").touch()
            # All of them are answered while the store still hangs: it is let go only after that.
            answers = await asyncio.gather(
                *(app.orchestrator.perform(one) for one in [*plain, *keyed, *paid]), return_exceptions=True
            )
            before = await running
        ran, needed = answers[:5], answers[5:]
        assert {type(answer) for answer in needed} <= {StoreUnavailable} | set(StoreUnavailable.__subclasses__())
        assert before.value == "held"
        await caught_up(app)
        found = {execution.id: execution for execution in await app.store.executions(ALL)}
        done = [answer for answer in ran if not isinstance(answer, BaseException)]
        assert done, "no task without a key or a budget went on"
        for report in [*done, before]:
            assert found[report.last.id].status is Status.SUCCEEDED
        assert {execution.status for execution in found.values()} <= {Status.SUCCEEDED, Status.CANCELLED}
        assert (await spent(app))[1] == 0
        # Nothing is held for the refused ones: their keys are free and run now.
        assert (await app.orchestrator.execute(task(tmp_path, key="k0"))).value == "held"
    assert not list((tmp_path / "spool").glob("*"))


async def test_a_disk_that_is_full_loses_no_end(own_postgres, tmp_path):
    url = own_postgres.url()
    async with opened(url, tmp_path) as app:
        running = [asyncio.create_task(app.orchestrator.perform(task(tmp_path, key=f"k{n}"))) for n in range(3)]
        await begun(tmp_path, 3)
        await asyncio.to_thread(own_postgres.stop)
        # What a full disk comes to: nothing can be made in the folder of the spool.
        (tmp_path / "spool").write_text("in the way")
        (tmp_path / "go").touch()
        reports = await asyncio.gather(*running, return_exceptions=True)
        assert [report.code for report in reports] == ["not-durable"] * 3
        await asyncio.to_thread(own_postgres.start)
        await caught_up(app)
        assert {execution.status for execution in await app.store.executions(ALL)} == {Status.SUCCEEDED}
        assert await spent(app) == (3 * COST_MICROS, 0)
        assert (await app.orchestrator.execute(task(tmp_path, key="k0"))).value == "held"
    assert len((tmp_path / "trace").read_text().split()) == 3
