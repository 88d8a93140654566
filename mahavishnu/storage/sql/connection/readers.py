"""Readers: a few threads that answer questions, so that no event loop waits for a database."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from mahavishnu.errors.contained import Contained
from mahavishnu.storage.sql.connection.waiting import Waiting, answer, wait

T = TypeVar("T")

_Question = tuple[Callable[[], Any], Waiting]


class Readers:
    """Daemon threads, unlike those of concurrent.futures: one that waits for a hanging store lets the process end."""

    def __init__(self, count: int) -> None:
        self._queue: SimpleQueue[_Question | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, name=f"mahavishnu-reader-{number}", daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def ask(self, question: Callable[[], T], within_s: float, late: Callable[[], Exception]) -> asyncio.Future[T]:
        waiting = wait(within_s, late)
        self._queue.put((question, waiting))
        return waiting[0]

    def stop(self, within_s: float) -> None:
        """Answer what was asked, and end the threads. Blocks; a thread that hangs is left behind after that time."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(within_s)

    def _run(self) -> None:
        while (asked := self._queue.get()) is not None:
            question, waiting = asked
            with Contained() as failed:
                answer([(waiting, question(), None)])
                continue
            answer([(waiting, None, _as_exception(failed.failure))])


def _as_exception(failure: BaseException) -> Exception:
    """What may be set on a future: SystemExit and its kin would end the event loop that reads it."""
    return failure if isinstance(failure, Exception) else RuntimeError(f"{type(failure).__name__}: {failure}")
