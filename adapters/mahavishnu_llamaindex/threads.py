"""Threads for calls that would block the event loop, and that may never come back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import TypeVar, cast

from mahavishnu.errors import Contained, Transient

T = TypeVar("T")


class Threads:
    """At most `limit` at once; further calls wait their turn.

    The standard pool joins its threads when the interpreter exits, so that one hung call would keep the process for
    ever. These are left behind instead; a call that was left behind keeps its place until it ends.
    """

    def __init__(self, limit: int) -> None:
        self._places = asyncio.Semaphore(limit)

    async def call(self, function: Callable[[], T]) -> T:
        """In the context of the caller. Raises what the function raises."""
        await self._places.acquire()
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[object] = loop.create_future()
        context = copy_context()

        def deliver(outcome: object) -> None:
            self._places.release()
            if not ended.done():
                ended.set_result(outcome)

        def work() -> None:
            outcome = context.run(_called, function)
            # A call may outlive the event loop; then nobody waits for it.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(deliver, outcome)

        try:
            threading.Thread(target=work, name="mahavishnu-llamaindex", daemon=True).start()
        except RuntimeError as problem:
            self._places.release()
            raise Transient(f"no thread could be started: {problem}", may_have_run=False) from problem
        outcome = await ended
        if isinstance(outcome, Contained):
            raise outcome.failure
        return cast("T", outcome)


def _called(function: Callable[[], object]) -> object:
    with Contained() as inside:
        return function()
    return inside
