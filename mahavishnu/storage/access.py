"""An open database, as every room of the storage uses it: written by one thread, read by a few others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection

from mahavishnu.storage.database import Database
from mahavishnu.storage.presence import Lease
from mahavishnu.storage.writer import Work, Writer

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Access:
    """Nothing here keeps the event loop waiting."""

    database: Database
    writer: Writer
    lease: Lease
    readers: ThreadPoolExecutor

    def write(self, work: Work[T], *, facts: int = 0) -> asyncio.Future[T]:
        return self.writer.submit(work, facts=facts)

    async def read(self, query: Callable[[Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.readers, self.database.read, query)

    async def run(self, work: Callable[[], T]) -> T:
        """Work that needs a thread, but no connection."""
        return await asyncio.get_running_loop().run_in_executor(self.readers, work)

    def shut(self) -> None:
        """Write what is waiting, and let go. Blocks."""
        self.writer.stop()
        self.readers.shutdown(wait=True)
        self.database.close()
