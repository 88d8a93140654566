"""Values: what a field of a noun may hold. Each check returns the value as it is kept, or raises Wrong.

What is kept can be written to every store and is read back equal: plain text, numbers and JSON, no subclass of them.
A check looks at the type itself and never at `__class__`, which an object may claim as it likes.
"""

from __future__ import annotations

import json
import math
import reprlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from itertools import islice
from typing import Any, TypeVar, cast

from mahavishnu.errors import Contained, InputError
from mahavishnu.model.money import MOST_USD, dollars

Check = Callable[[Any], Any]
Kind = TypeVar("Kind")
Word = TypeVar("Word", bound=StrEnum)

MOST = 2**63 - 1
"""The largest whole number that a database column holds."""

DEEPEST = 100
"""How many lists and dicts may stand within one another: far from where Python's own recursion ends."""

_LARGEST = int(sys.float_info.max)

MOST_NAMES = 10_000

SHOWN = 80
"""How many characters of a wrong value an error shows."""

ANYWAY = object()
"""For a field without a default: it is always checked."""


class Wrong(ValueError):
    """What is wrong with a value, as the end of a sentence that begins with the name of its `field`."""

    field = ""


def settle(
    noun: object, checks: Sequence[tuple[str, object, Check]], invalid: Callable[[str, str], InputError]
) -> None:
    """Check the fields of a frozen noun and keep what each check returns; a default is taken for sound.

    `invalid` makes the error of the noun from the name of a field and what is wrong with it.
    """
    try:
        changes = settled(noun, checks)
    except Wrong as wrong:
        raise invalid(wrong.field, str(wrong)) from None
    for name, kept in changes.items():
        object.__setattr__(noun, name, kept)


def settled(noun: object, checks: Sequence[tuple[str, object, Check]]) -> dict[str, Any]:
    """The fields that must be kept as something else than they are. Raises Wrong, which names the field."""
    changes = {}
    for name, default, check in checks:
        given = getattr(noun, name)
        if given is default:
            continue
        try:
            kept = check(given)
        except Wrong as wrong:
            wrong.field = name
            raise
        if kept is not given:
            changes[name] = kept
    return changes


def shown(value: object) -> str:
    """What was given, in at most 80 characters, whatever its own `repr` does.

    >>> shown(["search"]), shown(10**5000)
    ("['search']", 'a value of type int')
    """
    with Contained():
        return f"{_short.repr(value):.{SHOWN}}"
    return f"a value of type {type(value).__name__:.60}"


_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = SHOWN


def text(given: object) -> str:
    """Any text. Halves of a surrogate pair that stand side by side become the character that they mean.

    >>> text("a b"), text(chr(0xD83D) + chr(0xDE00)) == chr(0x1F600)
    ('a b', True)
    """
    if type(given) is not str:
        if not issubclass(type(given), str):
            raise Wrong(f"must be text, not {shown(given)}")
        given = str.__str__(cast("str", given))
    if given.isascii():
        return given
    try:
        given.encode()
    except UnicodeEncodeError:
        return cast("str", json.loads(json.dumps(given)))
    return given


def identifier(given: object) -> str:
    """An id as this software makes them, or one of the caller's: it stands in a database as it is."""
    kept = text(given)
    if not (0 < len(kept) <= 200 and kept.isprintable()):
        raise Wrong(f"must have 1 to 200 printable characters, not {shown(kept)}")
    return kept


def flag(given: object) -> bool:
    if type(given) is not bool:
        raise Wrong(f"must be True or False, not {shown(given)}")
    return given


def whole(least: int = 0, most: int = MOST) -> Callable[[object], int]:
    """A check for whole numbers from `least` to `most`."""

    words = f"must be a whole number from {least} to {'2**63 - 1' if most == MOST else most}"

    def check(given: object) -> int:
        kind = type(given)
        if kind is bool or not issubclass(kind, int) or not least <= int.__int__(cast("int", given)) <= most:
            raise Wrong(f"{words}, not {shown(given)}")
        return int.__int__(cast("int", given))

    return check


