"""What an HTTP status of Prefect means, as one of the shapes of AdapterError."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar

import httpx

from mahavishnu.errors import (
    AdapterError,
    AuthenticationError,
    AuthorizationError,
    Misconfigured,
    Refused,
    Throttled,
    Transient,
    Unsuitable,
)
from mahavishnu.redaction import excerpt

_LONGEST = 300


@dataclass(eq=False)
class Absent(Misconfigured):
    """What was asked for is not on the server (404): the caller knows what that means."""

    code: ClassVar[str] = Misconfigured.code


def refusal(reply: httpx.Response, request: str, keys: str) -> AdapterError:
    """The error for an answer that is no success; `keys` names the variables that a key may stand in."""
    words = f"Prefect answered {reply.status_code} to {request}{_reason(reply)}"
    match reply.status_code:
        case 401:
            return AuthenticationError(f"{words}; set {keys} to a key that this server knows")
        case 403:
            return AuthorizationError(f"{words}; give the key in {keys} the right to do it, or use another")
        case 404:
            return Absent(words)
        case 429:
            return Throttled(words, retry_after_s=_retry_after_s(reply))
        case 408 | 425:
            return Transient(words, retry_after_s=_retry_after_s(reply), may_have_run=False)
        case 413:
            return Unsuitable(words)
        case 400 | 409 | 422:
            return Refused(words)
        case status if status >= 500:
            return Transient(words, retry_after_s=_retry_after_s(reply), may_have_run=not _rolled_back(reply))
        case _:
            return Misconfigured(f"{words}; check api_url in [adapters.prefect]")


def _rolled_back(reply: httpx.Response) -> bool:
    """Whether it is Prefect itself that could not do it now: its database was busy, and the transaction is undone.

    Any other 503 comes from something in between, which may have passed the request on.
    """
    return reply.status_code == 503 and '"exception_message"' in reply.text


def _reason(reply: httpx.Response) -> str:
    """Why, in the server's words. The request that it repeats is left out: it may hold what nobody else should read."""
    try:
        body = reply.json()
    except ValueError:
        return ""
    if not isinstance(body, Mapping):
        return ""
    reason = body.get("detail") or _first(body.get("exception_detail")) or body.get("exception_message")
    return excerpt(f": {reason}", _LONGEST) if isinstance(reason, str) else ""


def _first(problems: Any) -> str | None:
    match problems:
        case [{"loc": list(place), "msg": str(message)}, *_]:
            return f"{'.'.join(str(part) for part in place)}: {message}"
        case str(message):
            return message
        case _:
            return None


def _retry_after_s(reply: httpx.Response) -> float | None:
    """Seconds, or a date, as RFC 9110 has it."""
    given = reply.headers.get("Retry-After", "").strip()
    try:
        seconds = float(given) if given[:1].isdigit() else _until(given)
    except ValueError:
        return None
    return max(0.0, seconds)


def _until(date: str) -> float:
    at = parsedate_to_datetime(date)
    return (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
