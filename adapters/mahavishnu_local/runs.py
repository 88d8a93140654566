"""One run under way, and what the runs of one target share."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from mahavishnu.errors import Cancelled, Crashed, Transient
from mahavishnu_local.guard import guest_context
from mahavishnu_local.threads import Job, Threads

T = TypeVar("T")

GRACE_S = 1.0
"""How long an async function may take to end after it was cancelled, before it is left to itself."""


class Lane:
    """The calls of one target: how many threads they hold, and which of them hang.

    A call hangs when nobody waits for it any more and it has not ended all the same. Threads take calls off both
    sets, which is safe without a lock; everything else happens on the event loop.
    """

    def __init__(self, target: str, limit: int) -> None:
        self._target = target
        self._limit = limit
        self._busy: set[object] = set()
        self._hanging: set[object] = set()
        self._waiting: deque[Run] = deque()

    @property
    def hanging(self) -> int:
        return len(self._hanging)

    @property
    def complaint(self) -> str:
        calls = "1 earlier call of it still hangs"
        if self.hanging != 1:
            calls = f"{self.hanging} earlier calls of it still hang"
        return f'"{self._target}" does not end when it is stopped: {calls}'

    @property
    def blocked(self) -> bool:
        return len(self._hanging) >= self._limit

    def check(self) -> None:
        if self.blocked:
            problem = f"{self.complaint}; give what it waits for a timeout of its own, and restart this process"
            raise Transient(problem, may_have_run=False)

    async def take(self, run: Run, job: object) -> None:
        """Wait for a thread to be free for this job, in the order of asking."""
        while len(self._busy) >= self._limit:
            self.check()
            self._waiting.append(run)
            try:
                await run.wait()
            except BaseException:
                # It may have been its turn: somebody else must have it then.
                with suppress(ValueError):
                    self._waiting.remove(run)
                self.wake_next()
                raise
        self._busy.add(job)

    def hang(self, call: object) -> None:
        self._hanging.add(call)
        if self.blocked:
            while self._waiting:
                self.wake_next()

    def leave(self, call: object) -> None:
        """A call ended. Safe in any thread."""
        self._busy.discard(call)
        self._hanging.discard(call)

    def wake_next(self) -> None:
        if self._waiting:
            self._waiting.popleft().wake()


class Run:
    """One run: does its work step by step, and can be stopped at each."""

    def __init__(self, lane: Lane, threads: Threads) -> None:
        self._lane = lane
        self._threads = threads
        self._loop = asyncio.get_running_loop()
        self._woken: asyncio.Future[None] | None = None
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True
        self.wake()

    def wake(self, _: object = None) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    async def wait(self) -> None:
        """Until woken. Raises Cancelled where the run was cancelled on request.

        Nobody waits on the work itself: awaiting it would mean to wait for as long as it ignores being cancelled.
        """
        self._woken = self._loop.create_future()
        try:
            await self._woken
        finally:
            self._woken = None
        if self._cancelled:
            raise Cancelled("cancelled on request")

    async def in_thread(
        self, call: Callable[[], object], then: Callable[[object], T], stop: Callable[[], None] | None = None
    ) -> T:
        """Make a Job of both in a thread, which is left behind once no caller waits.

        `stop` asks the call to end by itself, for which it has a moment.
        """
        job: Job[T] = Job(call, then, self._ended, guest_context(self._loop))
        await self._lane.take(self, job)
        try:
            self._threads.start(job)
        except RuntimeError as problem:
            self._lane.leave(job)
            self._lane.wake_next()
            raise Transient(f"no thread could be started: {problem}", may_have_run=False) from problem
        try:
            await self.wait()
        except BaseException:
            try:
                if stop is not None:
                    stop()
                    await self._grace(job)
            finally:
                # Counted before it is told, so that its end, which may come at once, finds it counted.
                self._lane.hang(job)
                if not job.abandon():
                    self._lane.leave(job)
            raise
        return job.outcome

    async def _grace(self, job: Job[Any]) -> None:
        """Until a job that was asked to stop is over, for as long as that may take."""
        if job.over:
            return
        self._woken = self._loop.create_future()
        timer = self._loop.call_later(GRACE_S, self.wake)
        try:
            await self._woken
        finally:
            self._woken = None
            timer.cancel()

    def _ended(self, job: Job[Any]) -> None:
        self._lane.leave(job)
        # A call may outlive the event loop; then nobody waits for it or for its thread.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self.wake()
        self._lane.wake_next()

    async def on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine, which must raise nothing, in a task of its own. One that ignores being cancelled is left."""
        task = self._loop.create_task(work, context=guest_context(self._loop))
        task.add_done_callback(self.wake)
        try:
            await self.wait()
        except BaseException:
            await self._stop(task)
            raise
        if task.cancelled():
            raise Crashed("it cancelled the asyncio task that it ran in")
        return task.result()

    async def _stop(self, task: asyncio.Task[Any]) -> None:
        task.cancel()
        try:
            await asyncio.wait({task}, timeout=GRACE_S)
        finally:
            if not task.done():
                self._lane.hang(task)
                task.add_done_callback(self._lane.leave)
                # asyncio.run waits at its end for every task it knows: this one would keep the process for ever. The
                # first is documented ("Extending asyncio"), the second is what asyncio.gather does with its own.
                asyncio._unregister_task(task)  # noqa: SLF001
                task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001
