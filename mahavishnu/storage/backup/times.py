"""Times as a manifest and the names of files have them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(at_us: int) -> str:
    """
    >>> iso(1_000_000)
    '1970-01-01T00:00:01Z'
    """
    return _at(at_us).strftime("%Y-%m-%dT%H:%M:%SZ")


def stamp(at_us: int) -> str:
    """A time as a part of a name, to the microsecond: two restores may follow each other within a second.

    >>> stamp(1_000_000)
    '19700101t000001000000z'
    """
    return _at(at_us).strftime("%Y%m%dt%H%M%S%fz")


def _at(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_us)