def number(least: float = 0.0, most: float = math.inf) -> Callable[[object], float]:
    """A check for finite numbers from `least` to `most`."""
    words = f"must lie between {least:g} and {most:g}" if most < math.inf else "must be a finite number"

    def check(given: object) -> float:
        kept = _plain_number(given)
        # Compared as it is: a NaN lies nowhere, and a whole number may be too large for a float.
        if kept is None or not least <= kept <= most or kept in (math.inf, -math.inf) or abs(kept) > _LARGEST:
            raise Wrong(f"{words}, not {shown(given)}")
        return kept

    return check


share = number(0, 1)
quantity = number(-math.inf)


def _plain_number(given: object) -> float | None:
    kind = type(given)
    if kind is float or kind is int:
        return cast("float", given)
    if kind is bool:
        return None
    if issubclass(kind, float):
        return float.__float__(cast("float", given))
    if issubclass(kind, int):
        return int.__int__(cast("int", given))
    return None


def amount(given: object) -> Decimal:
    """Dollars. A float is taken at its word: 0.1 means ten cents."""
    kind = type(given)
    if kind is bool or not issubclass(kind, Decimal | int | float | str):
        raise Wrong(f"is not an amount of dollars: {shown(given)}; give a Decimal, a whole number or text")
    try:
        return dollars(repr(float.__float__(given)) if issubclass(kind, float) else given)  # type: ignore[arg-type]
    except ValueError as problem:
        raise Wrong(f"{problem}; give dollars from 0 to {MOST_USD}") from None


def member(words: type[Word]) -> Callable[[object], Word]:
    """A check for one of a fixed set of words, which may be given as text."""

    def check(given: object) -> Word:
        if type(given) is words:
            return given
        kept = text(given) if issubclass(type(given), str) else None
        for word in words:
            if word.value == kept:
                return word
        raise Wrong(f"must be one of {', '.join(words)}, not {shown(given)}")

    return check


def of_kind(kind: type[Kind], such_as: str) -> Callable[[object], Kind]:
    """A check for another noun."""

    def check(given: object) -> Kind:
        if not issubclass(type(given), kind):
            raise Wrong(f"must be {such_as}, not {shown(given)}")
        return cast("Kind", given)

    return check


def maybe(check: Callable[[object], Kind]) -> Callable[[object], Kind | None]:
    """A check that lets None through."""
    return lambda given: None if given is None else check(given)


def listed(check: Callable[[object], Kind], such_as: str) -> Callable[[object], tuple[Kind, ...]]:
    """A check for a list of values, kept as a tuple; one text is no list of its letters."""

    def check_all(given: object) -> tuple[Kind, ...]:
        try:
            return tuple([check(item) for item in _items(given)])
        except Wrong as wrong:
            raise Wrong(f"must be {such_as}, not {shown(given)}: an entry {wrong}") from None

    def check_list(given: object) -> tuple[Kind, ...]:
        if type(given) is tuple and not given:
            return given
        if issubclass(type(given), str | bytes | bytearray | Mapping) or not issubclass(type(given), Iterable):
            raise Wrong(f"must be {such_as}, not {shown(given)}")
        return check_all(given)

    return check_list


def names(given: object) -> frozenset[str]:
    """A set of names, from any collection of them."""
    if type(given) is frozenset and _are_plain(given):
        return given
    if issubclass(type(given), str):
        raise Wrong(f"must be a set of names, not the text {shown(given)}; put it into a set: {{{shown(given)}}}")
    return frozenset(_listed_names(given))


_listed_names = listed(text, 'a set of names such as {"etl"}')


def _are_plain(given: Iterable[Any]) -> bool:
    """Whether there is nothing but ordinary words, which most names and tags are: they need no second look."""
    for item in given:  # noqa: SIM110 - every task passes here, and a generator takes three times as long
        if type(item) is not str or not item.isascii():
            return False
    return True


