"""A clock whose wall time is wrong: by a constant, by a step, or by more and more."""

from __future__ import annotations

import time

from mahavishnu.engine.clock import SystemClock


class SkewedClock(SystemClock):
    """The host's clock, with a wall time that is wrong by as much as was set last. Monotonic time stays right.

    >>> clock = SkewedClock()
    >>> clock.set(offset_s=-60)
    >>> -61 < clock.now_us() / 1e6 - time.time() < -59
    True
    """

    def __init__(self) -> None:
        super().__init__()
        # One tuple, replaced as a whole: it is set by one thread and read by others.
        self._skew = (0.0, 0.0, time.monotonic())

    def set(self, *, offset_s: float = 0.0, drift: float = 0.0) -> None:
        """Be `offset_s` ahead from now on, and gain `drift` seconds with every second that passes."""
        self._skew = (offset_s, drift, time.monotonic())

    def now_us(self) -> int:
        offset_s, drift, since_s = self._skew
        return time.time_ns() // 1000 + round((offset_s + drift * (time.monotonic() - since_s)) * 1e6)
