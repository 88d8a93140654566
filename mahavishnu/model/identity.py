"""Identifiers: ULIDs, which sort by the time they were made."""

from __future__ import annotations

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_RANDOM_BITS = 80


def ulid(at_ms: int, randomness: int) -> str:
    """The 26 letters of a ULID: 48 bits of milliseconds, 80 bits of randomness (https://github.com/ulid/spec).

    >>> ulid(1469918176385, 0)
    '01ARYZ6S410000000000000000'
    """
    number = (at_ms << _RANDOM_BITS) | (randomness & ((1 << _RANDOM_BITS) - 1))
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)])


def is_ulid(text: str) -> bool:
    """Whether a text has the form of a ULID: 26 letters of Crockford's alphabet, the first at most 7.

    >>> is_ulid("01ARYZ6S410000000000000000"), is_ulid("81ARYZ6S410000000000000000"), is_ulid("etl")
    (True, False, False)
    """
    return len(text) == 26 and text[0] in "01234567" and all(letter in _ALPHABET for letter in text)
