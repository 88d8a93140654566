"""OpenAIAdapter: asks models behind any endpoint that speaks OpenAI's chat completions."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path

import httpx

from mahavishnu.errors import AdapterError
from mahavishnu.model import HEALTHY, Chunk, CostModel, Health, Result, Status, Target, Task
from mahavishnu.ports import Call, RunRef, SandboxEngine
from mahavishnu_openai.catalogue import Catalogue, health_of_failure, health_of_model, targets_of
from mahavishnu_openai.endpoint import OPENAI, Endpoint, endpoint_of, problem_with_url
from mahavishnu_openai.exchange import ask, follow
from mahavishnu_openai.options import ModelOptions, options_of
from mahavishnu_openai.prompt import Request, request_of
from mahavishnu_openai.runs import Runs
from mahavishnu_openai.sandbox import sandbox_of

_CAPABILITIES = frozenset({"streaming", "supports_batch_execution"})


class OpenAIAdapter:
    """Runs models, which targets name as their server does; the value of an answer is its text.

    Where the model calls tools, the value is `{"text", "tool_calls", "finish_reason"}`. `api_key_env` names the
    environment variable that holds the key; left out, that is OPENAI_API_KEY for OpenAI itself, and no key for any
    other address. A target may name another address with a key of its own in its options.
    """

    name = "openai"
    prices: Mapping[str, CostModel] = {"local": CostModel()}

    def __init__(
        self,
        base_url: str = OPENAI,
        api_key_env: str | None = None,
        organization: str | None = None,
        first_token_ms: int = 30_000,
        connect_ms: int = 10_000,
    ) -> None:
        if problem := problem_with_url(base_url):
            raise ValueError(f"base_url {problem}")
        for name, value in (("first_token_ms", first_token_ms), ("connect_ms", connect_ms)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1")
        self._base_url = base_url.rstrip("/")
        self._api_key_env = api_key_env
        self._organization = organization
        self._first_token_ms = first_token_ms
        self._connect_ms = connect_ms
        self._catalogue = Catalogue()
        self._runs = Runs()
        self._client: httpx.AsyncClient | None = None

    def targets(self) -> Sequence[Target]:
        return ()

    def supports(self, capability: str) -> bool:
        return capability in _CAPABILITIES

    async def run(self, task: Task, target: Target, call: Call) -> Result:
        options = options_of(target)
        request = self._request(task, target, call, options, streamed=options.stream)
        with self._runs.begin(call.execution_id, request) as run:
            return await ask(self._http, request, run, call)

    async def stream(self, task: Task, target: Target, call: Call) -> AsyncGenerator[Chunk | Result, None]:
        request = self._request(task, target, call, options_of(target), streamed=True)
        with self._runs.begin(call.execution_id, request) as run:
            async with aclosing(follow(self._http, request, run, call)) as parts:
                async for part in parts:
                    yield part

    async def status(self, run: RunRef) -> Status | None:
        """Only this process knows of its calls: a server forgets a completion as soon as it is answered."""
        return Status.RUNNING if run.execution_id in self._runs else None

    async def cancel(self, run: RunRef) -> bool:
        """Closes the connection of a call of this process, which is all that a server listens to."""
        return self._runs.cancel(run.execution_id)

    async def health(self, target: Target) -> Health:
        try:
            options = options_of(target)
            endpoint = self._endpoint(options)
            models = await self._catalogue.models(self._http, endpoint)
        except AdapterError as failure:
            return health_of_failure(failure)
        return health_of_model(target.run, models, endpoint.host) if options.listed else HEALTHY

    async def discover(self) -> Sequence[Target]:
        endpoint = endpoint_of(self._base_url, self._api_key_env, self._organization)
        return targets_of(await self._catalogue.models(self._http, endpoint), self.name)

    def sandbox(self, folder: Path, port: int, *, key_env: str | None = None) -> SandboxEngine:
        """A server whose answers are simulated; it keeps nothing."""
        del folder
        return sandbox_of(port, key_env)

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    @property
    def _http(self) -> httpx.AsyncClient:
        """One client for all. How long an answer may take is the run's business, how many run at once the engine's."""
        if self._client is None:
            self._client = httpx.AsyncClient(
                timeout=httpx.Timeout(None, connect=self._connect_ms / 1000),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=100),
                follow_redirects=False,
            )
        return self._client

    def _endpoint(self, options: ModelOptions) -> Endpoint:
        """The target's own address with its own key, or else the adapter's with the adapter's."""
        organization = options.organization or self._organization
        if options.base_url is None or options.base_url.rstrip("/") == self._base_url:
            api_key_env = self._api_key_env if options.api_key_env is None else options.api_key_env
            return endpoint_of(self._base_url, api_key_env, organization)
        return endpoint_of(options.base_url, options.api_key_env, options.organization)

    def _request(self, task: Task, target: Target, call: Call, options: ModelOptions, *, streamed: bool) -> Request:
        return request_of(
            task,
            target,
            call,
            endpoint=self._endpoint(options),
            options=options,
            streamed=streamed,
            first_within_s=(options.first_token_ms or self._first_token_ms) / 1000,
        )
