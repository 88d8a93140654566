"""The writer: few transactions, from any loop, through a broken connection, and never a caller left waiting."""

import asyncio
import sqlite3
import threading
from dataclasses import replace

import psycopg
import pytest
from sqlalchemy import event

from mahavishnu.engine.clock import SystemClock
from mahavishnu.errors import MahavishnuError, NotWritten, StoreSilent, StoreUnavailable
from mahavishnu.ports import ExecutionQuery
from mahavishnu.storage import SqlStore
from mahavishnu.testing.clock import ManualClock
from mahavishnu.testing.samples import Samples


@pytest.fixture
async def store(tmp_path):
    store = SqlStore(f"sqlite:///{tmp_path}/store.db", ManualClock())
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def remote(postgres):
    """A store in PostgreSQL, and the URL of its database."""
    url = postgres()
    store = SqlStore(url, ManualClock())
    await store.open()
    yield store, url
    await store.close()


def at_the_server(url: str, statement: str) -> None:
    """Run a statement about a database on another connection than to it."""
    name = url.partition("@/")[2].partition("?")[0]
    with psycopg.connect(url.replace(f"/{name}?", "/postgres?"), autocommit=True) as connection:
        connection.execute(statement.format(name=name))


CUT_OFF = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
LET_IN = "ALTER DATABASE {name} ALLOW_CONNECTIONS true"
KEEP_OUT = "ALTER DATABASE {name} ALLOW_CONNECTIONS false"


async def test_a_thousand_records_at_once_take_few_transactions(store):
    make = Samples(ManualClock())
    commits = []
    event.listen(store._opened.database.engine, "commit", commits.append)
    decisions = [make.decision() for _ in range(1000)]
    await asyncio.gather(*(store.record([decision, *make.run(decision)]) for decision in decisions))
    assert len(await store.executions(ExecutionQuery(last=None))) == 1000
    assert len(commits) < 20


def test_several_event_loops_in_several_threads_share_one_store(tmp_path):
    store = SqlStore(f"sqlite:///{tmp_path}/store.db", SystemClock())
    asyncio.run(store.open())
    wrong: list[BaseException] = []

    async def record(seed: int) -> None:
        make = Samples(ManualClock(seed=seed))
        decisions = [make.decision() for _ in range(100)]
        await asyncio.gather(*(store.record([decision, *make.run(decision)]) for decision in decisions))
        for decision in decisions[::10]:
            assert await store.decision(decision.id) == decision

    def in_a_loop_of_its_own(seed: int) -> None:
        try:
            asyncio.run(record(seed))
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=in_a_loop_of_its_own, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(asyncio.run(store.executions(ExecutionQuery(last=None)))) == 400
    asyncio.run(store.close())


def test_a_loop_that_ended_while_it_waited_harms_nobody(tmp_path):
    store = SqlStore(f"sqlite:///{tmp_path}/store.db", SystemClock())
    make = Samples(ManualClock())
    asyncio.run(store.open())

    async def hand_over_and_leave() -> None:
        waiting = [asyncio.ensure_future(store.record([make.decision()])) for _ in range(50)]
        await asyncio.sleep(0)
        assert not any(each.cancelled() for each in waiting)

    asyncio.run(hand_over_and_leave())

    async def hand_over() -> None:
        await store.record([make.decision()])

    asyncio.run(hand_over())
    assert len(asyncio.run(store.decisions(99))) == 51
    asyncio.run(store.close())


async def test_a_number_too_large_for_its_column_fails_alone(store):
    make = Samples(ManualClock())
    decision = make.decision()
    start, end = make.run(decision)
    huge = replace(end, latency_us=2**70)
    answers = await asyncio.gather(
        store.record([decision, start]), store.record([huge]), store.record([make.decision()]),
        return_exceptions=True,
    )  # fmt: skip
    assert [type(each) for each in answers] == [int, NotWritten, int]
    await store.record([end])
    assert await store.execution(end.id) == end


