"""A store that goes down in the middle of work stops nobody, and has everything exactly once when it is back."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest

from mahavishnu import Task
from mahavishnu.app import open_app
from mahavishnu.engine.clock import SystemClock
from mahavishnu.engine.routing.evidence import EvidenceBook
from mahavishnu.errors import StoreUnavailable
from mahavishnu.model import Status
from mahavishnu.ports import ExecutionQuery
from mahavishnu.settings import load_settings
from mahavishnu.stats.scoring import Scoring
from mahavishnu.storage import SqlStore


async def work(text: str) -> str:
    await asyncio.sleep(0.002)
    return f"did {text}"


def settings(url, spool):
    targets = {
        name: {"run": "tests.integration.test_store_down:work", "task_types": ["t"]} for name in ("first", "second")
    }
    return load_settings(
        None,
        {},
        {
            "store": {"url": url, "spool": str(spool), "patience_s": 1.0},
            "routing": {"refresh_s": 0.1},
            "targets": targets,
        },
    )


@asynccontextmanager
async def opened(url, spool):
    """An app that keeps what its store cannot take in a folder of its own."""
    async with open_app(settings(url, spool)) as app:
        yield app


async def tasks(app, number):
    """Run so many, eight at once; the executions, each of which somebody was answered for."""
    reports = await app.orchestrator.execute_many([Task(type="t", text=str(each)) for each in range(number)])
    assert [report.error for report in reports] == [None] * number
    return [report.last for report in reports]


async def written(app):
    """Until the store is back and nothing waits for it any more."""
    async with asyncio.timeout(60):
        while not await app.orchestrator.collector.catch_up():
            await asyncio.sleep(0.05)


def samples_of(stats):
    """Everything that ended: what was lost is no sample, and is counted apart."""
    return sum(stat.scorecard.samples + stat.scorecard.lost for stat in stats)


async def check(url, answered):
    """Every execution that was answered for is there exactly once, and counted once."""
    store = SqlStore(url, SystemClock())
    await store.open()
    try:
        found = await store.executions(ExecutionQuery(last=None))
        kept = {each.id: each for each in found}
        assert len(kept) == len(found)
        assert {id_ for id_ in answered if id_ in kept and kept[id_].status is Status.SUCCEEDED} == set(answered)
        assert not [each for each in found if each.status is Status.RUNNING]
        evidence = [fact.id async for _, fact in store.facts(0)]
        assert sorted(evidence) == sorted(kept)
        for each in found:
            assert await store.decision(each.decision_id) is not None
        book = EvidenceBook(store, Scoring())
        await book.load()
        assert samples_of(book.stats()) == len(kept)
        return kept
    finally:
        await store.close()


async def test_postgresql_is_stopped_and_started_again_under_running_tasks(own_postgres, tmp_path):
    url = own_postgres.url()
    async with opened(url, tmp_path) as app:
        before = await tasks(app, 30)
        running = asyncio.create_task(tasks(app, 400))
        await asyncio.to_thread(own_postgres.stop)
        during = [*await running, *await tasks(app, 50)]
        assert len(list(tmp_path.iterdir())) == 1
        assert (await app.orchestrator.route(Task(type="t", text="x"))).selected in ("first", "second")
        with pytest.raises(StoreUnavailable, match="idempotency key runs once"):
            await app.orchestrator.execute(Task(type="t", text="x", idempotency_key="k"))
        assert samples_of(app.orchestrator.stats()) == 480
        running = asyncio.create_task(tasks(app, 400))
        await asyncio.to_thread(own_postgres.start)
        after = await running
        await written(app)
        assert list(tmp_path.iterdir()) == []
        assert samples_of(app.orchestrator.stats()) == 880
        assert (await app.orchestrator.execute(Task(type="t", text="x", idempotency_key="k"))).error is None
    kept = await check(url, [each.id for each in (*before, *during, *after)])
    assert len(kept) == 881


async def test_an_sqlite_file_that_somebody_keeps_locked_stops_nobody(tmp_path):
    url = f"sqlite:///{tmp_path}/store.db"
    async with opened(url, tmp_path / "spool") as app:
        before = await tasks(app, 10)
        other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        during = await tasks(app, 60)
        assert list((tmp_path / "spool").iterdir()) != []
        other.execute("ROLLBACK")
        other.close()
        await written(app)
        assert samples_of(app.orchestrator.stats()) == 70
    assert len(await check(url, [each.id for each in (*before, *during)])) == 70


async def test_what_waits_when_its_process_is_closed_is_written_by_the_next(own_postgres, tmp_path):
    url = own_postgres.url()
    async with opened(url, tmp_path) as app:
        before = await tasks(app, 5)
        await asyncio.to_thread(own_postgres.stop)
        during = await tasks(app, 20)
    assert len(list(tmp_path.iterdir())) == 1
    await asyncio.to_thread(own_postgres.start)
    async with opened(url, tmp_path) as app:
        await written(app)
        assert list(tmp_path.iterdir()) == []
    assert len(await check(url, [each.id for each in (*before, *during)])) == 25


async def test_a_process_killed_during_the_outage_loses_nothing_that_it_was_answered_for(own_postgres, tmp_path):
    url = own_postgres.url()
    command = [sys.executable, "-m", "tests.integration.test_store_down", url, str(tmp_path / "spool")]
    answered: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if len(line.strip()) == 26:
                answered.append(line.strip())
            if len(answered) == 40:
                await asyncio.to_thread(own_postgres.stop)
            if len(answered) == 400:
                child.kill()
                break
        # What it had said before it was killed, and nobody had read yet.
        answered += [line.strip() for line in child.stdout if line.endswith("\n")]
    await asyncio.to_thread(own_postgres.start)
    assert len(list((tmp_path / "spool").iterdir())) == 1
    async with opened(url, tmp_path / "spool"):
        assert list((tmp_path / "spool").iterdir()) == []
    assert list((tmp_path / "spool").iterdir()) == []
    kept = await check(url, answered)
    # What it was answered for, and what it had begun.
    assert len(answered) <= len(kept) <= len(answered) + 8
    assert {each.status for id_, each in kept.items() if id_ not in answered} <= {Status.LOST, Status.SUCCEEDED}


async def run_for_ever(url, spool):
    """Execute eight at a time, and say which executions were handed back."""
    async with opened(url, spool) as app:
        endless = (Task(type="t", text=str(number)) for number in range(10**9))
        async for _, report in app.orchestrator.as_completed(endless, concurrency=8):
            os.write(1, f"{report.last.id}\n".encode())


if __name__ == "__main__":
    asyncio.run(run_for_ever(*sys.argv[1:]))
