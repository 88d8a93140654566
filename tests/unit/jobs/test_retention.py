"""Retention takes every step that is due, and leaves every number as it was."""

from mahavishnu.jobs.retention import retain
from mahavishnu.jobs.scores import fold_all
from mahavishnu.model import DAY_US
from mahavishnu.settings import LakeSettings, Settings
from mahavishnu.storage import Memory, MemoryStore, SqlStore
from mahavishnu.testing.clock import ManualClock
from tests.history import executions


async def test_days_that_are_over_move_and_those_that_are_too_old_go(tmp_path):
    clock = ManualClock()
    today = clock.now_us() // DAY_US
    settings = Settings(lake=LakeSettings(raw_days=9))
    store = SqlStore(f"sqlite:///{tmp_path}/store.db", clock)
    await store.open()
    try:
        await store.record(list(executions(200, today - 14, 15)))
        await fold_all(store)
        _, before = await store.dailies()
        done = await retain(store, clock, settings)
        assert {each.what for each in done} == {"moved into the lake", "left as sums"}
        assert sum(each.what == "moved into the lake" for each in done) == 12
        assert list((await store.dailies())[1]) == list(before) == list((await store.recomputed())[1])
        assert list(await retain(store, clock, settings)) == []
        # Beside the file, where nothing else was said.
        assert len(list((tmp_path / "store-lake").iterdir())) == 12
        clock.advance(400 * 24 * 3600)
        assert {each.what for each in await retain(store, clock, settings)} == {"moved into the lake", "forgotten"}
        assert list((await store.dailies())[1]) == [] == list((await store.recomputed())[1])
    finally:
        await store.close()


async def test_a_store_in_memory_has_nothing_to_tidy_up():
    clock = ManualClock()
    store = MemoryStore(clock, Memory())
    await store.open()
    await store.record(list(executions(20, 0, 10)))
    assert list(await retain(store, clock, Settings())) == []
    await store.close()
