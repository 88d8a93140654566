"""A process that is killed: what it was answered for stays, what it had begun is lost, and nothing is broken."""

import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from mahavishnu.engine.clock import SystemClock
from mahavishnu.model import Status
from mahavishnu.ports import ExecutionQuery
from mahavishnu.storage import SqlStore

RECORDER = Path(__file__).with_name("recorder.py")


def kill_while_recording(url: str, lines: int) -> tuple[set[str], set[str]]:
    """What a process said it had started and ended until it was killed, after so many lines."""
    said: list[list[str]] = []
    with subprocess.Popen([sys.executable, RECORDER, url, "0"], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            said.append(line.split())
            if len(said) == lines:
                child.kill()
    whole = [words for words in said if len(words) == 2 and len(words[1]) == 26]
    return {id_ for word, id_ in whole if word == "started"}, {id_ for word, id_ in whole if word == "ended"}


async def check_what_is_left(url: str, started: set[str], ended: set[str]) -> None:
    store = SqlStore(url, SystemClock())
    await store.open()
    try:
        lost = {each.id: each for each in await store.reap()}
        kept = {each.id: each for each in await store.executions(ExecutionQuery(last=None))}
        assert {id_ for id_ in ended if kept[id_].status is Status.SUCCEEDED} == ended
        assert started <= set(kept)
        assert not any(each.status is Status.RUNNING for each in kept.values())
        assert {id_ for id_, each in kept.items() if each.status is Status.LOST} >= set(lost)
        # What had started and never said that it ended is lost, or had ended just before it could say so.
        assert all(kept[id_].status in (Status.LOST, Status.SUCCEEDED) for id_ in started - ended)
        evidence = [fact.id async for _, fact in store.facts(0)]
        assert sorted(evidence) == sorted(kept)
    finally:
        await store.close()


@pytest.mark.parametrize("seed", range(8))
async def test_a_killed_process_loses_nothing_that_it_was_answered_for(tmp_path, seed):
    path = tmp_path / "store.db"
    url = f"sqlite:///{path}"
    lines = random.Random(seed).randint(2, 300)
    started, ended = kill_while_recording(url, lines)
    await check_what_is_left(url, started, ended)
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()


async def test_a_killed_process_leaves_postgresql_as_it_was_answered_for(postgres):
    url = postgres()
    everything: tuple[set[str], set[str]] = (set(), set())
    for lines in (40, 171):
        for kept, said in zip(everything, kill_while_recording(url, lines), strict=True):
            kept.update(said)
    await check_what_is_left(url, *everything)


async def test_what_a_killed_process_had_begun_is_lost_at_once_and_names_it(tmp_path):
    url = f"sqlite:///{tmp_path}/store.db"
    started, ended = kill_while_recording(url, 2)
    store = SqlStore(url, SystemClock())
    await store.open()
    try:
        lost = await store.reap()
        assert {each.id for each in lost} >= started - ended
        assert lost
        assert all("the process that ran it (pid " in (each.error or "") for each in lost)
        assert (await store.info()).rows["processes"] == 1
    finally:
        await store.close()
