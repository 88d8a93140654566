"""Work in a thread that nobody has to wait for: one that never ends does not keep the process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from mahavishnu.errors import Transient

T = TypeVar("T")


class Failed(Exception):
    """What the work raised is its cause. It stands in for it, since some of those would end the event loop."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(type(cause).__name__)
        self.__cause__ = cause
        self.cause = cause


class Outcome(Generic[T]):
    """Keeps what a piece of work came to; nothing that it raises passes the `with`."""

    __slots__ = ("failure", "value")
    value: T

    def __init__(self) -> None:
        self.failure: BaseException | None = None

    def __enter__(self) -> Outcome[T]:
        return self

    def __exit__(self, kind: object, failure: BaseException | None, traceback: object) -> bool:
        self.failure = failure
        return True


async def in_thread(work: Callable[[], T]) -> T:
    """Do it in a daemon thread of its own, with no context variables of the caller. Raises Failed, or Transient."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    outcome: Outcome[T] = Outcome()

    def give() -> None:
        if not done.done():
            done.set_result(None)

    def body() -> None:
        with outcome:
            outcome.value = work()
        # The loop may be gone by now, if nobody waited.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(give)

    try:
        threading.Thread(target=body, name="mahavishnu-prefect", daemon=True).start()
    except RuntimeError as problem:
        raise Transient(f"no thread could be started: {problem}", may_have_run=False) from problem
    await done
    if outcome.failure is not None:
        raise Failed(outcome.failure)
    return outcome.value
