"""Identifiers: ULIDs, which sort by the time they were made."""

from __future__ import annotations

from enum import StrEnum

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in ALPHABET for second in ALPHABET]
_RANDOM_BITS = 80


class IdKind(StrEnum):
    """What an identifier is of."""

    DECISION = "decision"
    EXECUTION = "execution"
    WORKFLOW_RUN = "workflow run"
    ALERT = "alert"
    PROCESS = "process"
    QUEUED_TASK = "queued task"


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
    return len(text) == 26 and text[0] in "01234567" and all(letter in ALPHABET for letter in text)


def made_at_us(id_: str) -> int | None:
    """When a ULID was made, to the millisecond; None where it is none.

    >>> made_at_us("01ARYZ6S410000000000000000"), made_at_us("nightly")
    (1469918176385000, None)
    """
    if not is_ulid(id_):
        return None
    at_ms = 0
    for letter in id_[:10]:
        at_ms = at_ms * 32 + ALPHABET.index(letter)
    return at_ms * 1000
