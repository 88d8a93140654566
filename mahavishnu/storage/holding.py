"""Holding on to a job, so that nobody else begins it while it is on its way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from mahavishnu.errors import RepositoryError
from mahavishnu.ports import Clock, Store

LEASE_S = 60.0
"""How long a run counts as being on its way after its process was last heard of."""


@asynccontextmanager
async def held(store: Store, run_id: str, clock: Clock) -> AsyncIterator[None]:
    """Holds on to a run for as long as it takes."""

    async def hold() -> None:
        held_on = True
        while held_on:
            await clock.sleep(LEASE_S / 4)
            # A store that is away for a moment is asked again before the lease is over.
            with suppress(RepositoryError):
                held_on = await store.extend_job(run_id, LEASE_S)

    holding = asyncio.create_task(hold())
    try:
        yield
    finally:
        holding.cancel()
        with suppress(asyncio.CancelledError):
            await holding
