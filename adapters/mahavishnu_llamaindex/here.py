"""Runs in this process: engines that are found once, and asked in tasks that can be stopped from outside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from mahavishnu.errors import AdapterError, Cancelled, Contained
from mahavishnu.model import HEALTHY, Chunk, Health, Result, Status, Target, Task
from mahavishnu.ports import Call, RunRef
from mahavishnu_llamaindex.answers import Answer, result_of
from mahavishnu_llamaindex.failures import failure_of, health_of
from mahavishnu_llamaindex.meter import Meter
from mahavishnu_llamaindex.options import Options, options_of
from mahavishnu_llamaindex.places import Here, Index
from mahavishnu_llamaindex.threads import Threads

if TYPE_CHECKING:
    from mahavishnu_llamaindex.engines import Engine

_STOPS_S = (1.0, 0.3, 0.3)
"""How often a run is told to stop, and how long it is waited for each time, before it is left to itself."""


class Run:
    """One run under way: what it says comes out of `next`, a failure or the Answer at the end."""

    def __init__(self, ask: Callable[[], AsyncGenerator[str | Answer, None]]) -> None:
        self._said: asyncio.Queue[str | Answer | BaseException] = asyncio.Queue()
        self._carrier = asyncio.get_running_loop().create_task(self._carry(ask))

    async def _carry(self, ask: Callable[[], AsyncGenerator[str | Answer, None]]) -> None:
        with Contained() as inside:
            async with aclosing(ask()) as pieces:
                async for piece in pieces:
                    self._said.put_nowait(piece)
            return
        self._said.put_nowait(inside.failure)

    async def next(self) -> str | Answer:
        """Raises AdapterError."""
        said = await self._said.get()
        if isinstance(said, BaseException):
            raise failure_of(said)
        return said

    def cancel(self) -> None:
        """Stop it on request: whoever waits for it is told, and stops the work."""
        self._said.put_nowait(Cancelled("stopped on request"))

    async def stop(self) -> None:
        """Let go of the work. It is told more than once, since cleaning up may wait for what will never come."""
        for patience_s in _STOPS_S:
            if self._carrier.done():
                return
            self._carrier.cancel()
            await asyncio.wait({self._carrier}, timeout=patience_s)


class InProcess:
    """The targets whose engine is an object of this process."""

    def __init__(self, max_threads: int) -> None:
        self._threads = Threads(max_threads)
        self._engines: dict[tuple[Here | Index, Options], Engine] = {}
        self._finding: dict[tuple[Here | Index, Options], asyncio.Lock] = {}
        self._runs: dict[str, Run] = {}

    async def pieces(
        self, place: Here | Index, task: Task, target: Target, call: Call, *, streaming: bool
    ) -> AsyncGenerator[Chunk | Result, None]:
        """What is said as it is said, and the Result of the whole. Raises AdapterError."""
        options = options_of(target)
        meter = Meter()

        async def ask() -> AsyncGenerator[str | Answer, None]:
            engine = await self._engine(place, options)
            meter.count_here()
            async with aclosing(engine.ask(task, streaming=streaming)) as pieces:
                async for piece in pieces:
                    yield piece

        run = self._runs[call.execution_id] = Run(ask)
        try:
            while isinstance(said := await run.next(), str):
                if streaming:
                    yield Chunk(text=said, usage=meter.usage)
            yield result_of(said, options, meter.usage, None, embedded_tokens=meter.embedded_tokens)
        finally:
            await run.stop()
            self._runs.pop(call.execution_id, None)

    def status(self, run: RunRef) -> Status | None:
        return Status.RUNNING if run.execution_id in self._runs else None

    def cancel(self, run: RunRef) -> bool:
        found = self._runs.get(run.execution_id)
        if found is None:
            return False
        found.cancel()
        return True

    async def health(self, place: Here | Index, target: Target) -> Health:
        try:
            await self._engine(place, options_of(target))
        except AdapterError as problem:
            return health_of(problem)
        return HEALTHY

    async def build(self, documents: Path, into: Path, embed_model: str) -> int:
        """An index of the texts in a folder; how many there were. Raises Misconfigured."""
        return await self._threads.call(lambda: _built(documents, into, embed_model))

    async def _engine(self, place: Here | Index, options: Options) -> Engine:
        """Kept once it is found; what is not found is looked for again the next time."""
        # These two say nothing about the engine, and targets that share one should share it.
        key = (place, options.model_copy(update={"quality": None, "key_env": None}))
        if key not in self._engines:
            async with self._finding.setdefault(key, asyncio.Lock()):
                if key not in self._engines:
                    self._engines[key] = await self._threads.call(lambda: _found(place, options, self._threads))
        return self._engines[key]


def _found(place: Here | Index, options: Options, threads: Threads) -> Engine:
    # Imported in a thread, and only when it is needed: it takes seconds.
    from mahavishnu_llamaindex.engines import engine_at

    return engine_at(place, options, threads)


def _built(documents: Path, into: Path, embed_model: str) -> int:
    from mahavishnu_llamaindex.indexes import build

    return build(documents, into, embed_model)
