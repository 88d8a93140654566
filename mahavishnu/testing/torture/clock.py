"""A clock whose wall time is wrong: by a constant, by a step, or by more and more."""

from __future__ import annotations

import asyncio
import os
import threading
import time

from mahavishnu.model.identity import ulid


class SkewedClock:
    """The host's clock, with a wall time that is wrong by as much as was set last. Monotonic time stays right.

    >>> clock = SkewedClock()
    >>> clock.set(offset_s=-60)
    >>> -61 < clock.now_us() / 1e6 - time.time() < -59
    True
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_ms = 0
        self._last_random = 0
        # One tuple, replaced as a whole: it is set by one thread and read by others.
        self._skew = (0.0, 0.0, time.monotonic())

    def set(self, *, offset_s: float = 0.0, drift: float = 0.0) -> None:
        """Be `offset_s` ahead from now on, and gain `drift` seconds with every second that passes."""
        self._skew = (offset_s, drift, time.monotonic())

    def now_us(self) -> int:
        offset_s, drift, since_s = self._skew
        return time.time_ns() // 1000 + round((offset_s + drift * (time.monotonic() - since_s)) * 1e6)

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def new_id(self) -> str:
        with self._lock:
            now_ms = self.now_us() // 1000
            if now_ms > self._last_ms:
                self._last_ms = now_ms
                # The top bit stays clear, so that the number can be counted up without an overflow.
                self._last_random = int.from_bytes(os.urandom(10)) >> 1
            else:
                self._last_random += 1
            return ulid(self._last_ms, self._last_random)
