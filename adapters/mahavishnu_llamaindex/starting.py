"""How a task becomes the start event of a workflow, in this process and on a server alike."""

from __future__ import annotations

from typing import Any

from mahavishnu.model import Task

TEXT_AS = "input"
"""The field that takes the text, where the target's option `text_as` names no other."""


def start_fields(task: Task, text_as: str) -> dict[str, Any]:
    """The payload, with the text in its field; a field of the payload's own stays.

    >>> start_fields(Task(type="t", text="hello", payload={"tone": "warm"}), "topic")
    {'topic': 'hello', 'tone': 'warm'}
    """
    return {text_as: task.text, **task.payload} if task.text else dict(task.payload)
