"""The real clock, and the identifiers that come from it."""

from __future__ import annotations

import asyncio
import os
import threading
import time

from mahavishnu.model.identity import ulid


class SystemClock:
    """The host's time. Identifiers rise within a process even when the wall clock steps back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_ms = 0
        self._last_random = 0

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def new_id(self) -> str:
        with self._lock:
            now_ms = self.now_us() // 1000
            if now_ms > self._last_ms:
                self._last_ms = now_ms
                # The top bit stays clear, so that a million identifiers in one millisecond cannot overflow.
                self._last_random = int.from_bytes(os.urandom(10)) >> 1
            else:
                self._last_random += 1
            return ulid(self._last_ms, self._last_random)
