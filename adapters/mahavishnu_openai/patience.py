"""How long a server asks to be left alone, in any of the ways in which servers say it."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

_LONGEST_S = 86_400.0
"""Nobody is waited for longer than a day, whatever a header says."""

_SPAN = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_SECONDS_EACH = (86_400.0, 3_600.0, 60.0, 1.0, 0.001)


def patience_s(headers: Mapping[str, str]) -> float | None:
    """The wait that a server asks for; None where it does not say.

    >>> patience_s({"retry-after": "7"}), patience_s({"retry-after-ms": "250", "retry-after": "1"}), patience_s({})
    (7.0, 0.25, None)
    >>> patience_s({"x-ratelimit-reset-requests": "120ms", "x-ratelimit-reset-tokens": "6m0s"})
    360.0
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return _bounded(milliseconds / 1000)
    after = headers.get("retry-after")
    seconds = _number(after)
    if seconds is None and after is not None:
        seconds = _until(after, headers.get("date"))
    if seconds is not None:
        return _bounded(seconds)
    resets = [_span(headers.get(f"x-ratelimit-reset-{what}")) for what in ("requests", "tokens")]
    said = [each for each in resets if each is not None]
    return _bounded(max(said)) if said else None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), _LONGEST_S)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _until(moment: str, now: str | None) -> float | None:
    """Seconds until an HTTP date, by the server's own clock where it sent that: ours may be off."""
    then = _date(moment)
    if then is None:
        return None
    told = _date(now) if now else None
    return then.timestamp() - (told.timestamp() if told else time.time())


def _date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return None


def _span(text: str | None) -> float | None:
    """The seconds in a span such as `2m59.56s`, `120ms` or a bare number."""
    seconds = _number(text)
    if seconds is not None:
        return seconds
    found = _SPAN.fullmatch(text or "")
    if found is None or not any(found.groups()):
        return None
    return sum(float(part or 0) * each for part, each in zip(found.groups(), _SECONDS_EACH, strict=True))
