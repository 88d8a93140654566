"""The contracts: what an adapter, a policy, a store and a clock promise to the rest of the house."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Protocol, runtime_checkable

from mahavishnu.model import (
    Candidate,
    Chunk,
    CostModel,
    Decision,
    Execution,
    Health,
    Outcome,
    Ranking,
    Result,
    Revision,
    Snapshot,
    Status,
    Target,
    Task,
)


class Clock(Protocol):
    """Time and identity, so that both can be held still in a test."""

    def now_us(self) -> int:
        """UTC, in microseconds since 1970."""
        ...

    def monotonic_s(self) -> float:
        """Seconds that never go back, for measuring and for deadlines."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    def new_id(self) -> str:
        """A ULID; later ones of one process sort after earlier ones."""
        ...


# -- adapters ----------------------------------------------------------------------------------------------------------


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
class Discovers(Protocol):
    """An adapter that can ask its engine what there is to run."""

    async def discover(self) -> Sequence[Target]:
        """What could be added, ready to be: raises AdapterError where the engine cannot be asked."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One process of an engine on trial: how to start it, and how to see that it is up.

    `environment` comes on top of this process's own. `is_up` raises nothing and answers within a few seconds. The
    process runs in the foreground until it is sent SIGTERM, and keeps to the folder that it was given.
    """

    name: str
    command: Sequence[str]
    is_up: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEngine:
    """A real engine that can be started here for trying out: nothing of it runs yet.

    `programs` are started one after the other, each when the one before it is up, and `prepare` is awaited last.
    `settings` are the table of its adapter that finds it, `targets` what can then be added, and `simulated` says in
    one sentence which of its answers are not real.
    """

    url: str
    programs: Sequence[Program]
    settings: Mapping[str, Any]
    targets: Sequence[Target]
    simulated: str
    prepare: Callable[[], Awaitable[None]] | None = None


@runtime_checkable
class Tryable(Protocol):
    """An adapter whose engine can be started here for trying out."""

    def trial(self, folder: Path, port: int, *, key_env: str | None = None) -> TrialEngine:
        """Its engine, listening on `port`, with all its data in `folder`, its telemetry off, and no outside world.

        With `key_env`, it asks for the key that this environment variable holds. Raises Misconfigured where it cannot.
        """
        ...


# -- policies ----------------------------------------------------------------------------------------------------------


class Policy(Protocol):
    """Ranks candidates. Pure: the same arguments, the same ranking; all randomness comes from `rng`.

    Every candidate is in the chain exactly once, also one without evidence. Probabilities lie in [0, 1] and sum to 1,
    and each is the probability with which that candidate comes first.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str:
        """Changes whenever the same arguments could give another ranking: code and options."""
        ...

    def rank(
        self, task: Task, candidates: Sequence[Candidate], snapshot: Snapshot, now_us: int, rng: Random
    ) -> Ranking: ...


# -- the store ---------------------------------------------------------------------------------------------------------

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


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreInfo:
    """What a store is made of, for people to read."""

    url: str
    schema: str
    detail: Mapping[str, str]
    rows: Mapping[str, int]


class Store(Facts, Keys, Presence, Snapshots, Targets, Protocol):
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
