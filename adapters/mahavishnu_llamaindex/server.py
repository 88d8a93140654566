"""A LlamaIndex workflow server over HTTP: what can be asked of it, and what its answers mean."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from mahavishnu.errors import (
    AdapterError,
    Crashed,
    Misconfigured,
    Refused,
    TimedOut,
    Transient,
    did_you_mean,
    nearest_name,
)
from mahavishnu.redaction import excerpt, learnt, redacted
from mahavishnu_llamaindex.failures import by_status, described, retry_after

TIMEOUT = httpx.Timeout(10.0, connect=5.0)
EVENTS_TIMEOUT = httpx.Timeout(10.0, connect=5.0, read=None)
"""A workflow may be silent for as long as it likes; the server's own sign of life is not passed on in this format."""


@dataclass(frozen=True, slots=True)
class Handler:
    """A run, as its server describes it. `status`: running, completed, failed or cancelled."""

    status: str
    error: str
    ended: Mapping[str, Any]
    seconds: float


class Server:
    """One server. Every method raises AdapterError and nothing else."""

    def __init__(self, url: str, client: httpx.AsyncClient, key_env: str | None) -> None:
        self.url = url
        self._client = client
        self._key_env = key_env

    async def workflows(self) -> list[str]:
        names = (await self._json("/workflows")).get("workflows")
        return [str(each) for each in names] if isinstance(names, list) else []

    async def is_ready(self) -> bool:
        """Whether it takes work, by its own word. One that says so in other words than ours is believed."""
        response = await self._ask("GET", "/health", begun=False)
        return response.status_code != HTTPStatus.SERVICE_UNAVAILABLE

    async def start(self, workflow: str, fields: Mapping[str, Any], handler_id: str) -> None:
        """Under an id of ours: so it is known before anything runs, and one id never runs twice at the same time."""
        event = await self._start_event(workflow, fields)
        body = {"start_event": event, "handler_id": handler_id}
        response = await self._ask("POST", f"/workflows/{quote(workflow, safe='')}/run-nowait", body, begun=False)
        if response.is_success:
            return
        match response.status_code:
            case HTTPStatus.CONFLICT:
                return
            case HTTPStatus.NOT_FOUND:
                raise await self._no_such(workflow)
            case HTTPStatus.BAD_REQUEST | HTTPStatus.UNPROCESSABLE_ENTITY:
                raise Refused(
                    f'workflow "{workflow}" does not take this payload: {self._words(response)}; correct it, '
                    "or set the target's option text_as"
                )
            case status:
                raise self._failure(response, may_have_run=status >= HTTPStatus.INTERNAL_SERVER_ERROR)

    async def handler(self, handler_id: str, *, begun: bool = True) -> Handler | None:
        """None where it is not known. `begun`: whether the run may be under way, should the server not answer."""
        response = await self._ask("GET", f"/handlers/{quote(handler_id, safe='')}", begun=begun)
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        # A failed and a cancelled run come with a 500, like a server in trouble: the status in the body decides.
        told = _told(response)
        if not isinstance(told.get("status"), str):
            if response.status_code == HTTPStatus.UNPROCESSABLE_ENTITY:
                raise Crashed("the workflow ended with something that its server cannot read; end it with plain JSON")
            raise self._failure(response, may_have_run=begun)
        return Handler(
            status=told["status"],
            error=redacted(str(told.get("error") or "it gave no reason")),
            ended=_object(told.get("result")),
            seconds=_seconds(told.get("started_at"), told.get("completed_at")),
        )

    async def cancel(self, handler_id: str) -> bool:
        """Whether there was one to stop. One that takes its time to stop has been told to."""
        path = f"/handlers/{quote(handler_id, safe='')}/cancel"
        try:
            if not await self._cancelled(path):
                return False
            if await self._still_called_running(handler_id):
                # The answer comes when the run has ended. What is "running" even then is no run: the server was killed
                # under it and did not take it up again, and only the record is left to be removed.
                await self._cancelled(f"{path}?purge=true")
        except TimedOut:
            return True
        return True

    async def _still_called_running(self, handler_id: str) -> bool:
        """Looked at more than once, since what a run ended as is written down a moment after it has ended."""
        for pause_s in (0.02, 0.1, 0.3, 0.6):
            handler = await self.handler(handler_id)
            if handler is None or handler.status != "running":
                return False
            await asyncio.sleep(pause_s)
        return True

    async def _cancelled(self, path: str) -> bool:
        response = await self._ask("POST", path, begun=True)
        if response.status_code == HTTPStatus.NOT_FOUND:
            return False
        if not response.is_success:
            raise self._failure(response, may_have_run=True)
        return True

    async def events(self, handler_id: str) -> AsyncGenerator[Mapping[str, Any], None]:
        """What the run writes to its stream, from the beginning to its end."""
        path = f"{self.url}/events/{quote(handler_id, safe='')}"
        query = {"sse": "false", "after_sequence": "-1"}
        try:
            async with self._client.stream(
                "GET", path, params=query, headers=self._headers(), timeout=EVENTS_TIMEOUT
            ) as response:
                if response.status_code not in (HTTPStatus.OK, HTTPStatus.NO_CONTENT):
                    await response.aread()
                    raise self._failure(response, may_have_run=True)
                async for line in response.aiter_lines():
                    if line.strip():
                        yield _object(json.loads(line))
        except (httpx.TransportError, httpx.InvalidURL, ValueError) as problem:
            raise self._lost(problem, begun=True) from problem

    async def _start_event(self, workflow: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Fields that look like the server's own envelope are put into one, so that they are not taken for it."""
        if "value" not in fields and not {"type", "qualified_name"} <= fields.keys():
            return fields
        schema = await self._json(f"/workflows/{quote(workflow, safe='')}/schema")
        return {"type": _object(schema.get("start")).get("title", "StartEvent"), "value": fields}

    async def _no_such(self, workflow: str) -> Misconfigured:
        return Misconfigured(no_such_workflow(self.url, workflow, await self.workflows()))

    async def _json(self, path: str) -> Mapping[str, Any]:
        response = await self._ask("GET", path, begun=False)
        if not response.is_success:
            raise self._failure(response, may_have_run=False)
        return _told(response)

    async def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, begun: bool
    ) -> httpx.Response:
        """`begun`: whether the run is under way whatever becomes of this request. One with a body begins it."""
        try:
            return await self._client.request(
                method, f"{self.url}{path}", json=body, headers=self._headers(), timeout=TIMEOUT
            )
        except (httpx.TransportError, httpx.InvalidURL) as problem:
            raise self._lost(problem, begun=begun, begins=body is not None) from problem

    def _headers(self) -> dict[str, str]:
        if self._key_env is None:
            return {}
        return {"Authorization": f"Bearer {self._key()}"}

    def _key(self) -> str:
        key = learnt(os.environ.get(self._key_env or "", ""))
        if self._key_env is not None and not key:
            raise Misconfigured(f"the key of {self.url} is missing; set the environment variable {self._key_env}")
        return key

    def _failure(self, response: httpx.Response, *, may_have_run: bool) -> AdapterError:
        after_s = retry_after(response.headers.get("retry-after"))
        words = self._words(response)
        failure = by_status(response.status_code, self.url, words, after_s, may_have_run=may_have_run)
        return failure or Misconfigured(
            f"{self.url} answers {response.status_code}: {words}; is it a workflow server?", may_have_run
        )

    def _lost(self, problem: Exception, *, begun: bool, begins: bool = False) -> AdapterError:
        match problem:
            case httpx.UnsupportedProtocol() | httpx.InvalidURL():
                return Misconfigured(f'"{self.url}" is no address ({problem}); write it as http://host:port')
            case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.PoolTimeout():
                return Transient(f"{self.url} cannot be reached: {described(problem)}; is it up?", begun)
            case httpx.TimeoutException():
                return TimedOut(f"{self.url} does not answer: {described(problem)}", begun or begins)
            case _:
                return Transient(f"the connection to {self.url} broke: {described(problem)}", begun or begins)

    def _words(self, response: httpx.Response) -> str:
        detail = _told(response).get("detail")
        return excerpt(str(detail) if detail else response.text.strip() or response.reason_phrase, 300)


def no_such_workflow(url: str, workflow: str, known: Sequence[str]) -> str:
    nearest = nearest_name(workflow, known)
    hint = did_you_mean(nearest) or f"; it has {', '.join(known) or 'none'}"
    return f'{url} has no workflow "{workflow}"{hint}'


def _told(response: httpx.Response) -> Mapping[str, Any]:
    """The JSON object of an answer; empty where it is none."""
    try:
        return _object(response.json())
    except ValueError:
        return {}


def _object(told: object) -> Mapping[str, Any]:
    return told if isinstance(told, dict) else {}


def _seconds(began: object, ended: object) -> float:
    try:
        return (datetime.fromisoformat(str(ended)) - datetime.fromisoformat(str(began))).total_seconds()
    except ValueError:
        return 0.0
