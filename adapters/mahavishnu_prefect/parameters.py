"""The parameters that a task gives to a flow, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from jsonschema.exceptions import SchemaError, best_match  # type: ignore[import-untyped]
from referencing import Registry
from referencing.exceptions import Unresolvable

from mahavishnu.errors import Refused, did_you_mean, nearest_name
from mahavishnu.model import Task
from mahavishnu.redaction import excerpt

_TEMPLATE = "__prefect_kind"
"""In a dict it makes the server replace it by what it names: a variable of the workspace, a rendered template."""

_LONGEST = 300


def parameters_of(run: str, task: Task, usual: Mapping[str, Any], schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """The payload, above the text where the flow has a parameter of that name, above the target's usual ones.

    Raises Refused where the payload holds a template: it is data, and the server would run it.

    >>> schema = {"properties": {"text": {"type": "string"}, "rows": {"type": "integer"}}}
    >>> parameters_of("etl/nightly", Task(type="etl", text="hello", payload={"rows": 3}), {"rows": 1}, schema)
    {'rows': 3, 'text': 'hello'}
    """
    if _holds_template(task.payload):
        raise Refused(f'"{run}": the payload holds "{_TEMPLATE}", which Prefect would replace; give plain values')
    takes_text = "text" in (schema or {}).get("properties", {})
    text = {"text": task.text} if takes_text and task.text else {}
    return {**usual, **text, **task.payload}


def check(run: str, parameters: Mapping[str, Any], defaults: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Raises Refused, naming the parameter that does not fit the flow's schema.

    `defaults` are the deployment's own. What the server would take is never refused, but for a parameter that the flow
    does not have: the server takes that too, and the run fails on its worker.
    """
    known = schema.get("properties", {})
    for name in parameters:
        if name not in known and not schema.get("additionalProperties"):
            nearest = nearest_name(name, known)
            hint = did_you_mean(nearest) or f"; it has {', '.join(known) or 'none'}"
            raise Refused(f'"{run}" has no parameter "{name}"{hint}')
    if problem := _problem({**defaults, **parameters}, schema):
        raise Refused(excerpt(f'"{run}": {problem}', _LONGEST))


def _problem(parameters: Mapping[str, Any], schema: Mapping[str, Any]) -> str | None:
    required = schema.get("required", [])
    # The server lets null stand for an optional parameter, whatever its type.
    given = {name: value for name, value in parameters.items() if value is not None or name in required}
    try:
        Draft202012Validator.check_schema(schema)
        # An empty registry: a schema must not make us fetch what it refers to.
        error = best_match(Draft202012Validator(schema, registry=Registry()).iter_errors(given))
    except (SchemaError, Unresolvable, RecursionError):
        return None  # a schema that cannot be read cannot be checked against: the server has the last word
    if error is None:
        return None
    where = ".".join(str(part) for part in error.absolute_path)
    return f'parameter "{where}": {error.message}' if where else f"its parameters: {error.message}"


def _holds_template(value: Any) -> bool:
    match value:
        case Mapping():
            return _TEMPLATE in value or any(_holds_template(each) for each in value.values())
        case list() | tuple():
            return any(_holds_template(each) for each in value)
        case _:
            return False
