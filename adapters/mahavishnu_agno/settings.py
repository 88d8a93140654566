"""What a target says about itself: its options, and where it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from mahavishnu.errors import Misconfigured, did_you_mean, nearest_name
from mahavishnu.errors.wording import in_plain_words
from mahavishnu.model import Target

KINDS = ("agents", "teams", "workflows")

_REMOTE = re.compile(rf"(?:(?P<base>https?://.+?)/)?(?P<kind>{'|'.join(KINDS)})/(?P<id>[^/?#]+)")


class Options(BaseModel):
    """Per target. `background` lets a run on an AgentOS outlive the connection, so that other processes can ask after
    it while it runs; that takes a database there. `key_env` names the variable with the key of that AgentOS.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    background: bool = True
    user_id: str | None = None
    key_env: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where on which AgentOS something runs."""

    base: str
    kind: str
    id: str

    @property
    def path(self) -> str:
        return f"/{self.kind}/{quote(self.id, safe='')}"

    def __str__(self) -> str:
        return f"{self.base}/{self.kind}/{self.id}"


def options_of(target: Target) -> Options:
    """Raises Misconfigured for the first option that is unknown or wrong; its value is not repeated."""
    for name in target.options:
        if name not in Options.model_fields:
            nearest = nearest_name(name, Options.model_fields)
            hint = did_you_mean(nearest) or f"; it has {', '.join(Options.model_fields)}"
            raise Misconfigured(f'target "{target.name}" has an unknown option "{name}"{hint}')
    try:
        return Options.model_validate(dict(target.options))
    except ValidationError as problem:
        raise Misconfigured(f'target "{target.name}": option {first_of(problem)}') from None


def place_of(run: str, os_url: str | None) -> Place | None:
    """Where it runs on an AgentOS, or None for what runs in this process. Raises Misconfigured."""
    found = _REMOTE.fullmatch(run.rstrip("/"))
    if found is None:
        if run.startswith(("http://", "https://")):
            raise Misconfigured(
                f'"{_without_password(run)}" names nothing that runs; end it with /agents/ID, /teams/ID '
                "or /workflows/ID"
            )
        return None
    base = found["base"] or os_url
    if base is None:
        raise Misconfigured(
            f'"{run}" does not say on which AgentOS; write the whole URL, or set os_url in [adapters.agno]'
        )
    return Place(checked_url(base), found["kind"], found["id"])


def checked_url(url: str) -> str:
    """Without the last slash. Raises Misconfigured where it holds a password: it would show up in every message."""
    if urlsplit(url).username is not None:
        raise Misconfigured(
            f"take user and password out of {_without_password(url)}; key_env names the variable with the key instead"
        )
    return url.rstrip("/")


def first_of(problem: ValidationError) -> str:
    """The first thing that is wrong, without its value.

    >>> try:
    ...     Options(background="often")
    ... except ValidationError as problem:
    ...     first_of(problem)
    'background must be true or false'
    """
    first = problem.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where} {in_plain_words(first['msg'])}"


def _without_password(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//", url)
