"""Runs on a workflow server: started without waiting, watched from afar, stopped where they are."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from hashlib import sha256
from typing import Any

import httpx

from mahavishnu.errors import AdapterError, Cancelled, Crashed, TimedOut, Transient
from mahavishnu.model import HEALTHY, Chunk, Health, HealthStatus, Result, Status, Target, Task, Usage
from mahavishnu.ports import Call, RunRef
from mahavishnu_llamaindex.answers import answer_of, result_of, tokens_in
from mahavishnu_llamaindex.failures import health_of
from mahavishnu_llamaindex.meter import estimate
from mahavishnu_llamaindex.options import options_of
from mahavishnu_llamaindex.places import Served
from mahavishnu_llamaindex.server import Handler, Server, no_such_workflow
from mahavishnu_llamaindex.starting import TEXT_AS, start_fields

TAKEN_UP_AFTER_S = 30.0
"""How old a run must be for a restarted server to go on with it: llama-agents-server 0.8 calls a younger one running
for ever (RESUME_FRESH_HANDLER_GRACE), so as not to take it away from another server on the same store."""

_FIRST_LOOK_S = 0.02
_STOPS_WITHIN_S = 2.0
_TIMED_OUT = "Workflow timed out after"
"""How the server words it; in its `status`, such a run has failed like any other."""

_STATUS = {"running": Status.RUNNING, "completed": Status.SUCCEEDED, "cancelled": Status.CANCELLED}


class Remote:
    """The targets whose workflow is on a server."""

    def __init__(self, key_env: str | None, poll_s: float, patience_s: float) -> None:
        self._key_env = key_env
        self._poll_s = poll_s
        self._patience_s = patience_s
        self._client: httpx.AsyncClient | None = None

    async def pieces(
        self, place: Served, task: Task, target: Target, call: Call, *, streaming: bool
    ) -> AsyncGenerator[Chunk | Result, None]:
        """What is said as it is said, and the Result of the whole. Raises AdapterError."""
        options = options_of(target)
        server = self._server(place, options.key_env)
        fields = start_fields(task, options.text_as or TEXT_AS)
        run_id, is_there = await _identified(server, place.name, fields, call)
        await call.announce(run_id)
        said = ""
        try:
            if not is_there:
                await server.start(place.name, fields, run_id)
            if streaming:
                async with aclosing(server.events(run_id)) as events:
                    async for event in events:
                        if delta := _delta(event):
                            said += delta
                            yield Chunk(text=delta, usage=_usage(said))
            handler = await self._end(server, run_id)
        except (Transient, TimedOut) as problem:
            if problem.may_have_run:
                await _stop(server, run_id)
            raise
        except (asyncio.CancelledError, GeneratorExit):
            await _stop(server, run_id)
            raise
        value = _value(handler)
        usage = replace(_told(value) or _usage(said), seconds=handler.seconds)
        yield result_of(answer_of(value), options, usage, run_id)

    async def status(self, place: Served, run: RunRef) -> Status | None:
        """Raises AdapterError where the server cannot be asked: that a run is not known would be another answer."""
        server = self._server(place, options_of(run.target).key_env)
        handler = await server.handler(run.run_id or run.execution_id)
        if handler is None:
            return None
        if handler.error.startswith(_TIMED_OUT):
            return Status.TIMED_OUT
        return _STATUS.get(handler.status, Status.FAILED)

    async def cancel(self, place: Served, run: RunRef) -> bool:
        """Raises AdapterError where the server cannot be asked."""
        server = self._server(place, options_of(run.target).key_env)
        return await server.cancel(run.run_id or run.execution_id)

    async def health(self, place: Served, target: Target) -> Health:
        try:
            server = self._server(place, options_of(target).key_env)
            ready, known = await server.is_ready(), await server.workflows()
        except AdapterError as problem:
            return health_of(problem)
        if place.name not in known:
            return Health(HealthStatus.MISCONFIGURED, no_such_workflow(place.server, place.name, known))
        return HEALTHY if ready else Health(HealthStatus.DEGRADED, f"{place.server} says that it is not ready yet")

    async def workflows(self, server_url: str) -> list[str]:
        """The names of what a server has. Raises AdapterError."""
        return await Server(server_url.rstrip("/"), self._http(), self._key_env).workflows()

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _server(self, place: Served, key_env: str | None) -> Server:
        return Server(place.server, self._http(), key_env or (self._key_env if place.ours else None))

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            # How many run at once is not decided here; a stream holds a connection for as long as its run lasts.
            self._client = httpx.AsyncClient(limits=httpx.Limits(max_connections=None, max_keepalive_connections=20))
        return self._client

    async def _end(self, server: Server, run_id: str) -> Handler:
        """Look until it has ended. A look that fails is no failed run: the server may come back with what it knew."""
        sight, pause_s = _Sight(self._patience_s), _FIRST_LOOK_S
        while True:
            try:
                handler = await server.handler(run_id)
            except (Transient, TimedOut) as problem:
                sight.lost(problem)
            else:
                if handler is None:
                    raise Transient(
                        f"{server.url} no longer knows the run, as after a restart without a store that lasts; "
                        "give the server a SqliteWorkflowStore"
                    )
                if handler.status != "running":
                    return handler
                sight.regained()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, self._poll_s)


class _Sight:
    """Whether what a server says of a run that it calls running can be believed."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._began_s = time.monotonic()
        self._lost_s: float | None = None
        self._gone = False

    def lost(self, problem: AdapterError) -> None:
        """The server did not answer. Raises Transient where that has been so for longer than the patience."""
        now_s = time.monotonic()
        self._lost_s = now_s if self._lost_s is None else self._lost_s
        self._gone = self._gone or isinstance(problem.__cause__, httpx.ConnectError)
        if now_s - self._lost_s >= self._patience_s:
            raise Transient(f"the run was lost from sight: {problem}") from problem

    def regained(self) -> None:
        """It calls it running. Raises Transient where it was gone meanwhile and does not take up such a young run."""
        if self._gone and self._lost_s is not None and self._lost_s - self._began_s < TAKEN_UP_AFTER_S:
            raise Transient(
                "the server was restarted under the run, which was too young to be taken up again; it was stopped"
            )
        self._lost_s, self._gone = None, False


