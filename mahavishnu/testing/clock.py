"""A clock that stands still until it is told to move."""

from __future__ import annotations

import asyncio
from random import Random

from mahavishnu.model.identity import ulid

BEGAN_US = 1_700_000_000_000_000


class ManualClock:
    """Time that only `advance` and `sleep` move, and identifiers that are the same in every run with the same seed.

    >>> clock = ManualClock()
    >>> clock.advance(1.5)
    >>> clock.now_us() - BEGAN_US, clock.monotonic_s()
    (1500000, 1.5)
    >>> first, second = clock.new_id(), clock.new_id()
    >>> first < second, ManualClock(seed=1).new_id() == ManualClock(seed=2).new_id()
    (True, False)
    """

    def __init__(self, *, seed: int = 0) -> None:
        self._passed_us = 0
        # Rising numbers after a drawn one, so that identifiers of one clock sort by age and those of two differ.
        self._last_random = Random(seed).getrandbits(79)

    def advance(self, seconds: float) -> None:
        self._passed_us += round(seconds * 1e6)

    def now_us(self) -> int:
        return BEGAN_US + self._passed_us

    def monotonic_s(self) -> float:
        return self._passed_us / 1e6

    async def sleep(self, seconds: float) -> None:
        """Takes no time, and lets everybody else have their turn."""
        self.advance(seconds)
        await asyncio.sleep(0)

    def new_id(self) -> str:
        self._last_random += 1
        return ulid(self.now_us() // 1000, self._last_random)
