"""Where a target runs: what the words of its `run` mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

import httpx

from mahavishnu.errors import Misconfigured

_OBJECT = re.compile(r"\w+(\.\w+)*:\w+(\.\w+)*")
_WORKFLOW = re.compile(r"(?P<server>.*?)/?workflows/(?P<name>[^/?#]+)/?")


@dataclass(frozen=True, slots=True)
class Here:
    """An object of a module, run in this process."""

    object: str


@dataclass(frozen=True, slots=True)
class Index:
    """A directory that an index was persisted to, asked in this process."""

    path: str


@dataclass(frozen=True, slots=True)
class Served:
    """A workflow on a server; `ours`: on the adapter's own server, which is the only one that gets its key."""

    server: str
    name: str
    ours: bool


def place_of(run: str, server_url: str | None = None) -> Here | Index | Served:
    """Raises Misconfigured where the words mean nothing.

    >>> place_of("rag.handbook:engine")
    Here(object='rag.handbook:engine')
    >>> place_of("workflows/answer", "http://rag:8080")
    Served(server='http://rag:8080', name='answer', ours=True)
    """
    if run.startswith(("http://", "https://")):
        return _served(run, server_url)
    if run.startswith("workflows/"):
        if server_url is None:
            raise Misconfigured(f'"{run}" is on no server; set server_url, or write http://host:port/{run}')
        return _served(f"{server_url.rstrip('/')}/{run}", server_url)
    if run.startswith("index:") and run != "index:":
        return Index(run.removeprefix("index:"))
    if _OBJECT.fullmatch(run):
        return Here(run)
    raise Misconfigured(
        f'"{run}" names nothing to run; write package.module:object, index:DIRECTORY, workflows/NAME or '
        "http://host:port/workflows/NAME"
    )


def _served(run: str, server_url: str | None) -> Served:
    parts = _WORKFLOW.fullmatch(run)
    if parts is None:
        raise Misconfigured(f'"{run}" names no workflow; write it as http://host:port/workflows/NAME')
    server = parts["server"]
    return Served(server, unquote(parts["name"]), server_url is not None and _origin(server) == _origin(server_url))


def _origin(url: str) -> tuple[str, str, int | None]:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as problem:
        raise Misconfigured(f'"{url}" is no address: {problem}') from problem
    if not parsed.host:
        raise Misconfigured(f'"{url}" is no address; write it as http://host:port')
    return parsed.scheme, parsed.host, parsed.port
