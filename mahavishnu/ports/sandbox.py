"""What an adapter promises whose engine can be started here for trying out."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from mahavishnu.model import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One process of an engine of the sandbox: how to start it, and how to see that it is up.

    `environment` comes on top of this process's own, from which None takes a variable away. `is_up` raises nothing and
    answers within a few seconds. The process runs in the foreground until it is sent SIGTERM.
    """

    name: str
    command: Sequence[str]
    is_up: Callable[[], bool]
    environment: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxEngine:
    """A real engine that can be started here for trying out: nothing of it runs yet.

    `programs` are started one after the other, each when the one before it is up, and `prepare` is awaited last.
    `settings` are the table of its adapter that finds it, `targets` what can then be added, `example` a text that they
    can do something with, and `simulated` says in one sentence which of their answers are not real.
    """

    url: str
    programs: Sequence[Program]
    settings: Mapping[str, Any]
    targets: Sequence[Target]
    simulated: str
    example: str = "Hello, who are you?"
    prepare: Callable[[], Coroutine[Any, Any, None]] | None = None


@runtime_checkable
class HasSandbox(Protocol):
    """An adapter whose engine can be started here for trying out."""

    def sandbox(self, folder: Path, port: int, *, key_env: str | None = None) -> SandboxEngine:
        """Its engine, listening on `port`, with all its data in `folder`, its telemetry off, and no outside world.

        With `key_env`, it asks for the key that this environment variable holds. Raises Misconfigured where it cannot.
        """
        ...
