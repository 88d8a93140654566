"""What the checks look at: rows of the store, what workers said, and what was done to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Account = tuple[str, str]
"""A budget and the label of one of its periods."""


@dataclass(frozen=True, slots=True)
class StartRow:
    id: str
    decision_id: str
    process_id: str
    started_at_us: int


@dataclass(frozen=True, slots=True)
class ExecutionRow:
    id: str
    decision_id: str
    process_id: str
    target: str
    task_type: str
    status: str
    cost_micros: int


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A key that has not succeeded, and the process that claimed it last."""

    key: str
    decision_id: str
    process_id: str


@dataclass(frozen=True, slots=True)
class ReservationRow:
    execution_id: str
    process_id: str
    micros: int
    accounts: tuple[Account, ...]
    over: bool


@dataclass(frozen=True, slots=True)
class AccountSum:
    """The sum of all entries of one kind that count in the same accounts."""

    kind: str
    accounts: tuple[Account, ...]
    micros: int


@dataclass(frozen=True, slots=True)
class BalanceRow:
    budget: str
    label: str
    spent: int
    reserved: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Rows of one moment. `starts`, `executions`, `decisions`, `outcomes` and `charges` are those of the round."""

    newest: int = 0
    starts: tuple[StartRow, ...] = ()
    open_starts: tuple[StartRow, ...] = ()
    executions: tuple[ExecutionRow, ...] = ()
    decisions: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    charges: Mapping[str, int] = field(default_factory=dict)
    held_keys: tuple[HeldKey, ...] = ()
    reservations: tuple[ReservationRow, ...] = ()
    sums: tuple[AccountSum, ...] = ()
    balances: tuple[BalanceRow, ...] = ()
    limits: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The beginning or the end of one run of a keyed target, as the target itself wrote it down."""

    worker: str
    key: str
    run: int
    begins: bool
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """A report that a caller was given: each execution with its status and its cost.

    One that was still running elsewhere when the caller's deadline passed is told as such, and is no promise.
    """

    worker: str
    at_ns: int
    decision_id: str
    key: str | None
    succeeded: bool
    replayed: bool
    executions: tuple[tuple[str, str, int], ...]

    @property
    def ended(self) -> tuple[tuple[str, str, int], ...]:
        return tuple(told for told in self.executions if told[1] != "running")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """How long a caller waited for whatever it was given; `how` is "ok" or the code of the error."""

    worker: str
    what: str
    began_ns: int
    waited_ms: float
    deadline_ms: float | None
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """Something that may not reach a caller: an error that is none of mahavishnu's, or nonsense that was accepted."""

    worker: str
    what: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a worker holds while it is idle."""

    worker: str
    round: int
    rss_kb: int
    descriptors: int
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A time in which a fault was on; `worker` is "" where it struck all."""

    kind: str
    worker: str
    from_ns: int
    to_ns: int


@dataclass(slots=True)
class Journal:
    """What workers said in one round."""

    effects: list[Effect] = field(default_factory=list)
    acks: list[Ack] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    leaks: list[Leak] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One process: when it was killed, or None where nothing was done to it; and whether it still runs."""

    worker: str
    process_id: str | None
    killed_ns: int | None = None
    runs: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything that a check may look at."""

    records: Records
    journal: Journal
    lives: tuple[Life, ...] = ()
    windows: tuple[Window, ...] = ()

    @property
    def living(self) -> frozenset[str]:
        """The process ids of those that were not killed, also where they have ended since."""
        return frozenset(life.process_id for life in self.lives if life.killed_ns is None and life.process_id)

    @property
    def running(self) -> frozenset[str]:
        return frozenset(life.process_id for life in self.lives if life.runs and life.process_id)
