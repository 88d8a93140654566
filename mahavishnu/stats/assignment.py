"""Who gets the treatment: a stable, salted hash, the same in every process and after every restart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from struct import Struct

BITS = 30
"""Of a unit's place: a share is kept to a billionth, and no multiplication of Python's is quicker."""

ALL = (1 << BITS) - 1

_NUMBER = Struct(">Q").unpack


def digest(text: str) -> int:
    """Sixty-four bits of a text: worked out once for a unit, however many experiments it is in."""
    try:
        said = text.encode()
    except UnicodeEncodeError:
        said = text.encode("utf-8", "surrogatepass")
    number: int = _NUMBER(blake2b(said, digest_size=8).digest())[0]
    return number


def multiplier(salt: str) -> int:
    """The odd number that stands for a salt.

    A unit stands at `digest & ALL`, and for a salt at that times its multiplier, `& ALL`. Multiplying by an odd number
    turns the places into one another, so that uniform ones stay uniform; and two multipliers that have nothing to do
    with each other send a unit to places that do not either (M. Dietzfelbinger, T. Hagerup, J. Katajainen,
    M. Penttonen, A reliable randomized algorithm for the closest-pair problem, J. Algorithms 25, 1997).

    >>> at, a, b = digest("user-17") & ALL, multiplier("a"), multiplier("b")
    >>> at * a & ALL == at * a & ALL != at * b & ALL
    True
    """
    return digest(salt) & ALL | 1


def threshold(share: float) -> int:
    """Below it lie the places of so large a share of the units: of none where the share is none, of all from 1 on.

    >>> threshold(0.25) == 2**28, threshold(float("nan"))
    (True, 0)
    """
    # `max` keeps the first of two that cannot be compared.
    return round(min(max(0.0, share), 1.0) * (1 << BITS))


LANE = 64
"""So many bits of one large number are for one salt: a place times a multiplier needs 60, and reaches no other's."""


class Thresholds:
    """For many salts at once, whether a unit stands below a threshold: by one multiplication of a large number.

    >>> a, b, at = multiplier("a"), multiplier("b"), digest("user-17") & ALL
    >>> found = Thresholds([(a, threshold(0.5)), (b, threshold(0.5))]).reached(at)
    >>> [found >> LANE * lane + BITS & 1 for lane in (0, 1)] == [at * salt & ALL >= 2**29 for salt in (a, b)]
    True
    """

    __slots__ = ("_limits", "_multipliers", "_places", "all")

    def __init__(self, salts: Sequence[tuple[int, int]]) -> None:
        """For each its multiplier, and the threshold. One above all places, or below, is reached by none, or by all."""
        self._multipliers = _lanes(multiplier for multiplier, _ in salts)
        # What is added to a place carries over into the bit above it from the threshold on, and not below.
        self._limits = _lanes(ALL + 1 - min(max(below, 0), ALL + 1) for _, below in salts)
        self._places = _lanes(ALL for _ in salts)
        self.all = _lanes(ALL + 1 for _ in salts)
        """What `reached` is for a unit that has reached every threshold."""

    def reached(self, at: int) -> int:
        """In each lane the bit number `BITS` alone, where the unit's place is the threshold or above."""
        return (at * self._multipliers & self._places) + self._limits & self.all


def _lanes(numbers: Iterable[int]) -> int:
    return sum(number << LANE * lane for lane, number in enumerate(numbers))
