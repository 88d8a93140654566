"""An engine over a memory store."""

from contextlib import asynccontextmanager

import pytest

from mahavishnu.engine.clock import SystemClock
from mahavishnu.engine.orchestrator import UnifiedOrchestrator
from mahavishnu.policies.preference import Preference
from mahavishnu.policies.statistical import Statistical
from mahavishnu.settings import load_settings
from mahavishnu.storage import open_store

SETTINGS = {
    "routing": {"policy": "preference", "refresh_s": 0.05},
    "attempts": {"timeout_ms": 5000, "deadline_ms": 5000, "retries": 2, "backoff_ms": 1},
    "breaker": {"consecutive_failures": 3, "window": 20, "open_ms": 150},
}


@pytest.fixture
def engine():
    """engine(adapter, **settings) → an async context manager that gives (orchestrator, store)."""

    @asynccontextmanager
    async def start(adapter, store=None, **tables):
        clock = SystemClock()
        merged = {name: {**SETTINGS.get(name, {}), **tables.get(name, {})} for name in {*SETTINGS, *tables}}
        settings = load_settings(None, {}, merged)
        own = store is None
        store = store or open_store("memory:", clock)
        if own:
            await store.open()
        policies = {"preference": Preference(), "statistical": Statistical(min_samples=10, exploration=0.0)}
        orchestrator = UnifiedOrchestrator(
            store, {adapter.name: adapter}, {}, policies, Statistical(min_samples=10), clock, settings
        )
        async with orchestrator:
            yield orchestrator, store
        if own:
            await store.close()

    return start
