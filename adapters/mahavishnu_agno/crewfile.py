"""A crew in a file: YAML or TOML, checked, and made into a Team of Agno."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import yaml  # its stubs are a package of their own
from agno.agent import Agent
from agno.models.base import Model
from agno.models.utils import get_model
from agno.team import Team
from agno.team.mode import TeamMode
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mahavishnu.errors import Misconfigured, did_you_mean, nearest_name
from mahavishnu_agno.naming import named
from mahavishnu_agno.settings import first_of

_YAML = (".yaml", ".yml")
_PYTHON = "python:"


class MemberTable(BaseModel):
    """One agent of a crew. Tools are functions, named as package.module:function."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1)
    role: str | None = None
    model: str | None = None
    instructions: list[str] = []
    tools: list[str] = []


class CrewTable(BaseModel):
    """A crew. Its model is that of its head, and of every agent without one of its own.

    A model is "provider:id", as Agno knows it, or "python:package.module:function" for a function that makes one.
    """

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1)
    mode: TeamMode = TeamMode.coordinate
    model: str
    instructions: list[str] = []
    agents: list[MemberTable] = Field(min_length=1)


def is_crew_file(run: str) -> bool:
    return run.endswith((".toml", *_YAML))


def team_from_file(path: str) -> Team:
    """Raises Misconfigured for the first thing that is wrong with the file."""
    crew = _checked(_read(Path(path)), path)
    head = _model(crew.model, path)
    return Team(
        id=crew.name,
        name=crew.name,
        mode=crew.mode,
        model=head,
        instructions=crew.instructions or None,
        members=[_member(each, head, path) for each in crew.agents],
        telemetry=False,
    )


def _member(table: MemberTable, head: Model, path: str) -> Agent:
    return Agent(
        id=table.name,
        name=table.name,
        role=table.role,
        model=_model(table.model, path) if table.model else head,
        instructions=table.instructions or None,
        tools=[named(tool) for tool in table.tools],
        telemetry=False,
    )


def _model(said: str, path: str) -> Model:
    if said.startswith(_PYTHON):
        made = named(said.removeprefix(_PYTHON))()
        if not isinstance(made, Model):
            raise Misconfigured(f'{path}: model "{said}" makes {type(made).__name__}; let it make a model of Agno')
        return made
    try:
        found = get_model(said)
    except (ValueError, ImportError) as problem:
        raise Misconfigured(f'{path}: model "{said}" cannot be used: {problem}') from problem
    assert found is not None  # noqa: S101 - None comes back only for None
    return found


def _read(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
        return yaml.safe_load(text) if path.suffix in _YAML else tomllib.loads(text)
    except FileNotFoundError:
        raise Misconfigured(f"there is no crew file {path}; check the path, it starts where mahavishnu runs") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise Misconfigured(f"the crew file {path} cannot be read: {problem}") from problem
    except (yaml.YAMLError, tomllib.TOMLDecodeError) as problem:
        raise Misconfigured(f"the crew file {path} is malformed: {problem}") from problem


def _checked(table: Any, path: str) -> CrewTable:
    try:
        return CrewTable.model_validate(table)
    except ValidationError as problem:
        first = problem.errors(include_input=False, include_url=False)[0]
        if first["type"] != "extra_forbidden":
            raise Misconfigured(f"{path}: {first_of(problem)}") from None
        *above, key = first["loc"]
        known = MemberTable.model_fields if above else CrewTable.model_fields
        hint = did_you_mean(nearest_name(str(key), known)) or f"; it has {', '.join(known)}"
        raise Misconfigured(f'{path}: unknown key "{key}"{hint}') from None
