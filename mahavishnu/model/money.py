"""Money: whole micro-dollars inside, Decimal at the edges, never float."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import NewType

Micros = NewType("Micros", int)

NOTHING = Micros(0)

_PER_DOLLAR = 1_000_000
_MOST = (2**63 - 1) // _PER_DOLLAR


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
        raise ValueError(f"is not an amount of dollars: {amount}") from None
    if not value.is_finite():
        raise ValueError(f"is not an amount of dollars: {amount}")
    if value < 0:
        raise ValueError(f"is negative: {amount}")
    if value > _MOST:
        raise ValueError(f"is more than a ledger can hold: {amount}")
    return value


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
