"""Whoever folds or tidies up may be killed anywhere, or not be alone: nothing is lost, and nothing doubled."""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mahavishnu.model import Status, day_of
from tests.history import executions
from tests.integration.lake_keeper import FOLDING, PLACES
from tests.integration.lakes import KEEPING, TODAY, check_days, opened, publish, record, tidy


@pytest.fixture
async def store(tmp_path):
    opened_store = await opened(tmp_path)
    yield opened_store
    await opened_store.close()


async def killed(tmp_path: Path, url: str, place: str, call: int) -> bool:
    """Tidy up in another process that kills itself when it has come to a place so often; whether it came there."""
    command = [sys.executable, "-m", "tests.integration.lake_keeper"]
    arguments = [url, str(tmp_path / "lake"), str(TODAY), "4", place, str(call)]
    child = await asyncio.to_thread(subprocess.run, [*command, *arguments], check=False)
    assert child.returncode in (-9, 0)
    return child.returncode == -9


async def check_every_place(tmp_path: Path, url: str, calls: Sequence[int]) -> None:
    runs = list(executions(1000, TODAY - 7, 8, seed=1))
    special = [run for run in runs if run.status is not Status.SUCCEEDED or run.fallback]
    store = await opened(tmp_path, url)
    await record(store, runs)
    expected = await publish(store)
    await store.close()
    died = 0
    for call in calls:
        for place in PLACES:
            died += await killed(tmp_path, url, place, call)
            store = await opened(tmp_path, url)
            await check_days(store, expected)
            await store.close()
    assert died >= len(PLACES)
    store = await opened(tmp_path, url)
    await tidy(store, replace(KEEPING, raw_days=4))
    await check_days(store, expected)
    hot = sum(TODAY - day_of(run.started_at_us) < 2 for run in runs)
    assert (await store.info()).rows["executions"] == hot
    for run in special[::9]:
        recent = TODAY - day_of(run.started_at_us) <= 4
        assert await store.execution(run.id) == (run if recent else None)
    await store.close()


async def test_killed_anywhere_nothing_is_lost_and_nothing_doubled(tmp_path):
    await check_every_place(tmp_path, f"sqlite:///{tmp_path}/store.db", (1, 2))


async def test_killed_anywhere_postgresql_keeps_every_count(tmp_path, postgres):
    await check_every_place(tmp_path, postgres(), (1,))


async def test_killed_while_folding_every_fact_is_still_counted_once(tmp_path, store):
    runs = list(executions(1000, TODAY - 7, 8, seed=16))
    await record(store, runs)
    url = f"sqlite:///{tmp_path}/store.db"
    for place in FOLDING:
        for call in (1, 3):
            assert await killed(tmp_path, url, place, call)
    assert 0 < (await store.dailies())[0] < await store.newest()
    expected = await publish(store)
    assert sum(each.card.spent_micros for each in expected) == sum(run.cost_micros for run in runs)
    await check_days(store, expected)


async def test_two_that_tidy_up_at_once_are_as_good_as_one(tmp_path, store):
    await record(store, executions(800, TODAY - 7, 8, seed=2))
    expected = await publish(store)
    other = await opened(tmp_path)
    try:
        await asyncio.gather(tidy(store), tidy(other), tidy(store))
        await check_days(other, expected)
    finally:
        await other.close()


async def test_what_is_recorded_while_days_move_is_counted(store):
    runs = list(executions(2000, TODAY - 7, 8, seed=3))
    await record(store, runs[:1500])
    await publish(store)

    async def late() -> None:
        for first in range(1500, 2000, 50):
            await store.record([*runs[first : first + 50], *runs[first - 1500 : first - 1450]])

    await asyncio.gather(tidy(store), late())
    expected = await publish(store)
    assert sum(each.card.spent_micros for each in expected) == sum(run.cost_micros for run in runs)
    await check_days(store, expected)
    await tidy(store)
    await check_days(store, expected)
