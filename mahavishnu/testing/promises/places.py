"""Where a promise is tried: one place, on which stores are opened."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from mahavishnu.model import Execution, Revision
from mahavishnu.ports import Evidence, ExecutionQuery, Store
from mahavishnu.testing.clock import ManualClock
from mahavishnu.testing.samples import Samples

E = TypeVar("E", bound=Exception)

Opener = Callable[[], Awaitable[Store]]
"""Opens a store; called again, a second one on the same place, as another process would."""

Promise = Callable[[Opener], Awaitable[None]]

ALL = ExecutionQuery(last=None)


@asynccontextmanager
async def opened(opener: Opener) -> AsyncIterator[Store]:
    store = await opener()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def two(opener: Opener) -> AsyncIterator[tuple[Store, Store]]:
    async with opened(opener) as one, opened(opener) as other:
        yield one, other


def samples() -> Samples:
    return Samples(ManualClock(seed=7))


async def evidence(store: Store, since: int = 0, upto: int | None = None) -> list[tuple[int, Evidence]]:
    return [each async for each in store.facts(since, upto)]


def id_of(found: Evidence) -> str:
    return found.id if isinstance(found, Execution) else found.outcome_id


async def revisions(store: Store) -> list[tuple[int, int, int, int]]:
    """Samples, successes, quality samples and quality of every revision."""
    return [
        (each.samples, each.successes, each.quality_samples, each.quality_ppm)
        for _, each in await evidence(store)
        if isinstance(each, Revision)
    ]


async def raised(kind: type[E], waiting: Awaitable[object]) -> E:
    try:
        await waiting
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} should have been raised")
