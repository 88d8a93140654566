"""What went wrong, in LlamaIndex or on its server, as one of the shapes of an AdapterError."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx

from mahavishnu.errors import (
    AdapterError,
    AuthenticationError,
    AuthorizationError,
    Contained,
    Crashed,
    Misconfigured,
    Refused,
    Throttled,
    TimedOut,
    Transient,
    Unsuitable,
)
from mahavishnu.model import Health, HealthStatus
from mahavishnu.redaction import excerpt

_LONGEST = 500
_TOO_LONG = ("context_length", "context length", "maximum context", "too long", "too many tokens")
_NOT_ALLOWED = ("content_filter", "content_policy", "content management policy")


def failure_of(failure: BaseException) -> AdapterError:
    """What an engine raised in this process. It had begun, so that it may have had an effect."""
    if isinstance(failure, AdapterError):
        return failure
    shaped = next((shape for cause in _causes(failure) if (shape := _shaped(cause)) is not None), None)
    error = shaped or Crashed(described(failure))
    error.__cause__ = failure
    return error


def health_of(problem: AdapterError) -> Health:
    """What it says about a target that it could not be asked."""
    match problem:
        case AuthenticationError() | AuthorizationError():
            return Health(HealthStatus.UNAUTHORISED, str(problem))
        case Misconfigured():
            return Health(HealthStatus.MISCONFIGURED, str(problem))
        case Throttled():
            return Health(HealthStatus.DEGRADED, str(problem))
        case _:
            return Health(HealthStatus.UNREACHABLE, str(problem))


def described(failure: BaseException) -> str:
    """Type and message of an exception.

    >>> described(ValueError("no such index"))
    'ValueError: no such index'
    """
    words = "(its message cannot be read)"
    with Contained():
        words = str(failure)
    kind = type(failure).__name__
    return excerpt(f"{kind}: {words}", _LONGEST) if words else kind


def _causes(failure: BaseException) -> Iterator[BaseException]:
    """The failure and what led to it: clients of models wrap what their transport raised."""
    seen = set[int]()
    cause: BaseException | None = failure
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__


def _shaped(failure: BaseException) -> AdapterError | None:
    # A model's client is known by what it carries and not by its class: any vendor's may be behind an engine.
    response = getattr(failure, "response", None)
    status = getattr(failure, "status_code", None) or getattr(response, "status_code", None)
    if isinstance(status, int):
        return _of_model(status, described(failure), getattr(response, "headers", None))
    match failure:
        case httpx.TimeoutException() | TimeoutError():
            return TimedOut(described(failure))
        case httpx.TransportError() | ConnectionError():
            return Transient(described(failure))
        case _:
            return None


def _of_model(status: int, words: str, headers: object) -> AdapterError | None:
    """What the model behind an engine answered. The engine wrote the request, the caller only its text."""
    if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY):
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or _names(words, _TOO_LONG):
            return Unsuitable(f"the text is too long for the model: {words}; shorten it", may_have_run=True)
        if _names(words, _NOT_ALLOWED):
            return Refused(f"the model refused the text: {words}; change it", may_have_run=True)
        return Crashed(f"the model did not accept what the engine sent: {words}")
    retry_after_s = retry_after(headers.get("retry-after") if isinstance(headers, httpx.Headers) else None)
    return by_status(status, "the model behind the engine", words, retry_after_s, may_have_run=True)


def by_status(
    status: int, who: str, words: str, retry_after_s: float | None, *, may_have_run: bool
) -> AdapterError | None:
    """What a status says wherever it comes from; None where only the caller can tell."""
    match status:
        case HTTPStatus.UNAUTHORIZED:
            # Some servers repeat the key that they did not like, so their words are left out.
            return AuthenticationError(f"{who} does not know our key (401); set the right one", may_have_run)
        case HTTPStatus.FORBIDDEN:
            return AuthorizationError(f"{who} does not let our key do this (403); ask for the right", may_have_run)
        case HTTPStatus.NOT_FOUND:
            return Misconfigured(f"{who} has no such thing: {words}; correct the name or the address", may_have_run)
        case HTTPStatus.TOO_MANY_REQUESTS:
            return Throttled(f"{who} asks for patience: {words}", may_have_run, retry_after_s)
        case HTTPStatus.REQUEST_TIMEOUT | HTTPStatus.GATEWAY_TIMEOUT:
            return TimedOut(f"{who} took too long: {words}", may_have_run)
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Transient(f"{who} is in trouble: {words}", may_have_run, retry_after_s)
        case _:
            return None


def retry_after(header: str | None) -> float | None:
    """Seconds to wait, which a server may also say as a date.

    >>> retry_after("1.5"), retry_after("Thu, 01 Jan 1970 00:00:00 GMT"), retry_after("soon"), retry_after(None)
    (1.5, 0.0, None, None)
    """
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        return _until(header)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _until(date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return None
    return max(0.0, (moment.astimezone(UTC) - datetime.now(UTC)).total_seconds())


def _names(words: str, signs: tuple[str, ...]) -> bool:
    lowered = words.lower()
    return any(sign in lowered for sign in signs)
