"""Definitions: a workflow as a file says it, as a store keeps it, and as an engine is handed it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from mahavishnu.errors import InputError, did_you_mean, nearest_name
from mahavishnu.model.objective import Objective
from mahavishnu.model.workflow import Step, Workflow, invalid_workflow
from mahavishnu.settings import NotToml, told, toml_of
from mahavishnu.settings.tables import Usd


def _names(given: object) -> object:
    """A list of names, which is all that TOML and JSON have for it."""
    plain = isinstance(given, list) and all(isinstance(each, str) for each in given)
    return frozenset(given) if plain and isinstance(given, list) else given


def _objective(given: object) -> object:
    """A word or a table of weights; which of them can be meant, a task says."""
    if isinstance(given, str | dict):
        return given
    raise ValueError("must be a word such as latency, or weights such as { success = 3, cost = 1 }")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _StepTable(_Table):
    type: str
    text: str = ""
    payload: dict[str, Any] = Field(default_factory=dict)
    needs: list[str] = Field(default_factory=list)
    capabilities: Annotated[frozenset[str], BeforeValidator(_names)] = frozenset()
    target: str | None = None
    exclude: Annotated[frozenset[str], BeforeValidator(_names)] = frozenset()
    max_latency_ms: int | None = None
    max_cost_usd: Usd | None = None
    min_success_rate: float | None = None
    min_quality: float | None = None
    objective: Annotated[Any, BeforeValidator(_objective)] = None
    deadline_ms: int | None = None
    repeatable: bool = True


class _WorkflowTable(_Table):
    name: str
    deadline_ms: int | None = None
    inputs: dict[str, Any] = Field(default_factory=dict)
    tags: dict[str, str] = Field(default_factory=dict)


class _Definition(_Table):
    workflow: _WorkflowTable
    steps: dict[str, _StepTable]


def read_workflow(text: str, where: str = "the workflow") -> Workflow:
    """The workflow that a TOML text describes; `where` names the text in what is raised: InputError."""
    try:
        definition = toml_of(text)
    except NotToml as error:
        raise invalid_workflow(where, f"is not TOML: {error}") from None
    return workflow_of(definition, where)


def workflow_of(definition: Mapping[str, Any], where: str = "the workflow") -> Workflow:
    """The workflow of a definition, which has the shape of the file. Raises InputError for the first mistake in it."""
    try:
        found = _Definition.model_validate(dict(definition))
    except ValidationError as error:
        raise _problem(where, error.errors(include_url=False)) from None
    return Workflow(
        name=found.workflow.name,
        steps=tuple(Step(name=name, **_given(table)) for name, table in found.steps.items()),
        inputs=found.workflow.inputs,
        deadline_ms=found.workflow.deadline_ms,
        tags=found.workflow.tags,
    )


def definition_of(workflow: Workflow) -> dict[str, Any]:
    """The workflow as plain JSON, in the shape of the file; `workflow_of` makes the same workflow of it."""
    whole = {name: getattr(workflow, name) for name in ("name", "deadline_ms", "inputs", "tags")}
    return {
        "workflow": {name: _plain(value) for name, value in whole.items() if value},
        "steps": {step.name: _step(step) for step in workflow.steps},
    }


def _step(step: Step) -> dict[str, Any]:
    """What is not left to its default."""
    usual = Step(name=step.name, type=step.type, text="-")
    given = {each.name: getattr(step, each.name) for each in fields(step) if each.name != "name"}
    return {
        name: _plain(value)
        for name, value in given.items()
        if name in ("type", "text") or value != getattr(usual, name)
    }


def _plain(value: Any) -> Any:
    match value:
        case frozenset():
            return sorted(value)
        case tuple():
            return list(value)
        case Mapping():
            return dict(value)
        case Decimal():
            return f"{value:f}"
        case Objective():
            return {name: weight for name, weight in value.weights.items() if weight}
        case _:
            return value


def _given(table: _StepTable) -> dict[str, Any]:
    return {name: getattr(table, name) for name in _StepTable.model_fields}


def _problem(where: str, errors: Iterable[ErrorDetails]) -> InputError:
    """The first mistake. An unknown key comes before a missing one: it is mostly the same key, misspelt."""
    error = min(errors, key=lambda each: each["type"] != "extra_forbidden")
    path = [str(part) for part in error["loc"]]
    table, key = ".".join(path[:-1]), path[-1]
    inside = f" in [{table}]" if table else ""
    match error["type"]:
        case "extra_forbidden":
            return invalid_workflow(where, f'unknown key "{key}"{inside}{did_you_mean(nearest_name(key, _keys(path)))}')
        case "missing":
            return invalid_workflow(where, f'[{table}] lacks the key "{key}"' if table else f"lacks the table [{key}]")
        case _:
            return invalid_workflow(where, f'"{key}"{inside} {told(error, error["input"])}')


def _keys(path: list[str]) -> Iterable[str]:
    """The keys that may stand where an unknown one was found."""
    match path:
        case ["workflow", *_]:
            return _WorkflowTable.model_fields
        case ["steps", _, *_]:
            return _StepTable.model_fields
        case _:
            return _Definition.model_fields
