"""What a flow in this process raised, as one of the shapes of AdapterError."""

from __future__ import annotations

import httpx

from mahavishnu.errors import AdapterError, Crashed, TimedOut, Transient
from mahavishnu.redaction import excerpt
from mahavishnu_prefect.threads import Outcome

_LONGEST = 500


def failure_of(failure: BaseException) -> AdapterError:
    """An AdapterError is already the flow's own word for it. Transport errors are the flow's, or Prefect's own."""
    if isinstance(failure, AdapterError):
        return failure
    words = described(failure)
    shaped: AdapterError
    match failure:
        case TimeoutError():
            shaped = TimedOut(words)
        case ConnectionError() | httpx.TransportError():
            shaped = Transient(words)
        case httpx.HTTPStatusError() if failure.response.status_code >= 500:
            shaped = Transient(words)
        case _:
            shaped = Crashed(words)
    shaped.__cause__ = failure
    return shaped


def described(failure: BaseException) -> str:
    """Type and message of an exception.

    >>> described(ValueError("no such order"))
    'ValueError: no such order'
    """
    words: Outcome[str] = Outcome()
    with words:
        words.value = str(failure)
    message = "(its message cannot be read)" if words.failure else words.value
    kind = type(failure).__name__
    return excerpt(f"{kind}: {message}", _LONGEST) if message else kind
