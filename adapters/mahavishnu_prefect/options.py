"""What a target may set for itself, in its options."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from mahavishnu.errors import Misconfigured, did_you_mean, nearest_name
from mahavishnu.errors.wording import in_plain_words
from mahavishnu.model import Target


class FlowOptions(BaseModel):
    """For every target: `parameters` are used where a task does not give them, `tags` are put on each flow run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    parameters: dict[str, Any] = {}
    tags: list[str] = []


class DeploymentOptions(FlowOptions):
    """For deployments: where in its work pool a run is queued, and what it changes of the infrastructure."""

    work_queue: str | None = None
    job_variables: dict[str, Any] = {}


Options = TypeVar("Options", bound=FlowOptions)


def options_of(target: Target, kind: type[Options]) -> Options:
    """Raises Misconfigured for the first option that is unknown or wrong; never repeats its value."""
    for name in target.options:
        if name not in kind.model_fields:
            nearest = nearest_name(name, kind.model_fields)
            hint = did_you_mean(nearest) or f"; it has {', '.join(kind.model_fields)}"
            raise Misconfigured(f'"{target.run}" has no option "{name}"{hint}')
    try:
        return kind.model_validate(dict(target.options))
    except ValidationError as problem:
        first = problem.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise Misconfigured(f'"{target.run}": option "{name}" {in_plain_words(first["msg"])}') from None
