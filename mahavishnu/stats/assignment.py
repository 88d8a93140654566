"""Who gets the treatment: a stable, salted hash, the same in every process and after every restart."""

from __future__ import annotations

from hashlib import blake2b
from struct import Struct

BITS = 30
"""Of a unit's place: a share is kept to a billionth, and no multiplication of Python's is quicker."""

ALL = (1 << BITS) - 1

_NUMBER = Struct(">Q").unpack


def digest(text: str) -> int:
    """Sixty-four bits of a text: worked out once for a unit, however many experiments it is in."""
    number: int = _NUMBER(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())[0]
    return number


def place(unit: int) -> int:
    """Where a unit stands, by its digest."""
    return unit & ALL


def multiplier(salt: str) -> int:
    """The odd number that stands for a salt.

    A unit's place for a salt is `place * multiplier & ALL`. Multiplying by an odd number turns the places into one
    another, so that uniform ones stay uniform; and two multipliers that have nothing to do with each other send a unit
    to places that do not either (M. Dietzfelbinger, T. Hagerup, J. Katajainen, M. Penttonen, A reliable randomized
    algorithm for the closest-pair problem, J. Algorithms 25, 1997). It costs a tenth of a digest.

    >>> unit, a, b = place(digest("user-17")), multiplier("a"), multiplier("b")
    >>> unit * a & ALL == unit * a & ALL != unit * b & ALL
    True
    """
    return digest(salt) & ALL | 1


def threshold(share: float) -> int:
    """Below it lie the places of so large a share of the units.

    >>> threshold(0.25) == 2**28
    True
    """
    return round(share * (1 << BITS))