async def test_a_locked_file_fails_every_job_at_once_and_not_one_after_the_other(tmp_path):
    path = tmp_path / "store.db"
    store = SqlStore(f"sqlite:///{path}", ManualClock(), patience_s=0.1)
    await store.open()
    make = Samples(ManualClock())
    decisions = [make.decision() for _ in range(20)]
    begun = []
    event.listen(store._opened.database.engine, "begin", begun.append)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answers = await asyncio.gather(*(store.record([each]) for each in decisions), return_exceptions=True)
    assert all(isinstance(each, StoreUnavailable) and "locked" in str(each) for each in answers)
    assert len(begun) <= 2
    other.execute("ROLLBACK")
    other.close()
    await asyncio.gather(*(store.record([each]) for each in decisions))
    assert len(await store.decisions(99)) == 20
    await store.close()


async def test_no_caller_waits_longer_than_it_asked_for_and_the_job_is_done_all_the_same(tmp_path):
    path = tmp_path / "store.db"
    store = SqlStore(f"sqlite:///{path}", ManualClock(), patience_s=30)
    await store.open()
    decision = Samples(ManualClock()).decision()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreSilent, match=r"not answered within 0\.05 s") as silence:
        await store.record([decision], within_s=0.05)
    assert not silence.value.patience_over
    other.execute("ROLLBACK")
    other.close()
    await store.record([])
    assert await store.decision(decision.id) == decision
    await store.close()


async def test_a_store_that_hangs_does_not_keep_its_process_from_closing(tmp_path):
    path = tmp_path / "store.db"
    store = SqlStore(f"sqlite:///{path}", ManualClock(), patience_s=0.1)
    await store.open()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = [asyncio.ensure_future(store.record([])) for _ in range(3)]
    async with asyncio.timeout(30):
        await store.close()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(each).__mro__[-4] for each in answers} == {MahavishnuError}
    other.close()


async def test_a_broken_connection_is_made_again(remote):
    store, url = remote
    make = Samples(ManualClock())
    for _ in range(3):
        at_the_server(url, CUT_OFF)
        decision = make.decision()
        await asyncio.gather(store.record([decision]), *(store.record(make.run(decision)) for _ in range(20)))
        at_the_server(url, CUT_OFF)
        assert await store.decision(decision.id) == decision
    assert len(await store.executions(ExecutionQuery(last=None))) == 60


async def test_the_writer_outlives_a_database_that_was_away(remote, monkeypatch):
    store, url = remote
    make = Samples(ManualClock())
    monkeypatch.setattr(store._opened.writer, "_retry_s", 0.2)
    decisions = [make.decision() for _ in range(5)]
    at_the_server(url, KEEP_OUT)
    try:
        at_the_server(url, CUT_OFF)
        answers = await asyncio.gather(*(store.record([each]) for each in decisions), return_exceptions=True)
        assert [type(each) for each in answers] == [StoreUnavailable] * 5
        assert len({id(each) for each in answers}) == 5
        with pytest.raises(StoreUnavailable, match="not currently accepting connections"):
            await store.latest()
    finally:
        at_the_server(url, LET_IN)
    await asyncio.gather(*(store.record([each]) for each in decisions))
    assert len(await store.decisions(99)) == 5


class Odd(BaseException):
    """What no except clause names."""


@pytest.mark.parametrize(
    "raised",
    [AssertionError("a fault"), AttributeError("items"), MemoryError(), SystemExit(3), Odd("odd"), KeyError(1)],
)
async def test_a_job_that_raises_anything_fails_alone(store, raised):
    make = Samples(ManualClock())

    def fault(_transaction: object) -> None:
        raise raised

    decisions = [make.decision() for _ in range(3)]
    answers = await asyncio.gather(
        *(store.record([decision]) for decision in decisions), store._write(fault), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [int, int, int, NotWritten]
    assert len(await store.decisions(99)) == 3
    await store.record([make.decision()])


async def test_the_writer_goes_on_after_a_fault_of_its_own(store, monkeypatch, caplog):
    writer = store._opened.writer
    commit = writer._write

    def broken(batch):
        monkeypatch.setattr(writer, "_write", commit)
        raise LookupError("a fault of our own")

    monkeypatch.setattr(writer, "_write", broken)
    with pytest.raises(NotWritten, match="LookupError"):
        await store.record([Samples(ManualClock()).decision()])
    await store.record([Samples(ManualClock()).decision()])
    assert (writer.failures, writer.last_failure) == (1, "LookupError: a fault of our own")
    assert "the writer failed and goes on" in caplog.text
