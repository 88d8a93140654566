"""The edge between other people's functions and the event loop: nothing that they raise passes it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable

from mahavishnu.errors import AdapterError, Contained, Crashed, TimedOut, Transient
from mahavishnu.model import Result
from mahavishnu.redaction import excerpt
from mahavishnu_local.results import result_of

_LONGEST = 500


def called(call: Callable[[], object]) -> object:
    """Call a function. Raises nothing; what it raises comes back in the Contained."""
    with Contained() as inside:
        return call()
    return inside


def settled(returned: object) -> Result | Awaitable[object] | AdapterError:
    """What `called` brought, for the engine. Raises nothing; an awaitable stays one, to be awaited on the loop."""
    if isinstance(returned, Contained):
        return failure_of(returned.failure)
    if inspect.isawaitable(returned):
        return returned
    with Contained() as inside:
        return result_of(returned)
    return failure_of(inside.failure)


async def awaited(begin: Callable[[], object]) -> Result | AdapterError:
    """Await what a function returns. Raises nothing, not even when it is cancelled."""
    with Contained() as inside:
        value = begin()
        return result_of(await value if inspect.isawaitable(value) else value)
    return failure_of(inside.failure)


def failure_of(failure: BaseException) -> AdapterError:
    """What a function raised, as one of the shapes; an AdapterError is already the function's own word for it."""
    if isinstance(failure, AdapterError):
        return failure
    words = described(failure)
    shaped: AdapterError
    match failure:
        case TimeoutError():
            shaped = TimedOut(words)
        case ConnectionError():
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
    words = "(its message cannot be read)"
    with Contained():
        words = str(failure)
    kind = type(failure).__name__
    return excerpt(f"{kind}: {words}", _LONGEST) if words else kind
