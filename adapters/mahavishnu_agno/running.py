"""One run under way: its events are read in a task of their own, so that it can be stopped at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from mahavishnu.errors import AdapterError, Cancelled
from mahavishnu.model import Chunk, Result
from mahavishnu.ports import Call
from mahavishnu_agno.engine import Asked, Engine
from mahavishnu_agno.naming import Contained
from mahavishnu_agno.reading import Reader
from mahavishnu_agno.trouble import failure_of

_LETS_GO_WITHIN_S = 1.0
_STOPS_WITHIN_S = 0.8


class Run:
    def __init__(self, engine: Engine, asked: Asked, slots: asyncio.Semaphore) -> None:
        self._engine = engine
        self._asked = asked
        self._slots = slots
        self._reader = Reader(asked.message)
        self._pieces: asyncio.Queue[str | Chunk | Result | None] = asyncio.Queue()
        self._failure: BaseException | None = None
        self._begun = False
        self._cancelled = False
        self._task: asyncio.Task[None] | None = None

    def cancel(self) -> None:
        """Somebody asked for it: whoever waits for the run gets a Cancelled."""
        self._cancelled = True
        if self._task is not None:
            self._task.cancel()

    async def pieces(self, call: Call) -> AsyncGenerator[Chunk | Result, None]:
        """Chunks, and last of all the Result. Raises AdapterError. Leaving it early stops the run."""
        self._task = asyncio.create_task(self._follow())
        # Not at the end of the task's own code: one that is cancelled before its turn comes never gets there.
        self._task.add_done_callback(lambda _: self._pieces.put_nowait(None))
        if self._cancelled:
            self._task.cancel()
        try:
            while (piece := await self._pieces.get()) is not None:
                if isinstance(piece, str):
                    await call.announce(piece)
                else:
                    yield piece
            if self._cancelled and not self._reader.ended:
                raise Cancelled("it was cancelled on request")
            if self._failure is not None:
                raise failure_of(self._failure, "the run")
        finally:
            await self._let_go()

    async def _follow(self) -> None:
        """Raises nothing, whatever an agent's tools may raise or a server may send: who waits for the run is told."""
        with Contained() as inside:
            async with self._slots:
                self._begun = True
                await self._read()
            result = self._reader.result()
            if last := self._reader.last_chunk(result):
                self._pieces.put_nowait(last)
            self._pieces.put_nowait(result)
        self._failure = inside.failure

    async def _read(self) -> None:
        announced = False
        async with aclosing(self._engine.events(self._asked)) as events:
            async for event in events:
                chunk = self._reader.read(event)
                if not announced and self._reader.run_id is not None:
                    announced = True
                    self._pieces.put_nowait(self._reader.run_id)
                if chunk is not None:
                    self._pieces.put_nowait(chunk)

    async def _let_go(self) -> None:
        """Bounded: a run that does not obey is left alone."""
        assert self._task is not None  # noqa: S101 - set by the only caller
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=_LETS_GO_WITHIN_S)
        never_began = not self._begun or (isinstance(self._failure, AdapterError) and not self._failure.may_have_run)
        if never_began or self._reader.ended:
            return
        with suppress(AdapterError, TimeoutError):
            async with asyncio.timeout(_STOPS_WITHIN_S):
                await self._engine.stop(self._reader.run_id or self._asked.run_id, self._asked.session_id)
