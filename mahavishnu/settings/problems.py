"""What is wrong with a setting, in one sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic_core import ErrorDetails

from mahavishnu.errors import Contained, did_you_mean, nearest_name
from mahavishnu.errors.wording import in_plain_words
from mahavishnu.model.values import shown as shown_value
from mahavishnu.settings.tables import DEFAULTS, Settings, TargetTable


def located(errors: Sequence[ErrorDetails]) -> str:
    """One sentence on the first of the settings that are wrong, with its table and key.

    An unknown key comes before a missing one: it is mostly the same key, misspelt.
    """
    error = min(errors, key=lambda each: each["type"] != "extra_forbidden")
    path = [str(part) for part in error["loc"] if part != "[key]"]
    table = ".".join(path[:-1])
    if error["type"] == "extra_forbidden":
        if table:
            return f'unknown key "{path[-1]}" in [{table}]{did_you_mean(nearest_name(path[-1], _keys(path)))}'
        what = f"table [{path[-1]}]" if isinstance(error["input"], Mapping) else f'key "{path[-1]}" above the tables'
        return f"unknown {what}{did_you_mean(nearest_name(path[-1], Settings.model_fields))}"
    if error["type"] == "missing":
        return f'[{table}] lacks the key "{path[-1]}"; add it'
    if not table:
        return f"[{path[-1]}] {told(error, error['input'])}"
    if path[0] == "targets" and len(path) > 3:
        table, path = ".".join(path[:2]), path[:3]
    return f'"{path[-1]}" in [{table}] {told(error, error["input"])}'


def _keys(path: list[str]) -> Mapping[str, object]:
    """The keys that may stand where an unknown one was found."""
    return TargetTable.model_fields if path[0] == "targets" else type(getattr(DEFAULTS, path[0])).model_fields


_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "finite_number": "a finite number",
    "bool": "true or false",
    "string": "a text in quotes",
    "frozen_set": "a list of names",
    "list": "a list",
    "mapping": "a table",
    "dict": "a table",
    "model": "a table",
}
_BOUNDS: dict[str, tuple[Literal["ge", "gt", "le"], str]] = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "above"),
    "less_than_equal": ("le", "at most"),
}


def told(error: ErrorDetails, given: object) -> str:
    """What must be true of a value, and what it is."""
    shown = f"not {_as_written(given):.80}"
    context: Mapping[str, Any] = error.get("ctx", {})
    if error["type"] in _BOUNDS:
        name, words = _BOUNDS[error["type"]]
        return f"must be {words} {context[name]}, {shown}"
    if error["type"] == "extra_forbidden":
        return f'has the unknown key "{error["loc"][-1]}"'
    if error["type"] == "missing":
        return "is missing; add it"
    if error["type"] == "value_error":
        return str(context["error"])
    if error["type"] == "string_too_short":
        return "is empty; give it a value or take the line out"
    kind = _KINDS.get(error["type"].removesuffix("_type").removesuffix("_parsing").removesuffix("_from_float"))
    return f"must be {kind}, {shown}" if kind else f"{in_plain_words(error['msg'])}, {shown}"


def _as_written(given: object) -> str:
    """As JSON, where it is short of what no JSON can be made of: a number of thousands of digits, a circle."""
    with Contained():
        return json.dumps(given, default=str)
    return shown_value(given)
