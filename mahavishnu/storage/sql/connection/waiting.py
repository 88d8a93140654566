"""Waiting for a thread of the storage: a future that is answered from there, or fails when its time is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from math import inf
from typing import Any

FOREVER = inf
"""For work that takes as long as it takes: maintenance, and reading everything that there is."""

Waiting = tuple[asyncio.Future[Any], asyncio.TimerHandle | None]
"""A caller, and what ends its patience. A plain tuple: recording pays for it each time."""

Answer = tuple[Waiting, Any, Exception | None]
"""A result or an error, and the caller that it is for."""


def wait(within_s: float, late: Callable[[], Exception]) -> Waiting:
    """A future of the running loop, which raises what `late` makes unless it is answered in time.

    What was asked for goes on in its thread all the same.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    return future, loop.call_later(within_s, _expire, future, late) if within_s < FOREVER else None


def answer(answers: Iterable[Answer]) -> None:
    """Wake the callers: one call for each event loop, however many of its tasks wait."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Answer]] = {}
    for given in answers:
        by_loop.setdefault(given[0][0].get_loop(), []).append(given)
    for loop, some in by_loop.items():
        # In a loop that has been closed since no caller is left.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_resolve, some)


def _expire(future: asyncio.Future[Any], late: Callable[[], Exception]) -> None:
    if not future.done():
        future.set_exception(late())


def _resolve(answers: Iterable[Answer]) -> None:
    for (future, timer), result, error in answers:
        if timer is not None:
            timer.cancel()
        if future.done():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
