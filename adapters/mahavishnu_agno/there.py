"""Running something on an AgentOS."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from urllib.parse import quote

from mahavishnu.errors import Misconfigured, did_you_mean, nearest_name
from mahavishnu.model import HEALTHY, Health, HealthStatus, Status
from mahavishnu_agno.agentos import AgentOs
from mahavishnu_agno.engine import Asked
from mahavishnu_agno.reading import status_of
from mahavishnu_agno.settings import Options, Place
from mahavishnu_agno.usage import Body

_OBEYS_WITHIN_S = 1.5
"""How long a run is watched for becoming cancelled."""

_LOOKS = 15


class There:
    """One agent, team or workflow of an AgentOS."""

    def __init__(self, server: AgentOs, place: Place, options: Options) -> None:
        self._server = server
        self._place = place
        self._options = options

    async def events(self, asked: Asked) -> AsyncGenerator[Body, None]:
        path = f"{self._place.path}/runs"
        if await self._answers_at_once():
            yield asked.accepted
            yield await self._server.whole(path, self._form(asked) | {"stream": "false", "background": "false"})
            return
        form = self._form(asked) | {"stream": "true", "background": str(self._options.background).lower()}
        async with aclosing(self._server.events(path, form)) as events:
            async for event in events:
                yield event

    async def stop(self, run_id: str, session_id: str) -> None:
        """Agno stops a run at its next event, and writes that down a moment later: until then it says RUNNING."""
        await self._server.tell(f"{self._run(run_id)}/cancel")
        await self._watched(run_id, session_id, lambda status: status is not Status.RUNNING)

    async def cancel(self, run_id: str, session_id: str) -> bool:
        """An AgentOS says yes to any id, and writes a run without background down only when it ends: so watch it."""
        before = await self.status(run_id, session_id)
        if before is not None and before.ended:
            return False
        await self._server.tell(f"{self._run(run_id)}/cancel")
        if before is Status.RUNNING:
            return True
        return await self._watched(run_id, session_id, lambda status: status is Status.CANCELLED)

    async def status(self, run_id: str, session_id: str) -> Status | None:
        written = await self._server.find(self._run(run_id), {"session_id": session_id})
        if written is None:
            return None
        status = status_of(written)
        if status is Status.RUNNING and await self._outlived_its_server(written):
            return Status.LOST
        return status

    async def health(self) -> Health:
        """Raises AdapterError where it cannot be told."""
        described = await self._described()
        if self._options.background and described.get("db_id") is None:
            return Health(
                HealthStatus.MISCONFIGURED,
                f"{self._place} has no database, which runs in the background need; set the target's option "
                "background = false, or give the AgentOS a database",
            )
        return HEALTHY

    def _run(self, run_id: str) -> str:
        return f"{self._place.path}/runs/{quote(run_id, safe='')}"

    async def _watched(self, run_id: str, session_id: str, wanted: Callable[[Status | None], bool]) -> bool:
        """Whether its status becomes what is wanted of it."""
        for _ in range(_LOOKS):
            if wanted(await self.status(run_id, session_id)):
                return True
            await asyncio.sleep(_OBEYS_WITHIN_S / _LOOKS)
        return False

    async def _described(self) -> Body:
        described = await self._server.find(self._place.path)
        if described is None:
            there = [str(each["id"]) for each in await self._server.listed(f"/{self._place.kind}")]
            nearest = nearest_name(self._place.id, there)
            hint = did_you_mean(nearest) or f"; it has {', '.join(there) or 'none'}"
            kind = self._place.kind.removesuffix("s")
            raise Misconfigured(f'{self._place.base} has no {kind} "{self._place.id}"{hint}')
        return described

    async def _answers_at_once(self) -> bool:
        """A broadcasting team that streams mixes its members' words up, so that it is asked for its whole answer."""
        return self._place.kind == "teams" and (await self._described()).get("mode") == "broadcast"

    async def _outlived_its_server(self, written: Body) -> bool:
        """A run that was under way when its server died says RUNNING for ever; the server knows when it was started."""
        began, started = written.get("created_at"), await self._server.started_at()
        # The run's second is rounded down: one of the very second of the start may be this server's.
        return isinstance(began, int) and started is not None and began + 1 <= started

    def _form(self, asked: Asked) -> dict[str, str]:
        form = {"run_id": asked.run_id, "session_id": asked.session_id}
        if self._options.user_id is not None:
            form["user_id"] = self._options.user_id
        if self._place.kind == "workflows":
            return form | {"message": asked.message_with_extra}
        if asked.extra:
            form |= {"dependencies": json.dumps(asked.extra), "add_dependencies_to_context": "true"}
        return form | {"message": asked.message}
