"""Places: how many runs of one target may be under way at once."""

from __future__ import annotations

import asyncio


class Places:
    """Held while a run is under way; who finds them all taken waits in line, for so long as there is time."""

    def __init__(self, most: int | None) -> None:
        self._free = None if most is None else asyncio.Semaphore(most)

    async def take(self, within_s: float) -> bool:
        """Whether a place came free in time."""
        if self._free is None:
            return True
        try:
            async with asyncio.timeout(within_s):
                return await self._free.acquire()
        except TimeoutError:
            return False

    def give_back(self) -> None:
        if self._free is not None:
            self._free.release()
