"""The columns that tables are made of."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, ColumnElement, Integer, SmallInteger, Text

from mahavishnu.ports import Between

# SQLite makes a primary key the row's own number only where it is declared INTEGER, to the letter.
_POSITION = BigInteger().with_variant(Integer(), "sqlite")


def position(name: str = "position") -> Column[int]:
    return Column(name, _POSITION, primary_key=True, autoincrement=False)


def key(name: str) -> Column[str]:
    return Column(name, Text, primary_key=True)


def text(name: str, *, unique: bool = False) -> Column[str]:
    return Column(name, Text, nullable=False, unique=unique)


def maybe_text(name: str) -> Column[str]:
    return Column(name, Text)


def whole(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def maybe_whole(name: str) -> Column[int]:
    return Column(name, BigInteger)


def flag(name: str) -> Column[int]:
    return Column(name, SmallInteger, nullable=False)


def between(column: ColumnElement[Any], within: Between) -> list[ColumnElement[bool]]:
    """The conditions under which a time lies within a stretch of time."""
    conditions = [] if within.since_us is None else [column >= within.since_us]
    return conditions if within.until_us is None else [*conditions, column < within.until_us]
