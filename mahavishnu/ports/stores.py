"""What a store promises: everything that outlives a process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mahavishnu.model import Daily, Decision, Execution, Outcome, Snapshot, Status, Target
from mahavishnu.model.alert import Alert, Watch
from mahavishnu.model.identity import IdKind
from mahavishnu.model.unreadable import Rows, Switches
from mahavishnu.model.workflow_run import StepEnd, WorkflowEnd, WorkflowRun, WorkflowStart
from mahavishnu.ports.experiments import Experiments
from mahavishnu.ports.facts import EVER, Between, Evidence, Fact, Settlement
from mahavishnu.ports.money import Ledger, Queue
from mahavishnu.ports.presence import Presence


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The answer to a claim of an idempotency key: whose run it is.

    `mine`: run it. Not mine and `over`: it succeeded before, under `decision_id`. Neither: it is running there now.
    """

    decision_id: str
    mine: bool
    over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionQuery:
    """Which executions to read: every condition that is given must hold; the newest come first."""

    last: int | None = 20
    decision_id: str | None = None
    target: str | None = None
    task_type: str | None = None
    status: Status | None = None
    within: Between = EVER
    """When they started."""


class Facts(Protocol):
    """Append-only truth."""

    def record(
        self,
        facts: Sequence[Fact],
        *,
        settle: Settlement | None = None,
        token: int | None = None,
        within_s: float | None = None,
    ) -> Awaitable[int]:
        """Answered when all of it is durable, in one transaction, in order. Idempotent by id; never blocks the loop.

        What it returns is the position of the last fact: a snapshot whose cursor has reached it holds all of them.
        With a `token`, nothing is written unless it is this process's current one (`TakenOver`). After `within_s`, or
        the store's own patience if that is shorter, `StoreSilent` is raised, and the facts may be written all the same.

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

    async def decisions(self, last: int, task_type: str | None = None, within: Between = EVER) -> Sequence[Decision]:
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

    async def claim(self, key: str, fingerprint: str, decision_id: str, *, within_s: float | None = None) -> Claim:
        """Atomic over all processes. A key whose owner died, or whose run did not succeed, goes to the claimant.

        An owner that is only taken for dead is fenced off by that: its token is an old one from then on.

        Raises `KeyReused` where the key belongs to a task with another fingerprint.
        """
        ...

    async def holder(self, key: str) -> Claim | None:
        """Who has a key now, without taking it (`mine` is False); None where it is free or its owner died."""
        ...


class Snapshots(Protocol):
    async def latest(self) -> Snapshot:
        """The newest one; the empty version 0 where none was published. Raises `RecordUnreadable`."""
        ...

    async def newest_version(self) -> int:
        """The version of `latest`, which is asked for every second and is not read as often."""
        ...

    async def publish(self, snapshot: Snapshot) -> None:
        """Compare and set: raises `SnapshotConflict` unless `snapshot.version` is one above the newest."""
        ...

    def when_published(self, take_up: Callable[[], Awaitable[None]]) -> None:
        """Awaited by each `publish` of this object that succeeds, before it returns; must not raise."""
        ...

    async def snapshot(self, version: int) -> Snapshot | None:
        """An earlier one; None where there is none, or none any more. Raises `RecordUnreadable`."""
        ...

    async def snapshots(self, last: int) -> Rows[Snapshot]:
        """The newest first."""
        ...


class Aggregates(Protocol):
    """What each UTC day added to each scorecard: sums of the facts up to a cursor, whatever the order they came in.

    A fact belongs to the day on which its execution began, a Revision to the day of what it revises.
    """

    async def fold(self, limit: int = 10_000) -> int:
        """Add the facts of the next `limit` positions to their days; returns how many positions that were, at last 0.

        Rows and cursor are one transaction: no fact is left out or counted twice, however many fold at once, and
        wherever they are killed.
        """
        ...

    async def dailies(self, since_day: int | None = None) -> tuple[int, Sequence[Daily]]:
        """The cursor, and the days up to it (from `since_day` on), by day, task type and target."""
        ...

    async def recomputed(self, since_day: int | None = None) -> tuple[int, Sequence[Daily]]:
        """What `dailies` should say, worked out from every fact up to its cursor, wherever that is kept by now."""
        ...

    async def replace_dailies(self, cursor: int, dailies: Sequence[Daily], since_day: int | None = None) -> bool:
        """Put these in the place of all days (from `since_day` on); False, and nothing done, if the cursor moved."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRun:
    """The newest run of a job: on its way until `ended_at_us`. `succeeded_at_us` is when any run last succeeded."""

    name: str
    run_id: str
    started_at_us: int
    ended_at_us: int | None
    ok: bool | None
    note: str
    succeeded_at_us: int | None


