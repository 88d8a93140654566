"""What a store promises about money: nothing is spent that was not set aside, and every entry stays."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mahavishnu.model import Balance, Budget, LedgerEntry, Micros, Reservation, Shortfall, Spender
from mahavishnu.model.queued import QueuedTask, QueueStatus
from mahavishnu.model.unreadable import Rows
from mahavishnu.ports.facts import Fact, Settlement


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What an attempt came to cost: it ends the reservation of that execution, if there is one.

    Where the caller knows that there is none, `reserved` spares the store the looking.
    """

    execution_id: str
    at_us: int
    micros: Micros
    spender: Spender
    reserved: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One line of `costs`: what was charged and corrected, by the dimensions that were asked for."""

    by: Mapping[str, str]
    micros: int
    executions: int


class Ledger(Protocol):
    """Entries are only ever added. The balances of a budget are at all times the sums of its entries."""

    async def set_budget(self, budget: Budget) -> None:
        """Make or change it, by name. What was spent stays spent: a changed period or scope is worked out from entries.

        A new budget starts with what the entries of its current period say of those that it covers, and with what is
        set aside for them.
        """
        ...

    async def remove_budget(self, name: str) -> None:
        """Its entries stay. Raises `UnknownName`."""
        ...

    async def balances(self, at_us: int) -> Sequence[Balance]:
        """Every budget as it stands in its period of that time, by name; one that cannot be read is marked as such."""
        ...

    def reserve(
        self,
        reservation: Reservation,
        facts: Sequence[Fact],
        *,
        token: int | None = None,
        within_s: float | None = None,
    ) -> Awaitable[Shortfall | None]:
        """Set the money aside in all accounts and write the facts, in one transaction; or neither, and say for want of
        room where. Atomic over threads, processes and machines: two callers never share the same room, and nobody is
        refused while there is room. Idempotent by execution id.

        It counts against every budget that covers its spender as budgets are then, whatever accounts the caller knew
        of. One without accounts and without money sets nothing aside: only its facts are written. `token` and
        `within_s` are those of `record`.
        """
        ...

    def charge(
        self,
        charge: Charge,
        facts: Sequence[Fact],
        *,
        settle: Settlement | None = None,
        within_s: float | None = None,
    ) -> Awaitable[int]:
        """Write the facts and what the attempt cost, and give back what was set aside; the position of the last fact.

        Idempotent by execution id. What exceeds the reservation is charged all the same: an account tells the truth;
        so is what comes after the reservation was given back because its process seemed gone. What nothing was set
        aside for counts in no account, and leaves no entry where it cost nothing.
        """
        ...

    async def correct(self, execution_id: str, micros: Micros, at_us: int, note: str = "") -> LedgerEntry | None:
        """The bill for an execution came to `micros` in all: one entry over the difference; None where there is none.

        It counts where and when the charge counts. An execution whose process was gone counts as charged with nothing,
        and the bill is the last word on it. Raises `UnknownName` for one that was neither charged nor given up.
        """
        ...

    def entries(self, since_us: int = 0, until_us: int | None = None) -> AsyncIterator[LedgerEntry]:
        """Those written within these times, in the order in which they were written."""
        ...

    async def costs(self, by: Sequence[str], since_us: int, until_us: int | None = None) -> Sequence[Cost]:
        """Charges and corrections, added up by any of target, adapter, task_type, day (UTC), `tag:NAME`; dearest first.

        By the time that they are of, so that days add up to what budgets say. A tag that a task does not have is "".
        Raises `InputError` for a dimension that there is not.
        """
        ...


class Queue(Protocol):
    """Tasks that wait for room in a budget."""

    async def enqueue(self, queued: QueuedTask) -> None:
        """Idempotent by id."""
        ...

    async def queued(self, status: QueueStatus | None = None, *, last: int | None = None) -> Rows[QueuedTask]:
        """In the order of running; with `last`, only the newest so many."""
        ...

    async def move_queued(self, id_: str, before: QueueStatus, after: QueuedTask) -> bool:
        """Compare and set: False, and nothing done, where its status is no longer `before`."""
        ...
