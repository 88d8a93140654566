"""--since and --until: a stretch of time, typed as moments or as how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

import typer

from mahavishnu.cli.common.amounts import seconds
from mahavishnu.cli.common.arguments import bad
from mahavishnu.ports import Between

_SPAN = re.compile(r"\d+\s*[smhd]")

Since = Annotated[
    str | None,
    typer.Option(
        metavar="WHEN",
        help="From this time on: a span before now such as 2h or 7d, or an ISO time such as 2026-11-27T05:00 (UTC).",
    ),
]
Until = Annotated[str | None, typer.Option(metavar="WHEN", help="Before this time, given as for --since.")]


def read_between(since: Since = None, until: Until = None) -> Between:
    """Raises a usage error for what is no time, and where none would lie between the two."""
    from mahavishnu.engine.clock import SystemClock

    now_us = SystemClock().now_us()
    within = Between(
        None if since is None else moment_us(since, "--since", now_us),
        None if until is None else moment_us(until, "--until", now_us),
    )
    if within.since_us is not None and within.until_us is not None and within.since_us >= within.until_us:
        raise bad("--until", "must be later than --since; give them in the order of time")
    return within


def moment_us(given: str, argument: str, now_us: int) -> int:
    """The moment that was typed, in microseconds. A time without a zone is meant in UTC.

    >>> moment_us("2h", "--since", 7_200_000_000 + 5)
    5
    >>> moment_us("1970-01-02", "--since", 0), moment_us("1970-01-01T01:00+01:00", "--since", 0)
    (86400000000, 0)
    """
    typed = given.strip()
    if _SPAN.fullmatch(typed):
        return now_us - seconds(typed, argument) * 1_000_000
    try:
        at = datetime.fromisoformat(typed)
    except ValueError:
        problem = f"must be a time such as 2026-11-27T05:00Z, or a span such as 2h or 7d, not {given:.40}"
        raise bad(argument, problem) from None
    aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    since_epoch = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (since_epoch.days * 86_400 + since_epoch.seconds) * 1_000_000 + since_epoch.microseconds
