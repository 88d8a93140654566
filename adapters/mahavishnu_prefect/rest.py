"""Prefect's REST API: one request at a time, and every way it can go wrong as an AdapterError."""

from __future__ import annotations

import asyncio
import os
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from mahavishnu.errors import AdapterError, Misconfigured, Transient
from mahavishnu.redaction import learn, learnt
from mahavishnu_prefect.refusals import refusal

T = TypeVar("T")

_MOST_CONNECTIONS = 16
"""Requests beyond these wait: a server on SQLite answers many at once more slowly than one after the other."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 1.0


@dataclass(eq=False)
class Unanswered(Transient):
    """Nobody answered: the server is not there, or the connection broke."""

    code: ClassVar[str] = Transient.code


class Api:
    """Requests to one Prefect API, at `url`. Raises AdapterError only.

    `may_have_run` of what it raises is about the request itself: False where it cannot have had an effect.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key_env: str | None,
        basic_auth_env: str | None,
        request_timeout_s: float,
        patience_s: float,
        changes_at_once: int = 1,
    ) -> None:
        self.url = _checked(url)
        self._api_key_env = api_key_env
        self._basic_auth_env = basic_auth_env
        self._patience_s = patience_s
        self._timeout = httpx.Timeout(request_timeout_s, pool=None)
        self._changes = asyncio.Semaphore(changes_at_once)
        self._clients: dict[bool, httpx.AsyncClient] = {}

    @property
    def api_key(self) -> str | None:
        return _secret(self._api_key_env)

    @property
    def basic_auth(self) -> str | None:
        return _secret(self._basic_auth_env)

    async def get(self, kind: TypeAdapter[T], path: str) -> T:
        return await self._request(self._client(lasting=True), kind, "GET", path)

    async def ask(self, kind: TypeAdapter[T], path: str, body: Any) -> T:
        """A question that does not fit into a URL: changes nothing on the server."""
        return await self._request(self._client(lasting=True), kind, "POST", path, body)

    async def send(self, kind: TypeAdapter[T], path: str, body: Any) -> T:
        """Begin, make or change something.

        A server on SQLite refuses most of the changes that come together (of two at a time more than half), so they
        wait here for each other. It also drops the connection on which it has refused one, and whoever used that next
        could not know whether it was heard: each change has a connection of its own.
        """
        async with self._changes:
            return await self._request(self._client(lasting=False), kind, "POST", path, body)

    async def patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer, which repeats no work: for questions about a run that is under way or over.

        Raises Transient where nothing was heard for as long as patience lasts, and at once what patience does not mend.
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._patience_s
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return await ask()
            except Transient as silence:
                left_s = until_s - loop.time()
                if left_s <= (silence.retry_after_s or 0.0):
                    raise
                rest_s = max(min(pause_s, left_s), silence.retry_after_s or 0.0)
            await asyncio.sleep(rest_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def close(self) -> None:
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()

    async def _request(
        self, client: httpx.AsyncClient, kind: TypeAdapter[T], method: str, path: str, body: Any = None
    ) -> T:
        try:
            reply = await client.request(method, self.url + path, json=body)
        except (httpx.ConnectError, httpx.ConnectTimeout) as problem:
            raise Unanswered(
                f"Prefect at {self.url} cannot be reached ({_described(problem)}); start it with "
                '"prefect server start", or mend api_url in [adapters.prefect]',
                may_have_run=False,
            ) from problem
        except httpx.RequestError as problem:
            raise Unanswered(
                f"Prefect at {self.url} gave no answer to {method} {path} ({_described(problem)})"
            ) from problem
        if not reply.is_success:
            raise refusal(reply, f"{method} {path}", self._keys())
        try:
            return kind.validate_json(reply.content)
        except ValidationError as problem:
            raise Misconfigured(
                f"{self.url} does not answer {method} {path} as a Prefect API does; api_url in [adapters.prefect] "
                "usually ends in /api",
                may_have_run=True,
            ) from problem

    def _client(self, *, lasting: bool) -> httpx.AsyncClient:
        """The client whose connections last beyond one request, or the one whose connections do not."""
        if lasting not in self._clients:
            self._clients[lasting] = httpx.AsyncClient(
                headers=self._headers(),
                timeout=self._timeout,
                limits=httpx.Limits(
                    max_connections=_MOST_CONNECTIONS,
                    max_keepalive_connections=_MOST_CONNECTIONS if lasting else 0,
                ),
            )
        return self._clients[lasting]

    def _headers(self) -> dict[str, str]:
        # Where both are there, Prefect's own client prefers the second too.
        if self.basic_auth:
            learn(self.basic_auth.partition(":")[2])
            return {"Authorization": f"Basic {b64encode(self.basic_auth.encode()).decode()}"}
        if self.api_key:
            if not (self.api_key.isascii() and self.api_key.isprintable()):
                raise Misconfigured(f"{self._api_key_env} holds letters that no API key has; copy the key once more")
            return {"Authorization": f"Bearer {self.api_key}"}
        return {}

    def _keys(self) -> str:
        """The variables that a key may stand in, for the sentence that asks for one."""
        return " or ".join(each for each in (self._api_key_env, self._basic_auth_env) if each) or "api_key_env"


@contextmanager
def work_begun(begun: bool) -> Iterator[None]:
    """Says of every failure inside whether the work may have run: the request alone does not know."""
    try:
        yield
    except AdapterError as failure:
        failure.may_have_run = begun
        raise


def _checked(url: str) -> str:
    problem = None
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as invalid:
        raise ValueError(f"api_url is no URL: {invalid}") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        problem = "must begin with http:// or https:// and a host, such as http://127.0.0.1:4200/api"
    elif parsed.userinfo:
        problem = "must not hold a password; set the variable that basic_auth_env names"
    if problem:
        raise ValueError(f"api_url {problem}")
    return url.rstrip("/")


def _secret(variable: str | None) -> str | None:
    return (learnt(os.environ.get(variable, "").strip()) or None) if variable else None


def _described(problem: Exception) -> str:
    return f"{type(problem).__name__}: {problem}" if str(problem) else type(problem).__name__