class Jobs(Protocol):
    """Single flight: a job runs once at a time, over all processes."""

    async def claim_job(self, name: str, lease_s: float) -> str | None:
        """The id of a new run; None while another is on its way: one that has not ended, lives, and is extended.

        A run that lives counts as over once it was seen not to be extended for its lease, by our own monotonic clock.
        """
        ...

    async def extend_job(self, run_id: str, lease_s: float) -> bool:
        """Hold on to it; False where the lease ran out and somebody else has claimed the job since."""
        ...

    async def finish_job(self, run_id: str, *, ok: bool, note: str) -> None:
        """Somebody else's run, by now, is left alone."""
        ...

    async def jobs(self) -> Rows[JobRun]:
        """The newest run of each job, by name."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How long what is kept, in days, and what share of the ordinary runs of a task type is kept whole.

    A task type without a share of its own in `rates` is frequent from `frequent` executions a day on, of which
    `frequent_rate` is kept, and otherwise kept whole.
    """

    hot_days: int = 3
    raw_days: int = 90
    aggregate_days: int = 365
    frequent: int = 10_000
    frequent_rate: float = 0.1
    rates: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 2 <= self.hot_days <= self.raw_days <= self.aggregate_days:
            raise ValueError(
                "hot_days must be 2 or more, raw_days no less than that, aggregate_days no less than those"
            )
        if not all(0 <= rate <= 1 for rate in (self.frequent_rate, *self.rates.values())):
            raise ValueError("the shares that are kept must lie between 0 and 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What one step of retention did."""

    what: str
    day: int
    rows: int = 0


class Retention(Protocol):
    """Old days move out of the way, and go when their time has come; every count and every sum stays what it was."""

    async def retain(self, keeping: Keeping, today: int) -> Kept | None:
        """Take the next step, which is one day's as a rule; None when there is none left.

        Killed anywhere, it has either not begun or is finished by whoever takes the next step. Nothing moves that has
        not been folded and published, or that still runs. One process at a time: claim a job around it.
        """
        ...


class Alerts(Protocol):
    """What was out of the ordinary, and how far the watching for it has come."""

    async def watch(self) -> Watch:
        """The newest one; an empty one, of revision 0, where nobody has watched yet."""
        ...

    async def keep_watch(self, before: Watch, after: Watch, alerts: Sequence[Alert]) -> bool:
        """Go on from `before`, with the alerts that opened, got worse or are over, in one transaction.

        False, and nothing kept, where somebody else went on from there. What people have done with an alert meanwhile
        stands: one that they resolved stays resolved, one that they acknowledged stays acknowledged until it is over.
        """
        ...

    async def alerts(self, last: int | None = None, *, unresolved: bool = False, within: Between = EVER) -> Rows[Alert]:
        """Those that opened within that time, the newest first."""
        ...

    async def acknowledge_alert(self, alert_id: str, at_us: int) -> Alert:
        """Somebody has seen it: open becomes acknowledged, and anything else stays. Raises `UnknownName`."""
        ...

    async def resolve_alert(self, alert_id: str, at_us: int) -> Alert:
        """It is over, or what it is about is the ordinary now. Resolved stays resolved. Raises `UnknownName`."""
        ...

    async def untold_alerts(self) -> Rows[Alert]:
        """Those whose news the webhook has not been told, the oldest first."""
        ...

    async def alert_told(self, alert_id: str, news: str) -> None: ...


class Targets(Protocol):
    """The targets that were added here, and the switches of all of them."""

    async def targets(self) -> Rows[Target]: ...

    async def add_target(self, target: Target) -> None:
        """Raises `TargetExists`."""
        ...

    async def put_targets(
        self, targets: Sequence[Target], instead_of: Mapping[str, Target], *, forget_switches: bool = False
    ) -> None:
        """Add them, or put them in the place of those of their names, in one transaction: all of them or none.

        One that replaces another keeps its place in the order and its switch, or with `forget_switches` is as it says
        itself. Raises `TargetExists` for a name that is there and not in `instead_of`, and `TargetChanged` where what
        is there is not what `instead_of` says.
        """
        ...

    async def remove_target(self, name: str) -> None:
        """Forgets its switch too. Raises `UnknownName`. Its history stays."""
        ...

    async def switches(self) -> Switches:
        """Target by target, whether it was switched on or off by hand; absent where nobody did."""
        ...

    async def switch_target(self, name: str, enabled: bool) -> None: ...


class Identifiers(Protocol):
    async def ids_ending(self, kind: IdKind, tail: str) -> Sequence[str]:
        """The ids of that kind that end so, in the database or in the lake; two at the most, which is one too many."""
        ...


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
    detail: Mapping[str, str | int]
    rows: Mapping[str, int]


class Store(
    Facts,
    Keys,
    Presence,
    Snapshots,
    Aggregates,
    Jobs,
    Retention,
    Alerts,
    Targets,
    Identifiers,
    Workflows,
    Ledger,
    Queue,
    Experiments,
    Protocol,
):
    """Everything that outlives a process. `RepositoryError` and `InputError` are all that leaves it.

    A row that this version cannot read is left out of what is read together (`Rows.unreadable` says which), and is
    raised as `RecordUnreadable` where it is asked for by itself. All other rows are read.
    """

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
