"""Supervision: loops that no failure ends, and what is known of each part of their rounds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from traceback import extract_tb
from typing import Any

from mahavishnu.errors import MahavishnuError
from mahavishnu.model.loop import LoopReport, Readiness
from mahavishnu.ports import Clock
from mahavishnu.redaction import excerpt

log = logging.getLogger("mahavishnu.engine")

Work = Callable[[], Awaitable[Sequence[str]]]
"""One turn of a part. It returns sentences about what it had to leave out: the turn is completed all the same."""


class Waits(Exception):
    """A turn that could not be taken for a reason that is known and logged elsewhere, such as a store that is away.

    It is no failure, but no completed round either.
    """


PATIENCE_S = 5.0
"""The shortest time without a completed round after which a part is stale, however short its period is."""

PERIODS = 5
"""Periods without a completed round after which a part is stale."""

MOST_PERIODS = 8
"""The longest wait after failures, in periods: what works again is back within this time."""

SAY_AGAIN_S = 60.0
"""The first gap between two log records of the same failure. Each gap is twice as long as the one before."""

MOST_SAY_AGAIN_S = 3600.0
MOST_SAID = 100


class Sayings:
    """Decides what goes to the log: each distinct failure at once, and then with growing gaps."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._said: dict[str, tuple[float, float, int]] = {}

    def times(self, failure: str) -> int:
        """How often this failure came since it was last logged, with this time; 0 where it is not to be logged yet."""
        now_s = self._clock.monotonic_s()
        next_s, gap_s, unsaid = self._said.pop(failure, (now_s, SAY_AGAIN_S / 2, 0))
        due = now_s >= next_s
        if due:
            gap_s = min(gap_s * 2, MOST_SAY_AGAIN_S)
            next_s = now_s + gap_s
        while len(self._said) >= MOST_SAID:
            del self._said[next(iter(self._said))]
        # Put last: the one that was not heard of for longest is forgotten first.
        self._said[failure] = (next_s, gap_s, 0 if due else unsaid + 1)
        return unsaid + 1 if due else 0


class Part:
    """One named piece of a round. It fails for itself, and waits longer after each failure in a row, with full jitter.

    (Brooker, "Exponential backoff and jitter", 2015.)

    `may_take_s` is how long a turn may be under way on top of the time without one: a part whose turns run tasks is
    not stale while it runs them. `every_s` is how long it rests after a completed turn, where that is longer than the
    period of its loop.
    """

    def __init__(
        self,
        name: str,
        work: Work,
        clock: Clock,
        period_s: float,
        *,
        every_s: float = 0.0,
        may_take_s: float = 0.0,
        rng: Random | None = None,
    ) -> None:
        self.name = name
        self._work = work
        self._clock = clock
        self._period_s = period_s
        self._patience_s = max(PERIODS * period_s, PATIENCE_S)
        self._every_s = every_s
        self._may_take_s = may_take_s
        self._rng = rng or Random()
        self._sayings = Sayings(clock)
        self._under_way = False
        self._in_a_row = 0
        self._waiting: str | None = None
        self._due_s = float("-inf")
        self._ok_s = clock.monotonic_s()
        self._ok_us: int | None = None
        self._failures = 0
        self._last_failure: str | None = None
        self._failed_us: int | None = None

    @property
    def due(self) -> bool:
        return self._clock.monotonic_s() >= self._due_s

    async def turn(self) -> None:
        """Do the work once. What it raises leaves here; `failed` is to hear of it."""
        self._under_way = True
        try:
            self.completed(await self._work())
        finally:
            self._under_way = False

    def failed(self, failure: BaseException) -> None:
        """Record and log what ended a turn, and wait before the next one."""
        self._in_a_row += 1
        most_s = self._period_s * min(2 ** min(self._in_a_row - 1, 16), MOST_PERIODS)
        self._due_s = self._clock.monotonic_s() + self._rng.uniform(0, most_s)
        self._record(said(failure))
        if times := self._sayings.times(_place(failure)):
            expected = isinstance(failure, MahavishnuError | asyncio.CancelledError)
            log.error(
                "%s failed, and is tried again: %s%s",
                self.name,
                said(failure),
                _often(times),
                exc_info=None if expected else failure,
            )

    def report(self, restarts: int = 0) -> LoopReport:
        return LoopReport(
            name=self.name,
            restarts=restarts,
            failures=self._failures,
            last_failure=self._last_failure,
            last_failed_at_us=self._failed_us,
            last_ok_at_us=self._ok_us,
            stale=self._age_s() > self._patience_s + (self._may_take_s if self._under_way else 0.0),
        )

    def complaint(self) -> str:
        """Why it is not up to date, as a reason for not being ready."""
        known = self._waiting or (self._last_failure if self._in_a_row else None)
        why = f": {known}" if known else ""
        return f"{self.name} has not completed a round for {self._age_s():.0f} s{why}"

    def waits(self, why: str) -> None:
        self._waiting = why

    def interrupted(self, why: str) -> None:
        """Its loop was interrupted, which is no failure of its own."""
        self._last_failure, self._failed_us = why, self._clock.now_us()

    def _age_s(self) -> float:
        return self._clock.monotonic_s() - self._ok_s

    def completed(self, left_out: Sequence[str]) -> None:
        if self._in_a_row:
            log.warning("%s works again after %s failures", self.name, self._in_a_row)
        self._in_a_row, self._waiting = 0, None
        self._due_s = self._clock.monotonic_s() + self._every_s
        self._ok_s, self._ok_us = self._clock.monotonic_s(), self._clock.now_us()
        for sentence in left_out:
            self._record(sentence)
            if times := self._sayings.times(sentence):
                log.error("%s: %s%s", self.name, sentence, _often(times))

    def _record(self, why: str) -> None:
        self._failures += 1
        self._last_failure, self._failed_us = why, self._clock.now_us()


