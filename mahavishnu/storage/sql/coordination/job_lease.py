"""Holding on to a job, so that no other process begins it while it is on its way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mahavishnu.errors import JobTakenOver
from mahavishnu.ports import Clock, Store

log = logging.getLogger("mahavishnu.storage")

LEASE_S = 60.0
"""How long a run counts as being on its way after its process was last heard of."""


@dataclass(slots=True)
class Hold:
    """Whether the run is still ours: once it is lost, nothing new may begin."""

    lost: bool = False


@asynccontextmanager
async def held(store: Store, run_id: str, clock: Clock, job: str, *, interrupting: bool = False) -> AsyncIterator[Hold]:
    """Holds on to a run for as long as it takes, whatever goes wrong with the asking.

    Where another process has taken it over that is logged. With `interrupting` the body is cancelled as well, and
    JobTakenOver leaves here: two runs of one job at once is what the claim is there to prevent.
    """
    body = asyncio.current_task()
    cancelling = body.cancelling() if body is not None else 0
    holding = _Holding(store, run_id, clock, job, body if interrupting else None)
    holding.begin()
    try:
        try:
            yield holding.hold
        finally:
            await holding.end()
    except asyncio.CancelledError:
        if interrupting and holding.hold.lost and body is not None and body.uncancel() <= cancelling:
            raise JobTakenOver(job=job) from None
        raise


class _Holding:
    """A task that asks for the run again and again; it is begun anew where something else ends it."""

    def __init__(
        self, store: Store, run_id: str, clock: Clock, job: str, interrupts: asyncio.Task[object] | None
    ) -> None:
        self.hold = Hold()
        self._store = store
        self._run_id = run_id
        self._clock = clock
        self._job = job
        self._interrupts = interrupts
        self._ending = False
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._keep(), name=f"holding {self._job}")
        self._task.add_done_callback(self._ended)

    async def end(self) -> None:
        self._ending = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _keep(self) -> None:
        while not self.hold.lost:
            await self._clock.sleep(LEASE_S / 4)
            try:
                self.hold.lost = not await self._store.extend_job(self._run_id, LEASE_S)
            except BaseException as trouble:
                if not isinstance(trouble, Exception):
                    raise
                # Asked again before the lease is over: what is wrong may pass.
                log.warning("job %s could not be held on to, and is asked for again: %r", self._job, trouble)

    def _ended(self, task: asyncio.Task[None]) -> None:
        failure = None if task.cancelled() else task.exception()
        if self._ending or task.get_loop().is_closed():
            return
        if self.hold.lost:
            log.error("job %s was taken over by another process; nothing more of it begins here", self._job)
            if self._interrupts is not None:
                self._interrupts.cancel()
            return
        log.error("holding on to job %s was interrupted (%r), and goes on", self._job, failure or "cancelled")
        self.begin()
