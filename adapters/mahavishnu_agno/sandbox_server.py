"""What an AgentOS in the sandbox serves: agents, teams and workflows that are real, over a model that is simulated."""

from __future__ import annotations

import os

from agno.agent import Agent
from agno.db.sqlite import SqliteDb
from agno.exceptions import ModelRateLimitError
from agno.os import AgentOS
from agno.team import Team
from agno.team.mode import TeamMode
from agno.workflow import Step, Workflow
from fastapi import FastAPI

from mahavishnu_agno.offline import OfflineModel


def app() -> FastAPI:
    """For uvicorn's --factory; AGENTOS_DATABASE names the file of its database."""
    echo = _agent("echo", OfflineModel())
    shout = _agent("shout", OfflineModel(answer=str.upper))
    faulty = _agent("faulty", OfflineModel(answer=_fault), "Broken on purpose: every run fails.")
    throttled = _agent("throttled", OfflineModel(answer=_throttle), "Broken on purpose: every run is throttled.")
    slow = _agent("slow", OfflineModel(word_delay_s=0.2))
    served: FastAPI = AgentOS(
        name="offline",
        description="Agents for trying out: everything that they say is simulated",
        db=SqliteDb(db_file=os.environ["AGENTOS_DATABASE"]),
        agents=[echo, shout, faulty, slow, throttled],
        teams=[
            _team("pair", echo, shout),
            _team("choir", echo, shout, mode=TeamMode.broadcast),
            _team("sluggish", slow),
        ],
        workflows=[
            Workflow(
                id="chain",
                name="chain",
                steps=[Step(name="first", agent=echo), Step(name="second", agent=shout)],
                telemetry=False,
            ),
            Workflow(
                id="broken",
                name="broken",
                description="Broken on purpose: its only step fails.",
                steps=[Step(name="only", agent=faulty, max_retries=0)],
                telemetry=False,
            ),
        ],
        telemetry=False,
    ).get_app()
    return served


def _agent(name: str, model: OfflineModel, description: str | None = None) -> Agent:
    return Agent(id=name, name=name, model=model, description=description, telemetry=False)


def _team(name: str, *members: Agent, mode: TeamMode | None = None) -> Team:
    return Team(id=name, name=name, members=list(members), mode=mode, model=OfflineModel(), telemetry=False)


def _fault(text: str) -> str:
    raise RuntimeError(f"cannot do {text}")


def _throttle(text: str) -> str:
    raise ModelRateLimitError(f"too many requests, and now {text}")
