"""The columns that tables are made of."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, SmallInteger, Text

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
