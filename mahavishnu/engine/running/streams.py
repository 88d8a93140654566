"""Streams: an answer on its way to the caller while it is still being written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from mahavishnu.engine.running.adapter_results import chunk_of
from mahavishnu.errors import Crashed
from mahavishnu.model import Chunk, Result, Target, Task, Usage
from mahavishnu.ports import Adapter, Call, Streams


class Stream:
    """What lies between an adapter that writes and a caller that reads.

    `begun` once a chunk has been handed over: from then on another target cannot start again from the beginning.
    `usage` is what the last chunk said: an answer that breaks off is not free.
    """

    def __init__(self) -> None:
        self._chunks: asyncio.Queue[Chunk | None] = asyncio.Queue()
        self.begun = False
        self.usage = Usage()

    def put(self, chunk: Chunk) -> None:
        self.begun = True
        self.usage = chunk.usage
        self._chunks.put_nowait(chunk)

    def end(self, _: object = None) -> None:
        self._chunks.put_nowait(None)

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        while (chunk := await self._chunks.get()) is not None:
            yield chunk


async def streamed(adapter: Adapter, task: Task, target: Target, call: Call, stream: Stream) -> Result:
    """Run a task, chunk by chunk where the adapter can, and hand back the Result of the whole."""
    if not isinstance(adapter, Streams):
        result: object = await adapter.run(task, target, call)
        if not isinstance(result, Result):
            raise Crashed(f"returned {type(result).__name__} and not a Result")
        if isinstance(result.value, str):
            stream.put(chunk_of(Chunk(text=result.value, usage=result.usage)))
        return result
    async with aclosing(adapter.stream(task, target, call)) as parts:
        async for part in parts:
            if isinstance(part, Result):
                return part
            stream.put(chunk_of(part))
    raise Crashed("its stream ended without a result")
