"""Reading rows one by one, so that a row that this version cannot read keeps no other from being read."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TypeVar

from mahavishnu.errors import MahavishnuError, RecordUnreadable
from mahavishnu.model.unreadable import Rows, Unreadable
from mahavishnu.storage.sql.facts.fact_rows import unescaped

log = logging.getLogger("mahavishnu.storage")

R = TypeVar("R")
T = TypeVar("T")

CANNOT_BE_READ = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    MahavishnuError,
)
"""What comes of a row that was written by a newer version, or by hand."""

_LONGEST = 200


def problem_of(error: Exception) -> str:
    """What is wrong with a row, in a clause.

    >>> problem_of(KeyError("zone")), problem_of(TypeError("Budget.__init__() got an unexpected keyword argument 'x'"))
    ('it lacks the field "zone"', 'it has the unknown field "x"')
    """
    match error:
        case json.JSONDecodeError():
            return "it is not JSON"
        case KeyError():
            return f'it lacks the field "{error.args[0] if error.args else ""}"'[:_LONGEST]
    text = " ".join(str(error).split())
    _, unknown, field = text.partition("unexpected keyword argument ")
    if unknown:
        return f'it has the unknown field "{field.strip(chr(39))}"'[:_LONGEST]
    return text[:_LONGEST].rstrip(".") or type(error).__name__


def shown(text: str) -> str:
    """A name as it was before it was escaped; as it stands where that cannot be said."""
    try:
        return unescaped(text)
    except CANNOT_BE_READ:
        return text


def read_each(kind: str, rows: Iterable[R], name_of: Callable[[R], str], read: Callable[[R], T]) -> Rows[T]:
    """What could be read, in its order; `name_of` has to work for whatever stands there."""
    known: Rows[T] = Rows()
    unreadable: list[Unreadable] = []
    for row in rows:
        try:
            known.append(read(row))
        except CANNOT_BE_READ as error:
            unreadable.append(Unreadable(kind, name_of(row), problem_of(error)))
    known.unreadable = tuple(unreadable)
    return known


def read_or_none(kind: str, name: str, read: Callable[[], T | None]) -> T | None:
    """For rows of a stream that is read over and over: what is left out goes to the log, once for each row."""
    try:
        return read()
    except CANNOT_BE_READ as error:
        say_once(Unreadable(kind, name, problem_of(error)))
        return None


@lru_cache(maxsize=10_000)
def say_once(row: Unreadable) -> None:
    """For the log of this process."""
    log.error("%s; it is left out of the evidence", row)


def read_one(kind: str, name: str, read: Callable[[], T]) -> T:
    """Raises RecordUnreadable."""
    try:
        return read()
    except CANNOT_BE_READ as error:
        row = Unreadable(kind, name, problem_of(error))
        raise RecordUnreadable(what=f"{kind} {name}", problem=row.problem, mend=row.mend) from error
