"""What a store promises: everything that outlives a process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mahavishnu.model import Decision, Execution, Outcome, Revision, Snapshot, Status, Target
from mahavishnu.model.workflow_run import StepEnd, WorkflowEnd, WorkflowRun, WorkflowStart

Fact = Decision | Execution | Outcome
"""What is written: an Execution twice under one id, when it starts (`RUNNING`) and when it has ended."""

Evidence = Execution | Revision
"""What is folded: executions that ended, and the changes that outcomes made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The answer to a claim of an idempotency key: whose run it is.

    `mine`: run it. Not mine and `over`: it succeeded before, under `decision_id`. Neither: it is running there now.
    """

    decision_id: str
    mine: bool
    over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """The end of a claimed run: after a success the key answers for ever, after anything else it is free again."""

    key: str
    decision_id: str
    succeeded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionQuery:
    """Which executions to read: every condition that is given must hold; the newest come first."""

    last: int | None = 20
    decision_id: str | None = None
    target: str | None = None
    task_type: str | None = None
    status: Status | None = None


class Facts(Protocol):
    """Append-only truth."""

    async def record(self, facts: Sequence[Fact], *, settle: Settlement | None = None) -> None:
        """Returns when all of it is durable, in one transaction, in order. Idempotent by id; never blocks the loop.

        A second end of one execution is ignored: the first one stands. An outcome is turned into a Revision in the
        same transaction. Raises `UnknownName` for an outcome on an unknown decision, `InvalidOutcome` for one on a
        decision that is still running, `StoreUnavailable`.
        """
        ...

    async def newest(self) -> int:
        """The position of the newest fact; nothing that commits later ever gets one below it."""
        ...

    def facts(
        self, since: int, upto: int | None = None, *, besides: str | None = None
    ) -> AsyncIterator[tuple[int, Evidence]]:
        """Evidence with its position, after `since` (and not after `upto`), in the order of commit.

        `besides` leaves out the executions of one process: of the one that asks, as a rule, which knows its own.
        """
        ...

    async def decision(self, decision_id: str) -> Decision | None: ...

    async def decisions(self, last: int, task_type: str | None = None) -> Sequence[Decision]:
        """The newest first."""
        ...

    async def execution(self, execution_id: str) -> Execution | None: ...

    async def executions(self, query: ExecutionQuery) -> Sequence[Execution]:
        """The newest first; one that has not ended is `RUNNING`."""
        ...

    async def outcomes(self, decision_id: str) -> Sequence[Outcome]:
        """The oldest first."""
        ...


class Keys(Protocol):
    """Idempotency keys."""

    async def claim(self, key: str, fingerprint: str, decision_id: str) -> Claim:
        """Atomic over all processes. A key whose owner died, or whose run did not succeed, goes to the claimant.

        Raises `KeyReused` where the key belongs to a task with another fingerprint.
        """
        ...

    async def holder(self, key: str) -> Claim | None:
        """Who has a key now, without taking it (`mine` is False); None where it is free or its owner died."""
        ...


class Presence(Protocol):
    """Which processes are alive, and what the dead ones left running."""

    @property
    def process_id(self) -> str: ...

    async def reap(self) -> Sequence[Execution]:
        """End as `LOST` every running execution whose process is gone or let its lease expire; returns them."""
        ...


class Snapshots(Protocol):
    async def latest(self) -> Snapshot:
        """The newest one; the empty version 0 where none was published."""
        ...

    async def publish(self, snapshot: Snapshot) -> None:
        """Compare and set: raises `SnapshotConflict` unless `snapshot.version` is one above the newest."""
        ...


class Targets(Protocol):
    """The targets that were added here, and the switches of all of them."""

    async def targets(self) -> Sequence[Target]: ...

    async def add_target(self, target: Target) -> None:
        """Raises `TargetExists`."""
        ...

    async def remove_target(self, name: str) -> None:
        """Forgets its switch too. Raises `UnknownName`. Its history stays."""
        ...

    async def switches(self) -> Mapping[str, bool]:
        """Target by target, whether it was switched on or off by hand; absent where nobody did."""
        ...

    async def switch_target(self, name: str, enabled: bool) -> None: ...


class Workflows(Protocol):
    """Runs of workflows: what was started, and how it ended. How their steps stand is read off keys and executions."""

    async def record_workflow_start(self, start: WorkflowStart) -> None:
        """Idempotent by id. Raises `InputError` where the run belongs to another workflow, or to other inputs."""
        ...

    async def record_step_end(self, end: StepEnd) -> None:
        """Idempotent by id."""
        ...

    async def record_workflow_end(self, end: WorkflowEnd) -> None:
        """Idempotent by id. Answers every cancellation that was asked for until now."""
        ...

    async def workflow(self, run_id: str) -> WorkflowRun | None: ...

    async def workflows(self, last: int) -> Sequence[WorkflowRun]:
        """Those started last come first; without the ends of their steps."""
        ...

    async def request_cancel(self, run_id: str) -> bool:
        """Ask whichever process runs it to stop; whether there is a run that has not ended."""
        ...

    async def cancel_requested(self, run_id: str) -> bool:
        """Whether somebody has asked for it since it ended last."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreInfo:
    """What a store is made of, for people to read."""

    url: str
    schema: str
    detail: Mapping[str, str]
    rows: Mapping[str, int]


class Store(Facts, Keys, Presence, Snapshots, Targets, Workflows, Protocol):
    """Everything that outlives a process. `RepositoryError` and `InputError` are all that leaves it."""

    async def open(self) -> None:
        """Make it ready: raises `StoreUnavailable` or `StoreOutdated`; an empty store is set up."""
        ...

    async def close(self) -> None:
        """Write what is waiting, and go. Safe to call twice."""
        ...

    async def upgrade(self) -> None:
        """Bring what was set up by an older version to what this one needs; the store need not be open."""
        ...

    async def info(self) -> StoreInfo: ...
