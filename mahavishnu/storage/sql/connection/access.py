"""An open database, as every room of the storage uses it: written by one thread, read by a few others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from mahavishnu.storage.sql.connection.database import Database
from mahavishnu.storage.sql.connection.readers import Readers
from mahavishnu.storage.sql.connection.waiting import FOREVER
from mahavishnu.storage.sql.connection.writer import Work, Writer, silent
from mahavishnu.storage.sql.coordination.presence import Lease

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Access:
    """Nothing here keeps the event loop waiting, and no caller waits longer than `patience_s` unless it asks to."""

    database: Database
    writer: Writer
    lease: Lease
    readers: Readers
    patience_s: float

    def write(self, work: Work[T], *, facts: int = 0, within_s: float | None = None) -> asyncio.Future[T]:
        """`within_s` can shorten the wait, not lengthen it, except for `FOREVER`."""
        seconds = self._seconds(within_s)
        return self.writer.submit(work, facts=facts, within_s=seconds)

    async def read(self, query: Callable[[Connection], T], *, within_s: float | None = None) -> T:
        return await self.run(partial(self.database.read, query), within_s=within_s)

    async def run(self, work: Callable[[], T], *, within_s: float | None = None) -> T:
        """Work that needs a thread, but no connection."""
        seconds = self._seconds(within_s)
        return await self.readers.ask(work, seconds, partial(silent, self.database.address, seconds, self.patience_s))

    def shut(self) -> None:
        """Write what is waiting, and let go. Blocks, but for no longer than the patience where the store hangs."""
        ended = self.writer.stop(self.patience_s)
        self.readers.stop(self.patience_s if ended else 0.0)
        if ended:
            self.database.close()

    def _seconds(self, within_s: float | None) -> float:
        if within_s is None:
            return self.patience_s
        return within_s if within_s == FOREVER else min(within_s, self.patience_s)
