"""What went wrong, as one of the shapes that the engine knows: Agno hands most failures over in words."""

from __future__ import annotations

import re

import httpx
from agno.exceptions import ModelProviderError
from agno.utils.events import error_type_of

from mahavishnu.errors import (
    AdapterError,
    AuthenticationError,
    AuthorizationError,
    Cancelled,
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

_THROTTLED = re.compile(r"\b(429|529)\b|rate.?limit|too many requests|overloaded", re.IGNORECASE)
_BAD_KEY = re.compile(r"\b401\b|(incorrect|invalid|missing|no).{0,20}api.?key|api.?key.{0,20}not set", re.IGNORECASE)
_UNREACHABLE = re.compile(r"connection (error|refused|reset|aborted)|\b503\b|service unavailable", re.IGNORECASE)
_SLOW = re.compile(r"timed? ?out", re.IGNORECASE)

_BY_TYPE: dict[str, type[AdapterError]] = {
    "input_check_error": Refused,
    "model_authentication_error": AuthenticationError,
    "run_cancelled_error": Cancelled,
    "TimeoutError": TimedOut,
    "ReadTimeout": TimedOut,
    "ConnectionError": Transient,
    "ConnectionRefusedError": Transient,
    "ConnectionResetError": Transient,
    "ConnectError": Transient,
}

_FROM_A_MODEL = (None, "model_provider_error", "agno_error")


def failure_of_run(words: str | None, kind: str | None = None) -> AdapterError:
    """What a failed run says of itself. `kind` is Agno's name for the error, where it gives one.

    Only what comes from a model provider is read for its words: a tool that fails with "too many requests" has
    failed, and the agent with it.

    >>> failure_of_run("Rate limit reached for requests", "model_provider_error")
    Throttled(problem='Rate limit reached for requests', may_have_run=False, retry_after_s=None)
    """
    said = excerpt(words or "the run failed and did not say why", _LONGEST)
    if kind in _BY_TYPE:
        return _BY_TYPE[kind](said)
    if kind in _FROM_A_MODEL:
        return _failure_of_model(said)
    return Crashed(f"{kind}: {said}")


def _failure_of_model(said: str) -> AdapterError:
    if any(pattern in said.lower() for pattern in ModelProviderError.CONTEXT_WINDOW_PATTERNS):
        return Unsuitable(said)
    if _THROTTLED.search(said):
        return Throttled(said)
    if _BAD_KEY.search(said):
        return AuthenticationError(said)
    if _SLOW.search(said):
        return TimedOut(said)
    if _UNREACHABLE.search(said):
        return Transient(said)
    return Crashed(said)


def failure_of(error: BaseException, where: str) -> AdapterError:
    """What was raised, here or on the way to an AgentOS, as one of the shapes."""
    shaped: AdapterError
    match error:
        case AdapterError():
            return error
        case httpx.ConnectError() | httpx.ConnectTimeout():
            shaped = Transient(f"{where} cannot be reached ({error}); start the AgentOS or mend the URL", False)
        case httpx.TimeoutException():
            shaped = TimedOut(f"{where} did not answer in time")
        case httpx.TransportError():
            shaped = Transient(f"the connection to {where} broke off: {error}")
        case httpx.InvalidURL():
            shaped = Misconfigured(f"{where} is not a URL that can be asked: {error}")
        case _:
            shaped = failure_of_run(_said(error), error_type_of(error))
    shaped.__cause__ = error
    return shaped


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a stranger's exception may fail at saying what it is
        return "(its message cannot be read)"


def health_of(failure: AdapterError) -> Health:
    """How a target is that could not say it itself."""
    match failure:
        case AuthenticationError() | AuthorizationError():
            status = HealthStatus.UNAUTHORISED
        case Misconfigured() | Refused() | Unsuitable():
            status = HealthStatus.MISCONFIGURED
        case Transient() if not isinstance(failure.__cause__, httpx.TransportError):
            # It answers, if only to say that it cannot now.
            status = HealthStatus.DEGRADED
        case _:
            status = HealthStatus.UNREACHABLE
    return Health(status, str(failure))


def failure_of_reply(response: httpx.Response, said: str, where: str) -> AdapterError:
    """An answer of an AgentOS that is no success. The body of `response` must have been read."""
    code = response.status_code
    words = excerpt(f"{where} answered {code}: {said}", _LONGEST)
    match code:
        case 401:
            return AuthenticationError(f"{words}; put its key into the variable that key_env names")
        case 403:
            return AuthorizationError(f"{words}; its key may not do this, use one with more scopes")
        case 404:
            return Misconfigured(f"{words}; mahavishnu targets discover --adapter agno shows what it has")
        case 400 if "database" in said:
            return Misconfigured(f"{words}; set the target's option background = false, or give the AgentOS a database")
        case 413 | 415:
            return Unsuitable(words)
        case 400 | 422:
            return Refused(words)
        case 408 | 504:
            return TimedOut(words)
        case 429:
            return Throttled(words, retry_after_s=_retry_after_s(response))
        case _ if code >= 500:
            return Transient(words, retry_after_s=_retry_after_s(response))
        case _:
            return Misconfigured(f"{words}; check that the URL is that of an AgentOS")


def _retry_after_s(response: httpx.Response) -> float | None:
    """Seconds; a date, which the header may also hold, is left to the engine's own patience."""
    given = response.headers.get("retry-after", "")
    return float(given) if re.fullmatch(r"\d+(\.\d+)?", given) else None
