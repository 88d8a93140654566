"""Crews: teams that were put together while running, and what became of their tasks."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from agno.agent import Agent
from agno.models.base import Model
from agno.team import Team
from agno.team.mode import TeamMode

from mahavishnu.errors import AdapterError, InvalidTarget, TargetExists, UnknownName, nearest_name
from mahavishnu.model import ANY, Result, Target
from mahavishnu_agno.components import settled

_REMEMBERED = 1000
"""How many results a crew keeps; the store has all of them."""

_PREFIX = "crew:"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrewResult:
    """What became of one task: a result, or the error that it ended in."""

    execution_id: str
    text: str
    result: Result | None = None
    error: AdapterError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CrewStatus:
    name: str
    mode: str
    agents: Sequence[str]
    running: int
    succeeded: int
    failed: int


@dataclass(slots=True)
class Crew:
    """`running` holds the ids of the executions that are under way, also of those that wait for a free slot."""

    target: Target
    team: Team
    running: set[str] = field(default_factory=set)
    results: deque[CrewResult] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    succeeded: int = 0
    failed: int = 0

    def add(self, result: CrewResult) -> None:
        self.results.append(result)
        self.succeeded += result.error is None
        self.failed += result.error is not None

    def status(self) -> CrewStatus:
        members = self.team.members if isinstance(self.team.members, list) else ()
        return CrewStatus(
            name=self.target.name,
            mode=mode_of(self.team).value,
            agents=[str(each.name or each.id) for each in members],
            running=len(self.running),
            succeeded=self.succeeded,
            failed=self.failed,
        )


class Crews:
    def __init__(self) -> None:
        self._crews: dict[str, Crew] = {}

    def __iter__(self) -> Iterator[Crew]:
        return iter(self._crews.values())

    def add(self, team: Team, run: str | None = None) -> Crew:
        """`run` is the file that it came from, which makes its target good for other processes too.

        Raises TargetExists, or InvalidTarget where its name is none.
        """
        name = str(team.name)
        if name in self._crews:
            raise TargetExists(target=name, where="the crews of the Agno adapter")
        target = Target(
            name=name,
            adapter="agno",
            run=run or f"{_PREFIX}{name}",
            task_types=frozenset({ANY}),
            capabilities=frozenset({"multi_agent"}),
            place=len(self._crews),
        )
        settled(team)
        crew = self._crews[name] = Crew(target, team)
        return crew

    def find(self, name: str) -> Crew:
        """Raises UnknownName."""
        crew = self._crews.get(name)
        if crew is None:
            nearest = nearest_name(name, self._crews)
            raise UnknownName(kind="crew", name=name, nearest=nearest, see="list_crews()")
        return crew

    def team(self, run: str) -> Team | None:
        """The team that a target's `run` means, where it means a crew."""
        return next((crew.team for crew in self if crew.target.run == run), None)


def crew_of(name: str, agents: Sequence[Agent | Team], mode: str, model: Model | None) -> Team:
    """Raises InvalidTarget, or UnknownName for a mode that Agno does not have."""
    if mode not in {each.value for each in TeamMode}:
        nearest = nearest_name(mode, [each.value for each in TeamMode])
        raise UnknownName(kind="mode", name=mode, nearest=nearest, see="agno.team.mode.TeamMode")
    if not agents:
        raise InvalidTarget(target=name, field="agents", problem="is empty; a crew has at least one")
    head = model or agents[0].model
    members = list(agents)
    return Team(id=name, name=name, members=members, mode=TeamMode(mode), model=head, telemetry=False)


def mode_of(team: Team) -> TeamMode:
    return team.mode or TeamMode.coordinate
