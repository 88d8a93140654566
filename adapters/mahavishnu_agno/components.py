"""What runs in this process: the agents, teams and workflows that targets name, made ready to be run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, TypeAlias

from agno.agent import Agent
from agno.models.base import Model
from agno.team import Team
from agno.workflow import Workflow

from mahavishnu.errors import AdapterError, Misconfigured
from mahavishnu_agno.crewfile import is_crew_file, team_from_file
from mahavishnu_agno.naming import Contained, named

Component: TypeAlias = Agent | Team | Workflow

_HOLDS = ("model", "agent", "team", "members", "steps", "choices")


class Components:
    """Those that were found are kept. What was not found is looked for again the next time: it may be there by then."""

    def __init__(self) -> None:
        self._found: dict[str, Component] = {}

    async def find(self, run: str) -> Component:
        """Raises Misconfigured. Looks in a thread, since importing may be slow and may do anything."""
        if run not in self._found:
            found = await asyncio.to_thread(_found, run)
            if isinstance(found, AdapterError):
                raise found
            self._found[run] = settled(found)
        return self._found[run]


def settled(component: Component) -> Component:
    """Switch its telemetry and its own retries off, with everything inside it: retrying is the engine's part."""
    for part in _inside(component, set()):
        if isinstance(part, Component):
            part.telemetry = False
        if isinstance(part, Agent | Team | Model):
            part.retries = 0
        if hasattr(part, "max_retries"):
            # The step of a workflow tries three times more by default, OpenAI's client twice.
            part.max_retries = 0
    return component


def _found(run: str) -> Component | AdapterError:
    with Contained() as inside:
        found = team_from_file(run) if is_crew_file(run) else named(run)
        if not isinstance(found, Component) and callable(found):
            found = found()
        if isinstance(found, Component):
            return found
        return Misconfigured(
            f'"{run}" is {type(found).__name__}; name an Agent, Team or Workflow of Agno, or a function that makes one'
        )
    failure = inside.failure
    if isinstance(failure, AdapterError):
        return failure
    return Misconfigured(f'"{run}" cannot be made ready: {type(failure).__name__}: {failure}')


def _inside(part: Any, seen: set[int]) -> Iterator[Any]:
    """A component with its model, its members, and the steps of a workflow with whatever they hold."""
    if part is None or id(part) in seen:
        return
    seen.add(id(part))
    if isinstance(part, list | tuple):
        for each in part:
            yield from _inside(each, seen)
    # A function may stand where a step or a list of members is expected; there is nothing in it to switch off.
    elif type(part).__module__.partition(".")[0] != "builtins":
        yield part
        for name in _HOLDS:
            yield from _inside(getattr(part, name, None), seen)
