"""Threads for calls that may never come back: reused while they behave, left behind when they do not.

The standard pool joins its threads when the interpreter exits, so that one hung call would keep the process for ever.
"""

from __future__ import annotations

import ctypes
import inspect
import itertools
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Abandoned(BaseException):
    """Raised inside a call that nobody waits for any more."""


def discard(outcome: object) -> None:
    """Drop what a call brought; a coroutine that nobody will await is closed, so that Python does not complain."""
    if inspect.iscoroutine(outcome) and inspect.getcoroutinestate(outcome) == inspect.CORO_CREATED:
        outcome.close()


class Job(Generic[T]):
    """One call in a thread, in the context that is given: `call`, and `then` with what it brought. Both raise nothing.

    Only `call` is interrupted when the job is abandoned. `ended` is called in the thread when the job is over, also
    after it was abandoned.
    """

    outcome: T

    def __init__(
        self,
        call: Callable[[], object],
        then: Callable[[object], T],
        ended: Callable[[Job[T]], None],
        context: Context | None = None,
    ) -> None:
        self._call = call
        self._then = then
        self._ended = ended
        self._context = copy_context() if context is None else context
        self._lock = threading.Lock()
        self._interruptible: int | None = None
        self._over = False
        self.abandoned = False

    @property
    def over(self) -> bool:
        with self._lock:
            return self._over

    def abandon(self) -> bool:
        """Stop waiting for it and try to stop it; whether it was still running.

        Python cannot kill a thread. The exception arrives at the next bytecode, which is never in a call that blocks
        outside Python.
        """
        with self._lock:
            if self._over:
                discard(self.outcome)
                return False
            self.abandoned = True
            if self._interruptible is not None:
                _raise_in(self._interruptible, Abandoned)
            return True

    def perform(self) -> None:
        """Make the call. May raise Abandoned, where that arrives just after the call has ended by itself."""
        if not self._let_in():
            return
        brought = self._context.run(self._call)
        self._keep_out()
        outcome = self._context.run(self._then, brought)
        with self._lock:
            self._over = True
            self.outcome = outcome
            if self.abandoned:
                discard(outcome)

    def _let_in(self) -> bool:
        with self._lock:
            self._interruptible = threading.get_ident()
            return not self.abandoned

    def _keep_out(self) -> None:
        """From here on nothing is raised: native code such as a JSON encoder does not expect it."""
        with self._lock:
            self._interruptible = None
            if self.abandoned:
                _raise_in(threading.get_ident(), None)

    def end(self) -> None:
        self._ended(self)


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    """Raise an exception in another thread; None takes back one that has not arrived."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind) if kind else None)


class Threads:
    """A pool that grows as it must and hands the next job to the thread that became idle last."""

    def __init__(self) -> None:
        self._idle: list[SimpleQueue[Job[Any] | None]] = []
        self._numbers = itertools.count(1)
        self._closed = False

    def start(self, job: Job[Any]) -> None:
        """Raises RuntimeError where the system has no thread left."""
        # Lists and queues are safe between threads, so no lock is needed: whoever pops an inbox owns its thread.
        try:
            inbox = self._idle.pop()
        except IndexError:
            inbox = SimpleQueue()
            name = f"mahavishnu-local-{next(self._numbers)}"
            threading.Thread(target=self._work, args=(inbox,), name=name, daemon=True).start()
        inbox.put(job)

    def close(self) -> None:
        """Let the idle threads go; a busy one goes when its call ends."""
        self._closed = True
        while self._idle:
            with suppress(IndexError):
                self._idle.pop().put(None)

    def _work(self, inbox: SimpleQueue[Job[Any] | None]) -> None:
        while (job := inbox.get()) is not None:
            with suppress(Abandoned):
                job.perform()
            reusable = not (job.abandoned or self._closed)
            if reusable:
                self._idle.append(inbox)
            job.end()
            if not reusable:
                return
            del job
