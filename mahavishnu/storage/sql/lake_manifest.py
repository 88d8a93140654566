"""Which files the lake is made of: rows in the database, changed in one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from mahavishnu.storage.sql.connection.tables import lake_parts
from mahavishnu.storage.sql.connection.transaction import Transaction

_ALL = select(lake_parts).order_by(lake_parts.c.day, lake_parts.c.name)
_ADD = insert(lake_parts)
_DROP = delete(lake_parts).where(lake_parts.c.name == bindparam("name_"))
_EMPTIED = update(lake_parts).where(lake_parts.c.name == bindparam("name_"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One folder of Parquet files. See `tables.lake_parts` for what each word means."""

    name: str
    day: int
    upto: int
    stays: frozenset[str] = frozenset()
    emptied: bool = False
    raw: bool = True


class Shadow:
    """What still stands in the tables although it is in the lake: the parts that have not been emptied."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self._by_day = {part.day: part for part in parts if not part.emptied}

    def covers(self, position: int, day: int, decision_id: str) -> bool:
        part = self._by_day.get(day)
        return part is not None and position <= part.upto and decision_id not in part.stays


def all_parts(connection: Connection) -> list[Part]:
    return [_part_of(row) for row in connection.execute(_ALL)]


def parts_in(transaction: Transaction) -> list[Part]:
    return [_part_of(row) for row in transaction.find(_ALL)]


def swap(transaction: Transaction, before: Sequence[Part], gone: Sequence[Part], new: Sequence[Part]) -> bool:
    """Put new parts in the place of others; not, if the parts are no longer those of `before`.

    So two that tidy up at once can neither move a day twice nor drop what the other has just made.
    """
    if {part.name for part in parts_in(transaction)} != {part.name for part in before}:
        return False
    transaction.change_many(_DROP, [{"name_": part.name} for part in gone])
    transaction.change_many(
        _ADD,
        [
            {
                "name": part.name,
                "day": part.day,
                "upto": part.upto,
                "stays": json.dumps(sorted(part.stays)),
                "emptied": int(part.emptied),
                "raw": int(part.raw),
            }
            for part in new
        ],
    )
    return True


def mark_emptied(transaction: Transaction, part: Part) -> None:
    transaction.change(_EMPTIED, {"name_": part.name, "emptied": 1, "stays": "[]"})


def _part_of(row: Row[Any]) -> Part:
    return Part(
        name=row.name,
        day=row.day,
        upto=row.upto,
        stays=frozenset(json.loads(row.stays)),
        emptied=bool(row.emptied),
        raw=bool(row.raw),
    )
