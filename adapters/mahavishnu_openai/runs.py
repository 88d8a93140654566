"""The calls under way: how long each may still wait, and how one is stopped from outside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from mahavishnu.errors import Cancelled, TimedOut
from mahavishnu_openai.prompt import Request


class Run:
    """One call. Everything it waits for, it awaits inside `waiting`; `begun` once the first token is there."""

    def __init__(self, request: Request) -> None:
        self.begun = not request.streamed
        self._request = request
        self._loop = asyncio.get_running_loop()
        self._started_s = self._loop.time()
        self._limit: asyncio.Timeout | None = None
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(self._loop.time())

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """No longer than is left: for the whole answer, and, until that has begun, for its first token.

        Raises TimedOut, or Cancelled where the run was stopped on request.
        """
        self._check()
        limit_s, problem = self._strictest()
        try:
            async with asyncio.timeout_at(None if limit_s is None else self._started_s + limit_s) as self._limit:
                yield
        except TimeoutError:
            self._check()
            raise TimedOut(problem) from None
        finally:
            self._limit = None

    def _check(self) -> None:
        if self._cancelled:
            raise Cancelled("stopped on request")

    def _strictest(self) -> tuple[float | None, str]:
        """Seconds from the start of the run, and what to say when they are over."""
        where = f"{self._request.endpoint.host}, {self._request.model}"
        whole_s, first_s = self._request.within_s, self._request.first_within_s
        if self.begun or (whole_s is not None and whole_s <= first_s):
            return whole_s, f"{where}: no whole answer within {whole_s or 0:.3g} s; give it more time, or ask for less"
        return first_s, f"{where}: no first token within {first_s:.3g} s; is it overloaded? (option first_token_ms)"


class Runs:
    """The calls of this process by execution: nobody else can ask after one, since a completion has no address."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}

    def __contains__(self, execution_id: str) -> bool:
        return execution_id in self._runs

    @contextmanager
    def begin(self, execution_id: str, request: Request) -> Iterator[Run]:
        run = self._runs[execution_id] = Run(request)
        try:
            yield run
        finally:
            self._runs.pop(execution_id, None)

    def cancel(self, execution_id: str) -> bool:
        run = self._runs.get(execution_id)
        if run is None:
            return False
        run.cancel()
        return True
