"""Guarding the event loop that all targets share against those that run on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from functools import wraps
from typing import Any
from weakref import WeakSet

from mahavishnu.errors import Contained, Crashed

_FORBIDDEN = (
    "stop",
    "close",
    "set_debug",
    "set_exception_handler",
    "set_task_factory",
    "set_default_executor",
    "add_signal_handler",
    "remove_signal_handler",
    "shutdown_asyncgens",
    "shutdown_default_executor",
)
"""What changes or ends the loop for everything else that runs on it."""

# The loop whose guest the running code is: every task and callback that a target starts inherits it. The loop itself
# and not just a mark, because a function in a thread may well run, and stop, a loop of its own.
_guest_of: ContextVar[asyncio.AbstractEventLoop | None] = ContextVar("mahavishnu_guest_of", default=None)

_seen: WeakSet[asyncio.AbstractEventLoop] = WeakSet()


def guest_context(loop: asyncio.AbstractEventLoop) -> Context:
    """A copy of the caller's context, for a target that must leave this loop as it is."""
    # A guarded loop says so itself: every run passes here, and a WeakSet takes half a microsecond to look into.
    if not hasattr(loop.stop, "guarded") and loop not in _seen:
        _guard(loop)
    context = copy_context()
    context.run(_guest_of.set, loop)
    return context


def _guard(loop: asyncio.AbstractEventLoop) -> None:
    _seen.add(loop)
    for name in _FORBIDDEN:
        # A loop of another make may not let itself be guarded; then it is as it was.
        with Contained():
            setattr(loop, name, _refusing_guests(loop, getattr(loop, name)))


def _refusing_guests(loop: asyncio.AbstractEventLoop, method: Callable[..., Any]) -> Callable[..., Any]:
    """The method, which asyncio itself goes on calling, and which refuses to be called by a target."""

    @wraps(method)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if _guest_of.get() is loop:
            raise Crashed(
                f"it called {method.__name__}() of the event loop that all targets share; "
                "give it a loop of its own: isolated = true in its options"
            )
        return method(*args, **kwargs)

    guarded.guarded = True  # type: ignore[attr-defined]
    return guarded
