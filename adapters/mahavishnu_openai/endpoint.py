"""Where a model is served, and with which key: a key is only ever sent to the address that it was set up for."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import httpx

from mahavishnu.errors import Misconfigured
from mahavishnu.redaction import excerpt, learnt

OPENAI = "https://api.openai.com/v1"
OPENAI_KEY_ENV = "OPENAI_API_KEY"

_LONGEST = 300
_HIGHEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address, the key for it (None: it wants none), and the organization that pays."""

    base_url: str
    key: str | None = field(default=None, repr=False)
    organization: str | None = None

    @property
    def host(self) -> str:
        """What sentences call it: without the path, and without anything secret."""
        return httpx.URL(self.base_url).netloc.decode()

    def url(self, path: str) -> str:
        return f"{self.base_url}/{path}"

    def headers(self) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        if self.organization:
            headers["OpenAI-Organization"] = self.organization
        return headers

    def quoted(self, words: str) -> str:
        """The server's own words as a sentence may hold them: in one line, short, and without secrets."""
        words = " ".join(excerpt(words, 10 * _LONGEST).split())
        return words if len(words) <= _LONGEST else f"{words[:_LONGEST]}…"


def endpoint_of(base_url: str, api_key_env: str | None, organization: str | None) -> Endpoint:
    """The endpoint, with the key out of the environment as it is now. Raises Misconfigured.

    Where no variable is named, OpenAI's own address is given OpenAI's own, and every other address no key at all:
    a server that somebody tries out must not be handed the key of another one. An empty name says that it wants none.
    """
    base_url = base_url.rstrip("/")
    if problem := problem_with_url(base_url):
        raise Misconfigured(f"base_url {problem}")
    if api_key_env is None and base_url == OPENAI:
        api_key_env = OPENAI_KEY_ENV
    if organization is not None and not _fits_a_header(organization):
        raise Misconfigured("organization holds characters that no organization's id has; copy it again")
    return Endpoint(base_url, _key(api_key_env) if api_key_env else None, organization)


def problem_with_url(base_url: str) -> str | None:
    """What is wrong with an address, if anything is. Does not repeat it: it may hold a password."""
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        return f'is no address; write it like "{OPENAI}"'
    if url.scheme not in ("http", "https") or not url.host:
        return f'must begin with http:// or https:// and a host, such as "{OPENAI}"'
    if url.port is not None and url.port > _HIGHEST_PORT:
        return f"names port {url.port}, and the highest there is is {_HIGHEST_PORT}"
    if url.userinfo:
        return "holds a password; take it out, and name the environment variable that holds the key in api_key_env"
    if url.query or url.fragment:
        return 'must end with its path, such as "/v1", and not with "?" or "#"'
    return None


def _key(variable: str) -> str:
    key = learnt(os.environ.get(variable, "").strip())
    if not key:
        raise Misconfigured(f"the environment variable {variable} is not set; put the key into it, or name another one")
    if not _fits_a_header(key):
        # Said here, since the HTTP library would repeat the whole header in what it raises.
        raise Misconfigured(f"the environment variable {variable} holds characters that no key has; copy the key again")
    return key


def _fits_a_header(text: str) -> bool:
    return text.isascii() and text.isprintable()
