"""What stands where a store is to be restored, and setting it aside."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, inspect, select

from mahavishnu.ports import Clock
from mahavishnu.storage.backup.detaching import living
from mahavishnu.storage.backup.moment import link
from mahavishnu.storage.lake.folder import Folder
from mahavishnu.storage.sql.connection import schema
from mahavishnu.storage.sql.connection.tables import counter, lake_parts, marks, metadata, processes

_NUMBER = select(marks.c.position).where(marks.c.name == "store")
_OF_EVERY_STORE = {table.name for table in (counter, marks, processes)}


@dataclass(frozen=True, slots=True)
class Contents:
    """`schema` is "none" where there is no store; `empty` where nothing was ever recorded in it.

    `number` tells the store from every other; None where there is none.
    """

    schema: str
    empty: bool
    number: int | None = None
    users: Sequence[str] = ()
    parts: Sequence[str] = ()


def contents_of(connection: Connection, clock: Clock) -> Contents:
    found = schema.revision(connection)
    if found == schema.NONE:
        return Contents(found, empty=True)
    there = set(inspect(connection).get_table_names()) & set(metadata.tables)
    parts = sorted(connection.execute(select(lake_parts.c.name)).scalars()) if lake_parts.name in there else []
    number = connection.execute(_NUMBER).scalar() if marks.name in there else None
    empty = _is_empty(connection, there)
    return Contents(found, empty=empty, number=number, users=living(connection, clock), parts=parts)


def link_lake(lake: Folder, parts: Sequence[str], into: Path) -> None:
    """Give the parts of the store that goes aside a folder of their own; those that are missing stay missing."""
    for part in parts:
        if not link(lake.root / part, into / part):
            shutil.rmtree(into / part, ignore_errors=True)


def _is_empty(connection: Connection, there: set[str]) -> bool:
    if connection.execute(select(counter.c.value)).scalar():
        return False
    names = sorted(there - _OF_EVERY_STORE)
    return not any(connection.exec_driver_sql(f'SELECT 1 FROM "{name}" LIMIT 1').first() for name in names)  # noqa: S608
