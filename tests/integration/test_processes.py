"""Four processes at once on one store: nothing is lost, doubled or mixed up."""

import asyncio
import sys
from collections import Counter
from pathlib import Path

import pytest

from mahavishnu.engine.clock import SystemClock
from mahavishnu.model import Execution
from mahavishnu.ports import ExecutionQuery
from mahavishnu.storage import SqlStore

RECORDER = Path(__file__).with_name("recorder.py")
PROCESSES = 4
RUNS = 300


async def record_in_another_process(url: str) -> list[list[str]]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(RECORDER), url, str(RUNS), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await child.communicate()
    assert child.returncode == 0, err.decode()
    return [line.split() for line in out.decode().splitlines()]


async def poll(store: SqlStore, done: asyncio.Event) -> list[str]:
    """Every piece of evidence, read bit by bit while it is being written."""
    seen: list[str] = []
    cursor = 0
    last_look = False
    while not last_look:
        last_look = done.is_set()
        async for position, fact in store.facts(cursor):
            assert position > cursor
            cursor = position
            seen.append(fact.id if isinstance(fact, Execution) else fact.outcome_id)
        await asyncio.sleep(0)
    return seen


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_four_processes_write_one_store(kind, tmp_path, request):
    url = f"sqlite:///{tmp_path}/store.db" if kind == "sqlite" else request.getfixturevalue("postgres")()
    children = [asyncio.create_task(record_in_another_process(url)) for _ in range(PROCESSES)]
    store = SqlStore(url, SystemClock())
    await store.open()
    try:
        done = asyncio.Event()
        polling = asyncio.create_task(poll(store, done))
        said = await asyncio.gather(*children)
        done.set()
        seen = await polling
        ended = {words[1]: (process[0][1], words[2]) for process in said for words in process if words[0] == "ended"}
        learnt = [words[1] for process in said for words in process if words[0] == "learnt"]
        won = Counter(words[1] for process in said for words in process if words[0] == "won")
        assert len(ended) == PROCESSES * RUNS
        kept = await store.executions(ExecutionQuery(last=None))
        assert {each.id: (each.process_id, each.decision_id) for each in kept} == ended
        assert len(kept) == len(ended)
        assert Counter(seen) == Counter([*ended, *learnt])
        assert won == {f"key-{number}": 1 for number in range(50)}
        assert list(await store.reap()) == []
    finally:
        await store.close()
