"""What an adapter promises: it runs tasks on one engine."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from mahavishnu.model import Chunk, CostModel, Health, Result, Status, Target, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What the engine tells an adapter about one attempt, besides the task.

    `deadline_s` is how long the engine will wait from now; it holds the deadline itself, so an adapter passes it on
    where its engine has a use for it and may otherwise ignore it. An adapter whose engine gives the run an id of its
    own awaits `announce(run_id)` as soon as it knows it, so that the run can be found again after a crash.
    """

    execution_id: str
    deadline_s: float | None
    idempotency_key: str | None
    announce: Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRef:
    """Where a run is: enough to ask after it or to cancel it from another process."""

    target: Target
    execution_id: str
    run_id: str | None


class Adapter(Protocol):
    """Runs tasks on one engine. It translates: it never retries, never scores, never swallows a failure.

    Every method may be called concurrently. `run` raises `AdapterError` and nothing else, leaves nothing behind when
    it is cancelled that it could have stopped, and returns a Result only for work that succeeded.
    """

    @property
    def name(self) -> str: ...

    def targets(self) -> Sequence[Target]:
        """The targets that the adapter itself knows of, besides those of the configuration and the store."""
        ...

    def supports(self, capability: str) -> bool: ...

    async def run(self, task: Task, target: Target, call: Call) -> Result: ...

    async def status(self, run: RunRef) -> Status | None:
        """What became of a run; None where there is none. Raises AdapterError where the engine cannot be asked."""
        ...

    async def cancel(self, run: RunRef) -> bool:
        """Ask for a run to stop; whether there was one to stop. Raises AdapterError like `status`."""
        ...

    async def health(self, target: Target) -> Health:
        """How this target is now. Raises nothing: what is wrong is the answer."""
        ...

    async def close(self) -> None: ...


@runtime_checkable
class Streams(Protocol):
    """An adapter that can answer bit by bit."""

    def stream(self, task: Task, target: Target, call: Call) -> AsyncGenerator[Chunk | Result, None]:
        """Chunks as they come, and last of all the Result of the whole, whose value is the whole text.

        Raises like `run`. Closing the generator early stops the run. Every chunk carries what has been used so far, so
        that an answer which breaks off is never free.
        """
        ...


@runtime_checkable
class Priced(Protocol):
    """An adapter that knows what its engine usually costs, by where it is deployed ("local", "cloud", ...)."""

    @property
    def prices(self) -> Mapping[str, CostModel]: ...


@runtime_checkable
class HostsWorkflows(Protocol):
    """An adapter whose engine can run a flow elsewhere, such as the one that carries out whole workflows."""

    async def deploy_workflow(
        self, name: str, entrypoint: str, *, work_pool: str | None = None, source: str | None = None
    ) -> str:
        """Make the deployment, or change it, and return its id. `source` is the folder to work in, over there."""
        ...

    async def execute_workflow(
        self, name: str, parameters: Mapping[str, Any] | None = None, *, idempotency_key: str | None = None
    ) -> str:
        """Begin a run of a deployment and return its id, without waiting for its end."""
        ...


@runtime_checkable
class Discovers(Protocol):
    """An adapter that can ask its engine what there is to run."""

    async def discover(self) -> Sequence[Target]:
        """What could be added, ready to be. What its engine has broken on purpose has the capability `BROKEN`.

        Raises AdapterError where the engine cannot be asked.
        """
        ...
