"""An event loop of its own, in a thread of its own, for a target that is not trusted with the one that all share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

from mahavishnu.errors import AdapterError, Contained, Crashed
from mahavishnu.model import Result
from mahavishnu_local.containment import awaited, failure_of

GRACE_S = 1.0
"""How long what a target has left running may take to end after it was cancelled."""


class OwnLoop:
    """One call on a loop that begins and ends with it. `run` is called in the thread, `cancel` from anywhere."""

    def __init__(self, begin: Callable[[], object]) -> None:
        self._begin = begin
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Result | AdapterError] | None = None
        self._cancelled = False

    def run(self) -> Result | AdapterError:
        """Raises nothing, whatever is done to the loop."""
        outcome: Result | AdapterError = Crashed("it ended the event loop that it ran on")
        with Contained() as inside:
            loop = asyncio.new_event_loop()
            try:
                outcome = self._run(loop)
            finally:
                self._end(loop)
            return outcome
        return failure_of(inside.failure)

    def cancel(self) -> None:
        with self._lock:
            self._cancelled = True
            # A loop that was closed needs no waking.
            if self._loop is not None and self._task is not None:
                with suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._task.cancel)

    def _run(self, loop: asyncio.AbstractEventLoop) -> Result | AdapterError:
        task = loop.create_task(awaited(self._begin))
        with self._lock:
            self._loop, self._task = loop, task
            if self._cancelled:
                task.cancel()
        try:
            loop.run_until_complete(task)
        except RuntimeError:
            if not task.done():
                return Crashed("it stopped the event loop that it ran on")
            raise
        return Crashed("it cancelled the asyncio task that it ran in") if task.cancelled() else task.result()

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            self._loop = self._task = None
        with Contained():
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            if left:
                loop.run_until_complete(asyncio.wait(left, timeout=GRACE_S))
            for task in left:
                task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001
            loop.run_until_complete(asyncio.wait_for(loop.shutdown_asyncgens(), GRACE_S))
        with Contained():
            loop.close()
