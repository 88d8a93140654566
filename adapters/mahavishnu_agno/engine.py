"""What the two places where Agno runs things have in common."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from mahavishnu.model import Health, Status, Task
from mahavishnu_agno.usage import Body


@dataclass(frozen=True, slots=True)
class Asked:
    """One run that is asked for. Agno lets the caller name it, so that it can be stopped from the first moment on."""

    run_id: str
    session_id: str
    message: str
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def message_with_extra(self) -> str:
        """For a workflow, which does not show its steps the context that agents and teams are shown."""
        return f"{self.message}\n\n{_written(self.extra)}" if self.extra else self.message

    @property
    def accepted(self) -> Body:
        """What stands for the first event, where there will be none."""
        return {"event": "RunStarted", "run_id": self.run_id}


class Engine(Protocol):
    """Whatever runs in it leaves as it was raised; `trouble.failure_of` gives it its shape."""

    def events(self, asked: Asked) -> AsyncGenerator[Body, None]:
        """What happens in the run. The first event is of the run itself, and tells its id."""
        ...

    async def stop(self, run_id: str, session_id: str) -> None:
        """Make sure that nothing is left of a run that nobody waits for any more; returns when nothing is."""
        ...

    async def cancel(self, run_id: str, session_id: str) -> bool:
        """Ask for a run to stop that somebody else has started; whether there was one to stop."""
        ...

    async def status(self, run_id: str, session_id: str) -> Status | None: ...

    async def health(self) -> Health:
        """Raises AdapterError where it cannot be told."""
        ...


def asked(task: Task, execution_id: str) -> Asked:
    """The text is the message; a payload goes along as context. Without a text, the payload is the message."""
    extra = dict(task.payload)
    message = task.text
    if not message.strip():
        message, extra = _written(extra), {}
    return Asked(execution_id, session_of(execution_id), message, extra)


def session_of(execution_id: str) -> str:
    """A session of its own for each call: runs that share one would read each other's history."""
    return f"mahavishnu-{execution_id}"


def _written(extra: Mapping[str, Any]) -> str:
    return json.dumps(extra, ensure_ascii=False)
