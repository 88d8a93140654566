"""Running a component in this process."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

from agno.run.cancel import acancel_run, aget_active_runs
from agno.team import Team
from agno.team.mode import TeamMode
from agno.workflow import Workflow

from mahavishnu.model import HEALTHY, Health, Status
from mahavishnu_agno.components import Component
from mahavishnu_agno.engine import Asked
from mahavishnu_agno.reading import status_of
from mahavishnu_agno.usage import Body


@dataclass(frozen=True, slots=True)
class Here:
    """Each run is that of a copy, as an AgentOS does it: a component keeps its session while it runs."""

    component: Component
    user_id: str | None

    async def events(self, asked: Asked) -> AsyncGenerator[Body, None]:
        component = self.component.deep_copy()
        given = self._given(asked)
        if answers_at_once(component):
            yield asked.accepted
            yield (await component.arun(**given)).to_dict()
            return
        stream = cast("AsyncGenerator[Any, None]", component.arun(**given, stream=True, stream_events=True))
        async with aclosing(stream) as events:
            async for event in events:
                yield event.to_dict()

    async def stop(self, run_id: str, session_id: str) -> None:
        """Cancelling the asyncio task has stopped it; this is for what it may have started in tasks of their own."""
        await self.cancel(run_id, session_id)

    async def cancel(self, run_id: str, session_id: str) -> bool:
        del session_id
        running = run_id in await aget_active_runs()
        if running:
            await acancel_run(run_id)
        return running

    async def status(self, run_id: str, session_id: str) -> Status | None:
        """A component with a database remembers its runs; the others know only what runs now, in this process."""
        if run_id in await aget_active_runs():
            return Status.RUNNING
        if self.component.db is None:
            return None
        written = await self.component.aget_run_output(run_id=run_id, session_id=session_id, user_id=self.user_id)
        return None if written is None else status_of(written.to_dict())

    async def health(self) -> Health:
        """Whoever holds the component has found it: there is nothing else that could be ill without running it."""
        return HEALTHY

    def _given(self, asked: Asked) -> dict[str, Any]:
        given: dict[str, Any] = {"run_id": asked.run_id, "session_id": asked.session_id, "user_id": self.user_id}
        if isinstance(self.component, Workflow):
            return given | {"input": asked.message_with_extra}
        if asked.extra:
            given |= {"dependencies": dict(asked.extra), "add_dependencies_to_context": True}
        return given | {"input": asked.message}


def answers_at_once(component: Component) -> bool:
    """A broadcasting team that streams mixes its members' words up, so that it is asked for its whole answer."""
    return isinstance(component, Team) and component.mode is TeamMode.broadcast
