"""The models that an endpoint has, and what they tell about its health."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx
from pydantic import BaseModel, ValidationError

from mahavishnu.errors import (
    AdapterError,
    AuthenticationError,
    AuthorizationError,
    Misconfigured,
    Refused,
    Throttled,
    TimedOut,
    Transient,
    did_you_mean,
    nearest_name,
)
from mahavishnu.model import BROKEN, HEALTHY, Health, HealthStatus, Target, broken_on_purpose
from mahavishnu_openai.endpoint import Endpoint
from mahavishnu_openai.exchange import connected
from mahavishnu_openai.failures import failure_of_reply

FRESH_S = 10.0
"""How long a list is believed, since every target of an endpoint asks for the same one."""

_FAILURE_FRESH_S = 1.0
"""A failure is believed more shortly: whoever comes back should be seen to be back."""

_PATIENCE_S = 5.0

_NOT_CHAT = re.compile(r"embed|rerank|whisper|tts|transcribe|dall-e|image|sora|realtime|moderation", re.IGNORECASE)
"""Models that an endpoint lists beside the others and that cannot chat; the list itself does not say."""


class Model(BaseModel):
    """One line of the list. OpenAI describes none of its models; others, such as OpenRouter, do."""

    id: str
    description: str | None = None


class _Models(BaseModel):
    data: list[Model]


@dataclass
class _Shelf:
    """What is known of one endpoint."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    until_s: float = 0.0
    models: tuple[Model, ...] = ()
    failure: AdapterError | None = None


class Catalogue:
    """The models of every endpoint, asked for once however many want to know."""

    def __init__(self) -> None:
        self._shelves: dict[Endpoint, _Shelf] = {}

    async def models(self, client: httpx.AsyncClient, endpoint: Endpoint) -> Sequence[Model]:
        """Its models. Raises AdapterError."""
        shelf = self._shelves.setdefault(endpoint, _Shelf())
        async with shelf.lock:
            if time.monotonic() >= shelf.until_s:
                await _fill(shelf, client, endpoint)
        if shelf.failure is not None:
            raise shelf.failure
        return shelf.models


async def _fill(shelf: _Shelf, client: httpx.AsyncClient, endpoint: Endpoint) -> None:
    shelf.failure = None
    try:
        shelf.models = await _fetched(client, endpoint)
    except AdapterError as failure:
        shelf.failure = failure
    shelf.until_s = time.monotonic() + (_FAILURE_FRESH_S if shelf.failure else FRESH_S)


async def _fetched(client: httpx.AsyncClient, endpoint: Endpoint) -> tuple[Model, ...]:
    with connected(endpoint):
        response = await client.get(endpoint.url("models"), headers=endpoint.headers(), timeout=_PATIENCE_S)
    if response.status_code in (404, 405, 501):
        # It is there, and has no list of models, which is its right.
        raise Refused(f"{endpoint.host} cannot list its models ({response.status_code}); the next run will tell")
    if not response.is_success:
        raise failure_of_reply(response, response.content, endpoint, "its models")
    try:
        listed = _Models.model_validate(json.loads(response.content))
    except (ValidationError, ValueError):
        raise Misconfigured(
            f"{endpoint.host} answers, but not as an OpenAI-compatible server; check base_url"
        ) from None
    # Google's ids begin with the name of the collection, which nobody writes.
    return tuple(model.model_copy(update={"id": model.id.removeprefix("models/")}) for model in listed.data)


def health_of_model(model: str, listed: Sequence[Model], host: str) -> Health:
    """Whether a model is among those listed; Ollama lists what is called `name` as `name:latest`."""
    models = [each.id for each in listed]
    if model in models or f"{model}:latest" in models or model.removeprefix("models/") in models:
        return HEALTHY
    if not models:
        return Health(HealthStatus.DEGRADED, f"{host} lists no models at all; is one loaded?")
    nearest = nearest_name(model, models)
    hint = did_you_mean(nearest) or f"; it has {', '.join(models[:5])}{', …' if len(models) > 5 else ''}"
    return Health(HealthStatus.MISCONFIGURED, f'{host} has no model "{model}"{hint}')


def health_of_failure(failure: AdapterError) -> Health:
    """What it says about a server that it could not be asked for its models."""
    return Health(_status(failure), str(failure))


def _status(failure: AdapterError) -> HealthStatus:
    match failure:
        case AuthenticationError() | AuthorizationError():
            return HealthStatus.UNAUTHORISED
        case Misconfigured():
            return HealthStatus.MISCONFIGURED
        case Throttled():
            # It is there; one that asks for patience is well.
            return HealthStatus.DEGRADED
        case Transient() | TimedOut():
            return HealthStatus.UNREACHABLE
        case _:
            return HealthStatus.DEGRADED


def targets_of(models: Sequence[Model], adapter: str) -> list[Target]:
    """The models that can chat, as targets, named as they are as far as a target's name allows."""
    return [
        Target(
            name=name,
            adapter=adapter,
            run=model.id,
            task_types=frozenset({"chat"}),
            capabilities=frozenset({BROKEN} if broken_on_purpose(model.description) else ()),
        )
        for model in models
        if not _NOT_CHAT.search(model.id)
        and (name := re.sub(r"[^A-Za-z0-9_.:/@-]", "-", model.id).lstrip(".:/@-")[:100])
    ]
