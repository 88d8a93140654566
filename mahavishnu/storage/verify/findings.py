"""What a check looks at, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from mahavishnu.storage.backup.moment import Moment
from mahavishnu.storage.sql.connection.database import Database
from mahavishnu.storage.sql.lake_manifest import Part

SHOWN = 5
"""How many of the things that are wrong a check names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A store at one moment. Days before `first_day` are past their retention: whether they are there is open."""

    database: Database
    moment: Moment
    parts: Sequence[Part]
    store: int
    first_day: int

    @property
    def connection(self) -> Connection:
        return self.moment.connection


@dataclass(slots=True)
class Finding:
    """Counts what was compared and what is wrong with it, and keeps the first few of the latter."""

    looked_at: int = 0
    failures: int = 0
    examples: list[str] = field(default_factory=list)

    def fail(self, example: str) -> None:
        self.failures += 1
        if len(self.examples) < SHOWN:
            self.examples.append(example)


Look = Callable[[Subject, Finding], None]
