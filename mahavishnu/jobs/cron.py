"""Cron lines, as far as jobs need them: when one was due last."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WEEK = 7


def due_at_us(cron: str, now_us: int) -> int:
    """The newest time, not after now, that a cron line names: minute, hour, day of the week (0 is Sunday), in UTC.

    >>> sunday = 1_763_866_800_000_000  # 2025-11-23, 03:00
    >>> due_at_us("0 3 * * 0", sunday) == sunday
    True
    >>> (sunday - due_at_us("0 3 * * 0", sunday - 1)) // 86_400_000_000
    7
    >>> (sunday - due_at_us("*/5 * * * *", sunday - 1)) // 60_000_000
    5
    """
    minutes, hours, weekdays = _fields(cron)
    now = _EPOCH + timedelta(microseconds=now_us)
    for back in range(_WEEK + 1):
        day = (now - timedelta(days=back)).replace(second=0, microsecond=0)
        if day.isoweekday() % _WEEK not in weekdays:
            continue
        for at in (day.replace(hour=hour, minute=minute) for hour in reversed(hours) for minute in reversed(minutes)):
            if at <= now:
                return (at - _EPOCH) // timedelta(microseconds=1)
    raise ValueError(f"no time is named by {cron!r}")


def _fields(cron: str) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
    minute, hour, day, month, weekday = cron.split()
    if (day, month) != ("*", "*"):
        raise ValueError(f"only minutes, hours and days of the week may be named, not {cron!r}")
    return _named(minute, 60), _named(hour, 24), _named(weekday, _WEEK)


def _named(field: str, end: int) -> Sequence[int]:
    """The numbers of a field, rising: "*", "*/15", "7", "1,4"."""
    every, slash, step = field.partition("/")
    if every == "*":
        return range(0, end, int(step) if slash else 1)
    numbers = sorted(int(each) for each in field.split(","))
    if numbers[0] < 0 or numbers[-1] >= end:
        raise ValueError(f"{field!r} must lie between 0 and {end - 1}")
    return numbers
