"""Places to open stores on: in memory, in an SQLite file, in a PostgreSQL database."""

from collections.abc import Awaitable, Callable

import pytest

from mahavishnu.ports import Store
from mahavishnu.storage import Memory, MemoryStore, SqlStore
from mahavishnu.testing.clock import ManualClock

KINDS = ("memory", "sqlite", pytest.param("postgres", marks=pytest.mark.server))


@pytest.fixture(params=KINDS)
def store_opener(request, tmp_path) -> Callable[[], Awaitable[Store]]:
    """Opens stores on one place, empty at first."""
    clock = ManualClock()
    if request.param == "memory":
        memory = Memory()
        make = lambda: MemoryStore(clock, memory)  # noqa: E731
    elif request.param == "sqlite":
        make = lambda: SqlStore(f"sqlite:///{tmp_path}/store.db", clock)  # noqa: E731
    else:
        url = request.getfixturevalue("postgres")()
        make = lambda: SqlStore(url, clock, lake=str(tmp_path / "lake"))  # noqa: E731

    async def opener() -> Store:
        store = make()
        await store.open()
        return store

    return opener