async def _stop(server: Server, run_id: str) -> None:
    """Nobody waits for it any more. What cannot be stopped now is found again by the id that was announced."""
    with suppress(AdapterError, TimeoutError):
        await asyncio.wait_for(server.cancel(run_id), _STOPS_WITHIN_S)


async def _identified(server: Server, workflow: str, fields: Mapping[str, Any], call: Call) -> tuple[str, bool]:
    """The id of the run, and whether it is there already: under one idempotency key, work is taken up and not redone.

    The id of a run that failed is not used again, because the server would begin with the state that it left behind.
    """
    if call.idempotency_key is None:
        return call.execution_id, False
    asked = json.dumps([call.idempotency_key, workflow, fields], sort_keys=True)
    run_id = f"key-{sha256(asked.encode()).hexdigest()[:32]}"
    handler = await server.handler(run_id, begun=False)
    if handler is None:
        return run_id, False
    if handler.status in ("running", "completed"):
        return run_id, True
    return call.execution_id, False


def _value(handler: Handler) -> Any:
    """What the workflow ended with. Raises AdapterError where it did not come to that."""
    if handler.status == "cancelled":
        raise Cancelled("the workflow was stopped on its server")
    if handler.status != "completed":
        if handler.error.startswith(_TIMED_OUT):
            raise TimedOut(f"{handler.error}; give the workflow more time, or less to do")
        raise Crashed(handler.error)
    event = handler.ended.get("value")
    if handler.ended.get("type") == "StopEvent" and isinstance(event, Mapping):
        return event.get("result")
    return event


def _delta(event: Mapping[str, Any]) -> str:
    """The piece of text that an event carries, by the name that LlamaIndex's own events have for it."""
    value = event.get("value")
    # What an event's class does not declare comes under `_data`.
    places = (value, value.get("_data")) if isinstance(value, Mapping) else ()
    deltas = (each.get("delta") for each in places if isinstance(each, Mapping))
    return next((each for each in deltas if isinstance(each, str)), "")


def _told(value: Any) -> Usage | None:
    """What the workflow says that it used, where it says it: a server does not know what models its steps ask."""
    told = tokens_in(value) if isinstance(value, Mapping) else None
    return replace(told, queries=1) if told else None


def _usage(said: str) -> Usage:
    return Usage(queries=1, output_tokens=estimate(said), estimated=True)
