"""Time and identity, as a contract."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Time and identity, so that both can be held still in a test."""

    def now_us(self) -> int:
        """UTC, in microseconds since 1970."""
        ...

    def monotonic_s(self) -> float:
        """Seconds that never go back, for measuring and for deadlines."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    def new_id(self) -> str:
        """A ULID; later ones of one process sort after earlier ones."""
        ...
