"""AgnoAdapter: runs agents, teams and workflows of Agno, in this process or on an AgentOS."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

from agno.agent import Agent
from agno.models.base import Model
from agno.team import Team

from mahavishnu.errors import AdapterError, Misconfigured
from mahavishnu.model import Chunk, CostModel, Health, Result, Status, Target, Task
from mahavishnu.model.identity import ulid
from mahavishnu.ports import Call, RunRef, SandboxEngine
from mahavishnu_agno.agentos import AgentOs
from mahavishnu_agno.components import Components
from mahavishnu_agno.crewfile import team_from_file
from mahavishnu_agno.crews import Crew, CrewResult, Crews, CrewStatus, crew_of
from mahavishnu_agno.discovery import discovered
from mahavishnu_agno.engine import Engine, asked, session_of
from mahavishnu_agno.here import Here
from mahavishnu_agno.naming import look_in
from mahavishnu_agno.quiet import keep_quiet
from mahavishnu_agno.running import Run
from mahavishnu_agno.sandbox import sandbox_of
from mahavishnu_agno.settings import Options, Place, checked_url, options_of, place_of
from mahavishnu_agno.there import There
from mahavishnu_agno.trouble import health_of

# An AgentOS takes no code over HTTP, so there is nothing to deploy; its page belongs to its vendor's cloud and shows
# only what was registered there.
_CAPABILITIES = frozenset(
    {
        "can_monitor_execution",
        "can_cancel_workflows",
        "supports_batch_execution",
        "supports_multi_agent",
        "streaming",
    }
)


class AgnoAdapter:
    """Runs what is named `package.module:agent`, a crew file, or `https://host/agents/ID` (also teams, workflows).

    At most `max_concurrent` runs are under way at once; the others wait. `os_url` is the AgentOS that is asked what it
    has, and that `agents/ID` is on; `key_env` names the environment variable with its key. `paths` are the folders
    where modules are looked for, before all others.
    """

    name = "agno"
    prices: Mapping[str, CostModel] = MappingProxyType(
        {"local": CostModel(), "cloud": CostModel(per_agent_second_usd=Decimal("0.0002"))}
    )

    def __init__(
        self,
        max_concurrent: int = 10,
        os_url: str | None = None,
        key_env: str | None = "OS_SECURITY_KEY",
        paths: Sequence[str] = (".",),
    ) -> None:
        if max_concurrent < 1:
            raise ValueError("max_concurrent must be at least 1")
        keep_quiet()
        look_in(paths)
        self._os_url = checked_url(os_url) if os_url else None
        self._key_env = key_env
        self._slots = asyncio.Semaphore(max_concurrent)
        self._components = Components()
        self._crews = Crews()
        self._servers: dict[tuple[str, str | None], AgentOs] = {}
        self._engines: dict[tuple[Place, Options], There] = {}
        self._runs: dict[str, Run] = {}

    def targets(self) -> Sequence[Target]:
        return tuple(crew.target for crew in self._crews)

    def supports(self, capability: str) -> bool:
        return capability in _CAPABILITIES

    async def run(self, task: Task, target: Target, call: Call) -> Result:
        result: Result | None = None
        async with aclosing(self.stream(task, target, call)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Result):
                    result = piece
        assert result is not None  # noqa: S101 - stream() ends with one, or raises
        return result

    async def stream(self, task: Task, target: Target, call: Call) -> AsyncGenerator[Chunk | Result, None]:
        run = Run(await self._engine(target), asked(task, call.execution_id), self._slots)
        self._runs[call.execution_id] = run
        try:
            async with aclosing(run.pieces(call)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            self._runs.pop(call.execution_id, None)

    async def status(self, run: RunRef) -> Status | None:
        if run.execution_id in self._runs:
            return Status.RUNNING
        if run.run_id is None:
            return None
        return await (await self._engine(run.target)).status(run.run_id, session_of(run.execution_id))

    async def cancel(self, run: RunRef) -> bool:
        own = self._runs.get(run.execution_id)
        if own is not None:
            own.cancel()
            return True
        if run.run_id is None:
            return False
        return await (await self._engine(run.target)).cancel(run.run_id, session_of(run.execution_id))

    async def health(self, target: Target) -> Health:
        try:
            return await (await self._engine(target)).health()
        except AdapterError as failure:
            return health_of(failure)

    async def discover(self) -> Sequence[Target]:
        if self._os_url is None:
            raise Misconfigured("no AgentOS is known to ask; set os_url in [adapters.agno]")
        return await discovered(self._server(self._os_url, self._key_env))

    def sandbox(self, folder: Path, port: int, *, key_env: str | None = None) -> SandboxEngine:
        return sandbox_of(folder, port, key_env)

    async def close(self) -> None:
        servers = list(self._servers.values())
        self._servers.clear()
        self._engines.clear()
        for server in servers:
            await server.close()

    # -- crews: a crew is a Team ---------------------------------------------------------------------------------------

    def create_crew(
        self, name: str, agents: Sequence[Agent | Team], mode: str = "coordinate", model: Model | None = None
    ) -> Target:
        """A Team of these agents, as a target. Its head has `model`, or else that of the first agent.

        Raises InputError.
        """
        return self._crews.add(crew_of(name, agents, mode, model)).target

    def create_crew_from_config(self, path: str) -> Target:
        """The crew of a YAML or TOML file, as a target. Raises InputError, or Misconfigured for what is wrong in it."""
        return self._crews.add(team_from_file(path), path).target

    def list_crews(self) -> Sequence[str]:
        return tuple(crew.target.name for crew in self._crews)

    async def execute_task(self, crew: str, text: str) -> Result:
        """Raises UnknownName for a crew that does not exist, and AdapterError like `run`."""
        done = await self._execute(self._crews.find(crew), text)
        if done.error is not None:
            raise done.error
        assert done.result is not None  # noqa: S101 - a CrewResult has one of the two
        return done.result

    async def execute_task_batch(self, crew: str, texts: Sequence[str]) -> Sequence[CrewResult]:
        """In the order of the texts. One that fails stops no other. Raises UnknownName."""
        found = self._crews.find(crew)
        return await asyncio.gather(*(self._execute(found, text) for text in texts))

    def get_crew_status(self, crew: str) -> CrewStatus:
        """Raises UnknownName."""
        return self._crews.find(crew).status()

    def get_crew_results(self, crew: str) -> Sequence[CrewResult]:
        """What became of its last tasks, the oldest first. Raises UnknownName."""
        return tuple(self._crews.find(crew).results)

    def cancel_crew(self, crew: str) -> int:
        """Cancel whatever it has under way or waiting; how many tasks that were. Raises UnknownName."""
        running = [self._runs[each] for each in self._crews.find(crew).running if each in self._runs]
        for run in running:
            run.cancel()
        return len(running)

    async def _execute(self, crew: Crew, text: str) -> CrewResult:
        execution_id = ulid(time.time_ns() // 1_000_000, secrets.randbits(80))
        call = Call(execution_id=execution_id, deadline_s=None, idempotency_key=None, announce=_nobody_listens)
        result, error = None, None
        crew.running.add(execution_id)
        try:
            result = await self.run(Task(type="crew", text=text), crew.target, call)
        except AdapterError as failure:
            error = failure
        finally:
            crew.running.discard(execution_id)
        done = CrewResult(execution_id=execution_id, text=text, result=result, error=error)
        crew.add(done)
        return done

    # -- where things run ----------------------------------------------------------------------------------------------

    async def _engine(self, target: Target) -> Engine:
        """Raises Misconfigured."""
        options = options_of(target)
        place = place_of(target.run, self._os_url)
        if place is None:
            team = self._crews.team(target.run)
            return Here(team or await self._components.find(target.run), options.user_id)
        engine = self._engines.get((place, options))
        if engine is None:
            server = self._server(place.base, options.key_env or self._key_for(place))
            engine = self._engines[place, options] = There(server, place, options)
        return engine

    def _key_for(self, place: Place) -> str | None:
        """The key of one AgentOS is not shown to another."""
        return self._key_env if self._os_url in (None, place.base) else None

    def _server(self, base: str, key_env: str | None) -> AgentOs:
        server = self._servers.get((base, key_env))
        if server is None:
            server = self._servers[base, key_env] = AgentOs(base, key_env)
        return server


async def _nobody_listens(run_id: str) -> None:
    """The seed's calls remember their executions themselves."""
