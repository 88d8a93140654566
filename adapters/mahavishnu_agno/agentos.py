"""An AgentOS as it is asked over HTTP: form fields in, JSON or server-sent events out."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx

from mahavishnu.errors import Misconfigured, Transient
from mahavishnu.redaction import learnt
from mahavishnu_agno.trouble import failure_of, failure_of_reply
from mahavishnu_agno.usage import Body

_ASKING_S = 5.0
"""How long a question may take that starts no run."""

# How long a run may take is the engine's business: it holds the deadline.
_RUNNING = httpx.Timeout(connect=_ASKING_S, read=None, write=30.0, pool=None)


class AgentOs:
    """One server. Its key is read from the environment for every request, so that a new one counts at once."""

    def __init__(self, base: str, key_env: str | None) -> None:
        self.base = base
        self._key_env = key_env
        limits = httpx.Limits(max_connections=None)
        self._client = httpx.AsyncClient(base_url=base, timeout=_RUNNING, limits=limits)

    async def find(self, path: str, params: Mapping[str, str] | None = None) -> Body | None:
        """A short question; None where there is no such thing. Raises AdapterError."""
        response = await self._sent("GET", path, params=params, timeout=_ASKING_S)
        return None if response.status_code == httpx.codes.NOT_FOUND else self._body(response, path)

    async def listed(self, path: str) -> Sequence[Body]:
        """What there is of one kind, each with its id. Raises AdapterError."""
        found = self._json(await self._sent("GET", path, timeout=_ASKING_S), path)
        if not isinstance(found, list) or not all(isinstance(each, dict) and "id" in each for each in found):
            raise self._no_agent_os(path)
        return found

    async def tell(self, path: str) -> None:
        """An order that is obeyed or not. Raises AdapterError."""
        self._body(await self._sent("POST", path, timeout=_ASKING_S), path)

    async def whole(self, path: str, form: Mapping[str, str]) -> Body:
        """A run that is answered when it is over. Raises AdapterError."""
        return self._body(await self._sent("POST", path, data=form, timeout=_RUNNING), path)

    async def events(self, path: str, form: Mapping[str, str]) -> AsyncGenerator[Body, None]:
        """A run that tells what happens in it. Raises AdapterError."""
        try:
            async with self._client.stream("POST", path, data=dict(form), headers=self._headers()) as response:
                if not response.is_success:
                    await response.aread()
                    raise failure_of_reply(response, _said(response), self.base + path)
                if not response.headers.get("content-type", "").startswith("text/event-stream"):
                    raise self._no_agent_os(path)
                async for event in self._parsed(response.aiter_lines(), path):
                    yield event
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            raise failure_of(problem, self.base) from problem

    async def started_at(self) -> float | None:
        """When this server was started, in seconds since 1970; None where it does not tell."""
        told = await self.find("/health") or {}
        try:
            return datetime.fromisoformat(told["instantiated_at"]).timestamp()
        except (KeyError, TypeError, ValueError):
            return None

    async def close(self) -> None:
        await self._client.aclose()

    async def _sent(self, method: str, path: str, **given: Any) -> httpx.Response:
        try:
            return await self._client.request(method, path, headers=self._headers(), **given)
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            raise failure_of(problem, self.base) from problem

    def _body(self, response: httpx.Response, path: str) -> Body:
        body = self._json(response, path)
        if not isinstance(body, dict):
            raise self._no_agent_os(path)
        return body

    def _json(self, response: httpx.Response, path: str) -> Any:
        if not response.is_success:
            raise failure_of_reply(response, _said(response), self.base + path)
        try:
            return response.json()
        except ValueError:
            raise self._no_agent_os(path) from None

    async def _parsed(self, lines: AsyncIterator[str], path: str) -> AsyncIterator[Body]:
        async for line in lines:
            name, _, value = line.partition(":")
            if name != "data":
                continue
            event = _event(value)
            if event is None:
                raise Transient(f"{self.base}{path} sent an event that cannot be read")
            yield event

    def _headers(self) -> dict[str, str]:
        key = learnt(os.environ.get(self._key_env, "")) if self._key_env else None
        return {"Authorization": f"Bearer {key}"} if key else {}

    def _no_agent_os(self, path: str) -> Misconfigured:
        return Misconfigured(f"{self.base}{path} does not answer as an AgentOS does; check the URL")


def _event(data: str) -> Body | None:
    try:
        event = json.loads(data)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def _said(response: httpx.Response) -> str:
    try:
        said = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return response.text
    return said if isinstance(said, str) else json.dumps(said)