def texts(given: object) -> dict[str, str]:
    """A table of texts by texts; a copy, so that what its owner does to it later changes nothing here."""
    if type(given) is dict:
        kept = dict(given)
        if not kept or (_are_plain(kept) and _are_plain(kept.values())):
            return kept
    found = pairs(given, 'must be a dict of texts by texts such as {"team": "search"}')
    try:
        kept = {text(key): text(value) for key, value in found}
    except Wrong as wrong:
        problem = f'must be a dict of texts by texts such as {{"team": "search"}}, not {shown(given)}: an entry {wrong}'
        raise Wrong(problem) from None
    if len(kept) < len(found):
        raise Wrong(f"has two keys that are written alike: {shown(given)}; rename one")
    return kept


def table(given: object) -> dict[str, Any]:
    """A JSON object, as it is read back: tuples are lists, and keys are text."""
    if type(given) is dict:
        return cast("dict[str, Any]", plain(given)) if given else {}
    return cast("dict[str, Any]", plain(dict(pairs(given, 'must be a dict such as {"rows": 3}'))))


def plain(given: Any) -> Any:
    """Any JSON value, as it is read back."""
    return read_back(written(given))


def written(given: Any) -> str:
    """A value as JSON."""
    try:
        return _encode(given)
    except Exception as problem:  # noqa: BLE001 - the items of a stranger's dict may raise anything
        raise Wrong(f"cannot be written as JSON: {_reason(problem)}; {_MEND}") from None


def read_back(as_json: str) -> Any:
    """The value that was written; one that is nested too deeply for what comes after is refused."""
    try:
        kept = _decode(as_json)
    except RecursionError as problem:
        raise Wrong(f"cannot be written as JSON: {_reason(problem)}; {_MEND}") from None
    # Brackets within texts count too, so that what has few of them need not be looked at.
    if as_json.count("[") + as_json.count("{") > DEEPEST and depth(kept) > DEEPEST:
        raise Wrong(f"is nested more than {DEEPEST} deep; flatten it, or send a reference to it")
    return kept


_MEND = "give text, finite numbers, True, False, None, and lists and dicts of these"


def _reason(problem: Exception) -> str:
    if type(problem) is RecursionError:
        return "it is nested too deeply"
    with Contained():
        return f"{problem!s:.200}"
    return type(problem).__name__


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    kept = dict(pairs)
    if len(kept) < len(pairs):
        raise Wrong('has two keys in one dict that are written alike, such as 1 and "1"; rename one')
    return kept


_encode = json.JSONEncoder(allow_nan=False).encode
_decode = json.JSONDecoder(object_pairs_hook=_without_twins).decode


def depth(value: Any) -> int:
    """How many lists and dicts stand within one another."""
    levels, level = 0, [value]
    while level := [item for item in level if type(item) in (dict, list)]:
        levels += 1
        level = [below for item in level for below in (item.values() if type(item) is dict else item)]
    return levels


def _items(given: Any) -> list[Any]:
    try:
        kept = list(islice(given, MOST_NAMES + 1))
    except Exception as problem:  # noqa: BLE001 - a stranger's iterator may raise anything
        raise Wrong(f"cannot be read ({_reason(problem)})") from None
    if len(kept) > MOST_NAMES:
        raise Wrong(f"is one of more than {MOST_NAMES}")
    return kept


def pairs(given: Any, wanted: str) -> list[tuple[Any, Any]]:
    """What any mapping holds; `wanted` says in an error what it should have been."""
    if not issubclass(type(given), Mapping):
        raise Wrong(f"{wanted}, not {shown(given)}")
    try:
        return [(key, value) for key, value in given.items()]
    except Exception as problem:  # noqa: BLE001 - a stranger's mapping may raise anything
        raise Wrong(f"{wanted}, not one whose items cannot be read ({_reason(problem)})") from None
