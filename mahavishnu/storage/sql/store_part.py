"""What every part of the store in a database is made of: a way to write, and a way to read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy import Connection

from mahavishnu.ports import Clock
from mahavishnu.storage.sql.connection.writer import Work

T = TypeVar("T")


class SqlPart(ABC):
    """`within_s` is how long the caller waits; without it, for the store's patience."""

    _clock: Clock

    @abstractmethod
    def _write(self, work: Work[T], *, facts: int = 0, within_s: float | None = None) -> Awaitable[T]: ...

    @abstractmethod
    async def _read(self, query: Callable[[Connection], T], *, within_s: float | None = None) -> T: ...
