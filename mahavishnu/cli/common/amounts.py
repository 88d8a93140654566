"""Amounts, as people type and read them: dollars to the millionth, and how long."""

from __future__ import annotations

import re

from mahavishnu.cli.common.arguments import bad
from mahavishnu.errors import did_you_mean, nearest_name
from mahavishnu.model import Micros, Period
from mahavishnu.model.money import dollars, to_micros, to_usd

DAY_S = 86_400

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": DAY_S}
_LONGEST_DAYS = 3650

_OFTEN = {"hourly": Period.HOUR, "daily": Period.DAY, "weekly": Period.WEEK, "monthly": Period.MONTH}
PERIODS = {**{each.value: each for each in Period}, **_OFTEN}
"""Every word for a period: its name, and how often it comes."""


def usd_text(micros: int) -> str:
    """Dollars as text, exactly: what a program adds up must not have been a float on its way.

    >>> usd_text(20_000_000), usd_text(1), usd_text(0)
    ('20', '0.000001', '0')
    """
    return f"{to_usd(micros):f}"


def usd_or_none(micros: int | None) -> str | None:
    return None if micros is None else usd_text(micros)


def micros(given: str, argument: str) -> Micros:
    """The amount that was typed. A ledger counts millionths: what is finer would be another amount than was meant."""
    try:
        amount = dollars(given.strip())
    except ValueError as problem:
        raise bad(argument, f"{problem}; give dollars, such as 25 or 0.05") from None
    whole = to_micros(amount)
    if to_usd(whole) != amount:
        raise bad(argument, f"is finer than a millionth of a dollar: {given:.40}")
    return whole


def seconds(given: str, argument: str) -> int:
    """A length of time: a number with its unit.

    >>> seconds("24h", "--max-age"), seconds("30d", "--window")
    (86400, 2592000)
    """
    found = re.fullmatch(r"(\d{1,9})\s*([smhd])", given.strip())
    length = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not 0 < length <= _LONGEST_DAYS * DAY_S:
        problem = f"must be a number with s, m, h or d, such as 24h or 30d, at most {_LONGEST_DAYS}d, not {given:.40}"
        raise bad(argument, problem)
    return length


def period(given: str, argument: str) -> Period:
    """The period that a word names.

    >>> period("day", "--period"), period("monthly", "--period")
    (<Period.DAY: 'day'>, <Period.MONTH: 'month'>)
    """
    if given not in PERIODS:
        hint = did_you_mean(nearest_name(given, PERIODS)) or f"; give one of {', '.join(PERIODS)}"
        raise bad(argument, f'there is no period "{given:.40}"{hint}')
    return PERIODS[given]


def age(length_s: int) -> str:
    """A length in the largest unit that leaves no rest.

    >>> age(86_400), age(5400), age(61)
    ('1d', '90m', '61s')
    """
    unit = next(name for name, size in reversed(_SECONDS.items()) if length_s % size == 0)
    return f"{length_s // _SECONDS[unit]}{unit}"
