"""Money: whole micro-dollars inside, Decimal at the edges, never float."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import NewType

Micros = NewType("Micros", int)

NOTHING = Micros(0)

_PER_DOLLAR = 1_000_000

MOST_USD = 1_000_000_000
"""The largest amount that is taken: thousands of them still add up to less than a ledger's column holds."""

_FINEST = -40
"""The exponent of the last decimal that an amount may have: without a bound, 1E-999999 has a million zeros."""


def dollars(amount: str | int | Decimal) -> Decimal:
    """A finite, non-negative amount of dollars, or a ValueError that says what is wrong with it.

    >>> dollars("0.002")
    Decimal('0.002')
    >>> dollars("-1")
    Traceback (most recent call last):
    ValueError: is negative: -1
    """
    try:
        value = Decimal(amount)
    except (InvalidOperation, TypeError, ValueError):
        raise ValueError(f"is not an amount of dollars: {_shown(amount)}") from None
    if not value.is_finite():
        raise ValueError(f"is not an amount of dollars: {_shown(amount)}")
    if value < 0:
        raise ValueError(f"is negative: {_shown(amount)}")
    if value > MOST_USD:
        raise ValueError(f"is more than a ledger can hold: {_shown(amount)}")
    if int(value.as_tuple().exponent) < _FINEST:
        raise ValueError(f"has more than {-_FINEST} decimals: {_shown(amount)}; round it")
    return value


def _shown(amount: object) -> str:
    """At most 80 characters; a whole number of thousands of digits has no text at all."""
    try:
        return f"{amount!s:.80}"
    except ValueError:
        return "a number of thousands of digits"


def to_micros(amount: Decimal) -> Micros:
    """Dollars as whole micro-dollars, halves to even so that many roundings do not drift.

    >>> to_micros(Decimal("0.0020005"))
    2000
    """
    return Micros(int((amount * _PER_DOLLAR).to_integral_value(rounding=ROUND_HALF_EVEN)))


def to_usd(micros: int) -> Decimal:
    """Micro-dollars as dollars, exactly.

    >>> to_usd(2000)
    Decimal('0.002')
    """
    return (Decimal(micros) / _PER_DOLLAR).normalize() if micros else Decimal(0)
