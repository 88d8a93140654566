"""LlamaIndexAdapter: RAG pipelines and workflows, in this process and on workflow servers."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from pydantic import Field

from mahavishnu.errors import AdapterError, Crashed
from mahavishnu.model import ANY, HEALTHY, Chunk, CostModel, Health, Result, Status, Target, Task
from mahavishnu.model.identity import ulid
from mahavishnu.ports import Call, RunRef, SandboxEngine
from mahavishnu_llamaindex.failures import health_of
from mahavishnu_llamaindex.finding import look_in
from mahavishnu_llamaindex.here import InProcess
from mahavishnu_llamaindex.places import Here, Index, Served, place_of
from mahavishnu_llamaindex.remote import Remote
from mahavishnu_llamaindex.sandbox import sandbox_of

CAPABILITIES: Mapping[str, bool] = MappingProxyType(
    {
        "can_deploy_flows": True,
        "can_monitor_execution": True,
        "can_cancel_workflows": True,
        "supports_batch_execution": True,
        "supports_multi_agent": False,
        "has_cloud_ui": False,
        "streaming": True,
    }
)

PRICES: Mapping[str, CostModel] = MappingProxyType(
    {"local": CostModel(), "cloud": CostModel(per_query_usd=Decimal("0.00005"))}
)


class LlamaIndexAdapter:
    """Runs `module:engine`, `index:DIRECTORY`, and `workflows/NAME` or `http://host:port/workflows/NAME`.

    `server_url` is where `workflows/NAME` is, and `key_env` the environment variable that holds its key. `poll_ms` is
    the longest time between two looks at a run over there, `patience_s` how long its server may be out of reach before
    the run counts as lost. `paths` are the folders where modules are looked for, before all others; `max_threads`
    bounds how many engines without an async way of their own are asked at once.
    """

    name = "llamaindex"

    def __init__(
        self,
        server_url: str | None = None,
        key_env: str | None = None,
        poll_ms: Annotated[int, Field(ge=10, le=60_000)] = 300,
        patience_s: Annotated[float, Field(ge=0, le=3600)] = 5.0,
        paths: Sequence[str] = (".",),
        max_threads: Annotated[int, Field(ge=1)] = 32,
    ) -> None:
        if key_env is not None and server_url is None:
            raise ValueError("key_env is the key of server_url, which is not set; set it, or use options.key_env")
        self._server_url = server_url
        self._here = InProcess(max_threads)
        self._remote = Remote(key_env, poll_ms / 1000, patience_s)
        look_in(paths)

    @property
    def capabilities(self) -> Mapping[str, bool]:
        return CAPABILITIES

    @property
    def prices(self) -> Mapping[str, CostModel]:
        return PRICES

    def targets(self) -> Sequence[Target]:
        return ()

    def supports(self, capability: str) -> bool:
        return CAPABILITIES.get(capability, False)

    async def run(self, task: Task, target: Target, call: Call) -> Result:
        async with aclosing(self._pieces(task, target, call, streaming=False)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Result):
                    return piece
        raise Crashed(f'"{target.run}" ended without an answer')

    async def stream(self, task: Task, target: Target, call: Call) -> AsyncGenerator[Chunk | Result, None]:
        """An engine that does not stream answers in one piece, which is the Result."""
        async with aclosing(self._pieces(task, target, call, streaming=True)) as pieces:
            async for piece in pieces:
                yield piece

    async def status(self, run: RunRef) -> Status | None:
        """A run in this process is known only here, one on a server from everywhere."""
        place = self._place(run.target)
        return await self._remote.status(place, run) if isinstance(place, Served) else self._here.status(run)

    async def cancel(self, run: RunRef) -> bool:
        place = self._place(run.target)
        return await self._remote.cancel(place, run) if isinstance(place, Served) else self._here.cancel(run)

    async def health(self, target: Target) -> Health:
        try:
            place = self._place(target)
        except AdapterError as problem:
            return health_of(problem)
        if isinstance(place, Served):
            return await self._remote.health(place, target)
        return await self._here.health(place, target)

    async def discover(self) -> Sequence[Target]:
        """The workflows of the server; nothing where there is no server, since modules cannot be asked."""
        if self._server_url is None:
            return ()
        names = await self._remote.workflows(self._server_url)
        return [
            Target(
                name=re.sub(r"[^\w.:@-]+", "-", name, flags=re.ASCII)[:100].lstrip("-.:@") or "workflow",
                adapter=self.name,
                run=f"workflows/{name}",
                task_types=frozenset({ANY}),
            )
            for name in names
        ]

    async def deploy(self, name: str, documents: Path, into: Path, embed_model: str) -> Target:
        """Build an index of a folder's texts in a directory of its own; the target that asks it, ready to be added.

        Raises Misconfigured.
        """
        await self._here.build(documents, into, embed_model)
        options = {"embed_model": embed_model}
        return Target(name=name, adapter=self.name, run=f"index:{into}", task_types=frozenset({ANY}), options=options)

    def sandbox(self, folder: Path, port: int, *, key_env: str | None = None) -> SandboxEngine:
        return sandbox_of(folder, port, key_env)

    async def close(self) -> None:
        await self._remote.close()

    # -- the names of the seed's interface, for who uses an adapter on its own -----------------------------------------

    async def initialize(self) -> None:
        """Ask the server, where there is one, so that a wrong address or key shows now. Raises AdapterError."""
        await self.discover()

    async def execute(self, task: Task, target: Target) -> Result:
        """Run without the engine: no deadline, no record, no other target if this one fails. Raises AdapterError."""
        execution_id = ulid(time.time_ns() // 1_000_000, secrets.randbits(80))
        call = Call(execution_id=execution_id, deadline_s=None, idempotency_key=None, announce=_to_nobody)
        result = await self.run(task, target, call)
        return replace(result, run_id=result.run_id or execution_id)

    async def get_health(self) -> Health:
        """How the server is; without one, there is nothing that could be ill before a target names it."""
        try:
            await self.discover()
        except AdapterError as problem:
            return health_of(problem)
        return HEALTHY

    async def shutdown(self) -> None:
        await self.close()

    def _pieces(
        self, task: Task, target: Target, call: Call, *, streaming: bool
    ) -> AsyncGenerator[Chunk | Result, None]:
        place = self._place(target)
        if isinstance(place, Served):
            return self._remote.pieces(place, task, target, call, streaming=streaming)
        return self._here.pieces(place, task, target, call, streaming=streaming)

    def _place(self, target: Target) -> Here | Index | Served:
        return place_of(target.run, self._server_url)


async def _to_nobody(run_id: str) -> None:
    del run_id