class Loop:
    """Gives its parts their turns, in their order, once in a period, until it is stopped.

    Whatever a part raises ends that turn only, SystemExit included. A loop that is cancelled by anything but its own
    `stop` goes on. KeyboardInterrupt passes through, because a person has asked the whole process to end; a process
    that goes on nevertheless has the loop begun anew.
    """

    def __init__(self, name: str, parts: Sequence[Part], clock: Clock, period_s: float) -> None:
        self.name = name
        self.parts = parts
        self._clock = clock
        self._period_s = period_s
        self._sayings = Sayings(clock)
        self._stopping = asyncio.Event()
        self._restarts = 0
        self._task: asyncio.Task[None] | None = None
        self._owner: asyncio.Task[Any] | None = None

    def start(self) -> None:
        self._owner = asyncio.current_task()
        self._stopping.clear()
        self._begin()

    async def stop(self) -> None:
        """Returns when it has ended."""
        self._stopping.set()
        task = self._task
        while task is not None and not task.done():
            task.cancel()
            # Asked again: work that was cancelled may have kept that to itself.
            await asyncio.wait({task}, timeout=1.0)

    def reports(self) -> list[LoopReport]:
        return [part.report(self._restarts) for part in self.parts]

    def complaints(self) -> list[str]:
        return [part.complaint() for part in self.parts if part.report().stale]

    def _begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"mahavishnu {self.name}")
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task that is cancelled before its first step ends without any of its code having run: begin anew."""
        failure = None if task.cancelled() else task.exception()
        if self._stopping.is_set() or not self._wanted() or task.get_loop().is_closed():
            return
        self._interrupted(failure or asyncio.CancelledError())
        self._begin()

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._clock.sleep(self._period_s)
            except BaseException as failure:
                if not self._outlives(failure):
                    raise
                self._interrupted(failure)
            for part in self.parts:
                if self._stopping.is_set():
                    return
                try:
                    if part.due:
                        await part.turn()
                except Waits as why:
                    part.waits(str(why))
                except BaseException as failure:
                    if not self._outlives(failure):
                        raise
                    part.failed(failure)

    def _outlives(self, failure: BaseException) -> bool:
        """Whether to go on after this."""
        match failure:
            case KeyboardInterrupt():
                return False
            case GeneratorExit():
                # The work may raise it, too; where this coroutine is closed, it is no failure.
                return _is_current(self._task)
            case asyncio.CancelledError():
                return not self._stopping.is_set() and self._wanted() and _kept_alive(self._task)
            case _:
                return True

    def _wanted(self) -> bool:
        """Whether the task that started it is still there. Where it has ended, the event loop itself is cancelling all
        that is left before it closes: to outlive that would keep the process from ending."""
        return self._owner is None or not self._owner.done()

    def _interrupted(self, failure: BaseException) -> None:
        self._restarts += 1
        why = f"its loop was interrupted ({said(failure)}) and goes on"
        for part in self.parts:
            part.interrupted(why)
        if times := self._sayings.times(why):
            log.error("%s: %s%s", ", ".join(part.name for part in self.parts), why, _often(times))


class Supervisor:
    """The loops of one engine."""

    def __init__(self, loops: Sequence[Loop]) -> None:
        self._loops = loops

    def start(self) -> None:
        for loop in self._loops:
            loop.start()

    async def stop(self) -> None:
        await asyncio.gather(*(loop.stop() for loop in self._loops))

    def reports(self) -> Sequence[LoopReport]:
        """Every part, in the order of its turns."""
        return [report for loop in self._loops for report in loop.reports()]

    def readiness(self) -> Readiness:
        return Readiness(tuple(sentence for loop in self._loops for sentence in loop.complaints()))


def said(failure: BaseException) -> str:
    """A failure in one clause.

    >>> said(ValueError("no")), said(asyncio.CancelledError())
    ('ValueError: no', 'something in this process cancelled it')
    """
    if isinstance(failure, MahavishnuError):
        return str(failure)
    if isinstance(failure, asyncio.CancelledError):
        return "something in this process cancelled it"
    text = str(failure)
    return excerpt(f"{type(failure).__name__}: {text}", 500) if text else type(failure).__name__


def _place(failure: BaseException) -> str:
    """What makes failures the same, whatever numbers and addresses their texts hold: the kind, and where it arose."""
    frames = extract_tb(failure.__traceback__)
    where = f" {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{type(failure).__qualname__}{where}"


def _often(times: int) -> str:
    return "" if times == 1 else f" ({times} times since this was last said)"


def _is_current(task: asyncio.Task[None] | None) -> bool:
    try:
        return asyncio.current_task() is task
    except RuntimeError:
        return False


def _kept_alive(task: asyncio.Task[None] | None) -> bool:
    """Take a cancellation back, so that what is awaited from now on is not confused by it."""
    while task is not None and task.cancelling():
        task.uncancel()
    return True
