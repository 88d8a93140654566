"""What the seeds' calls are given for a task: a Task, the name of its type, or a table of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mahavishnu.errors import InvalidTask
from mahavishnu.model import Task
from mahavishnu.model.values import shown

UNSAID = "Only the task type was given."
"""The text of a task of which the seed's call names the type alone."""

_SEEDS_NAMES = {"task_type": "type", "description": "text", "prompt": "text", "input": "payload"}


def task_of(given: object) -> Task:
    """Raises InvalidTask with what is wrong, in a sentence.

    >>> task_of("etl").type, task_of({"task_type": "etl", "description": "Load it."}).text
    ('etl', 'Load it.')
    """
    match given:
        case Task():
            return given
        case str():
            return Task(type=given, text=UNSAID)
        case Mapping():
            return _from_table(given)
    problem = f'must be a Task, the name of a task type such as "etl", or a table of its fields, not {shown(given)}'
    raise InvalidTask(field="class", problem=problem)


def _from_table(given: Mapping[Any, Any]) -> Task:
    fields = {_SEEDS_NAMES.get(name, name): value for name, value in given.items()}
    if len(fields) < len(given):
        raise InvalidTask(field="table", problem=f"names one field twice: {', '.join(map(str, given))}")
    known = Task.__dataclass_fields__
    if unknown := next((name for name in fields if name not in known), None):
        raise InvalidTask(field="table", problem=f"has no {shown(unknown)}; known are {', '.join(known)}")
    if "type" not in fields:
        raise InvalidTask(field="type", problem="is missing; give it as type or task_type")
    if not fields.get("text") and not fields.get("payload"):
        fields["text"] = UNSAID
    return Task(**fields)
