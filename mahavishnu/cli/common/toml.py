"""Values as TOML writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def table(name: str, values: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a table with its name, whose parts are written already."""
    yield f"[{name}]"
    for key, value in values.items():
        yield f"{key_text(key)} = {value_text(value)}"


def value_text(value: Any) -> str:
    r"""A value on one line.

    >>> value_text({"a b": ['one "word"', 2, True]})
    '{ "a b" = ["one \\"word\\"", 2, true] }'
    >>> value_text(Decimal("0.0000006")), value_text(Decimal("0.1234567890123456789"))
    ('6e-07', '"0.1234567890123456789"')
    """
    match value:
        case Mapping():
            return "{ " + ", ".join(f"{key_text(key)} = {value_text(held)}" for key, held in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(value_text(held) for held in value) + "]"
        case str():
            return _text(value)
        case Decimal():
            # The shortest text of a float is the number that is read back, as long as it says all of it.
            return repr(float(value)) if Decimal(repr(float(value))) == value else _text(f"{value:f}")
        case _:
            return json.dumps(value, allow_nan=False)


def key_text(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _text(text: str) -> str:
    """JSON's text is TOML's but for one character, which JSON need not escape and TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
