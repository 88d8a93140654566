"""Money and the queue of the store in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from mahavishnu.model import (
    Account,
    Balance,
    Budget,
    EntryKind,
    LedgerEntry,
    Micros,
    Reservation,
    Shortfall,
    day_of,
)
from mahavishnu.model.queued import QueuedTask, QueueStatus
from mahavishnu.model.unreadable import Rows
from mahavishnu.ports import Charge, Clock, Cost, Fact, Settlement
from mahavishnu.storage.sql.facts.documents import task_json, task_of
from mahavishnu.storage.sql.money.costs import Sum, check_dimensions, costs_of
from mahavishnu.storage.sql.money.entries import (
    AFTER_TAKE_OVER,
    GONE,
    WITHDRAWN,
    Noted,
    Standing,
    a_budget,
    accounts_moved,
    accounts_now,
    accounts_since,
    carried,
    entry_about,
    entry_id,
    given_up,
    uncharged,
    unknown_budget,
    unreserved,
)

_SPENT = (EntryKind.CHARGE, EntryKind.CORRECT)


@dataclass(slots=True)
class Sums:
    """What stands in one account."""

    spent: int = 0
    reserved: int = 0


@dataclass(slots=True)
class MoneyMemory:
    """The books: every method leaves balances and entries in agreement."""

    standings: dict[str, Standing] = field(default_factory=dict)
    balances: dict[Account, Sums] = field(default_factory=dict)
    reservations: dict[str, Reservation] = field(default_factory=dict)
    entries: list[LedgerEntry] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    queue: dict[str, QueuedTask] = field(default_factory=dict)

    def balance(self, budget: Budget, label: str) -> Balance:
        found = self.balances.get(Account(budget=budget.name, label=label), Sums())
        return Balance(budget=budget, label=label, spent_micros=found.spent, reserved_micros=found.reserved)

    @property
    def budgets(self) -> Sequence[Budget]:
        return [each.budget for _, each in sorted(self.standings.items())]

    def placed(self, reservation: Reservation) -> Reservation | None:
        """The reservation in the accounts that it counts in; None where it was made before, or asks for nothing."""
        made = entry_id(reservation.execution_id, EntryKind.RESERVE) in self.places
        if made or not (reservation.accounts or reservation.micros):
            return None
        return replace(reservation, accounts=accounts_now(self.budgets, reservation.spender, reservation.at_us))

    def shortfall(self, placed: Reservation) -> Shortfall | None:
        """The first of its accounts that has no room for it."""
        for account in placed.accounts:
            balance = self.balance(self.standings[account.budget].budget, account.label)
            room = balance.room_micros
            if room is not None and placed.micros > room:
                return Shortfall(balance=balance, wanted_micros=placed.micros)
        return None

    def set_aside(self, placed: Reservation) -> None:
        self.reservations[placed.execution_id] = placed
        self._move(placed.accounts, reserved=placed.micros)
        self._note(entry_about(placed, EntryKind.RESERVE, placed.at_us))

    def charge(self, charge: Charge) -> None:
        if entry_id(charge.execution_id, EntryKind.CHARGE) in self.places:
            return
        about, note = self.reservations.get(charge.execution_id) if charge.reserved else None, ""
        if about is not None:
            self.let_go(about, charge.at_us)
        elif charge.reserved and (released := self._noted(charge.execution_id, EntryKind.RELEASE)):
            about, note = given_up(released, self.standings.values()), AFTER_TAKE_OVER
        elif charge.micros:
            about = unreserved(charge, self.budgets)
        if about is not None:
            self._move(about.accounts, spent=charge.micros)
            self._note(entry_about(about, EntryKind.CHARGE, charge.at_us, micros=charge.micros, note=note))

    def let_go(self, reservation: Reservation, at_us: int, note: str = "") -> None:
        del self.reservations[reservation.execution_id]
        self._move(reservation.accounts, reserved=-reservation.micros)
        self._note(entry_about(reservation, EntryKind.RELEASE, at_us, note=note))

    def give_up(self, lives: Callable[[str], bool], at_us: int) -> None:
        """Give back what processes that are gone had set aside."""
        for each in [each for each in self.reservations.values() if not lives(each.process_id)]:
            self.let_go(each, at_us, GONE)

    def withdraw(self, execution_ids: Iterable[str], at_us: int) -> None:
        for id_ in execution_ids:
            reservation = self.reservations.get(id_)
            if reservation is not None:
                self.let_go(reservation, at_us, WITHDRAWN)

    def reserved_by_process(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for reservation in self.reservations.values():
            found[reservation.process_id] += reservation.micros
        return found

    def correct(self, execution_id: str, micros: int, at_us: int, note: str) -> LedgerEntry | None:
        charged = self._noted(execution_id, EntryKind.CHARGE)
        if charged is None:
            released = self._noted(execution_id, EntryKind.RELEASE)
            if released is None:
                raise uncharged(execution_id)
            # From now on this bill stands, whatever its process says should it turn up again.
            about = given_up(released, self.standings.values())
            charged = self._note(entry_about(about, EntryKind.CHARGE, at_us, micros=0))
        known = sum(each.micros for each in self.entries if each.execution_id == execution_id and each.kind in _SPENT)
        if micros == known:
            return None
        correction = replace(
            charged.entry,
            id=entry_id(execution_id, EntryKind.CORRECT, len(self.entries) + 1),
            kind=EntryKind.CORRECT,
            at_us=at_us,
            micros=micros - known,
            accounts=accounts_since(charged, self.standings.values()),
            note=note,
        )
        self._move(correction.accounts, spent=correction.micros)
        return self._note(correction).entry

    def set_budget(self, budget: Budget, now_us: int) -> None:
        found = self.standings.get(budget.name)
        if found is not None and found.budget.counts_as(budget):
            self.standings[budget.name] = replace(found, budget=budget)
            return
        label = budget.label(now_us)
        self.standings[budget.name] = Standing(budget, len(self.entries) + 1, label)
        note = f"budget {budget.name} was set"
        self._carry_reserved(budget, now_us, note)
        self._carry_spent(budget, label, now_us, note)

    def _carry_reserved(self, budget: Budget, now_us: int, note: str) -> None:
        for before in list(self.reservations.values()):
            accounts = accounts_moved(before.accounts, budget, before.spender, before.at_us)
            if set(accounts) == set(before.accounts):
                continue
            after = replace(before, accounts=accounts)
            self._move(before.accounts, reserved=-before.micros)
            self._move(accounts, reserved=before.micros)
            for each, kind in ((before, EntryKind.RELEASE), (after, EntryKind.RESERVE)):
                self._note(entry_about(each, kind, now_us, n=len(self.entries) + 1, note=note))
            self.reservations[before.execution_id] = after

    def _carry_spent(self, budget: Budget, label: str, now_us: int, note: str) -> None:
        start_us, end_us = budget.bounds_us(now_us)
        spent = sum(each.micros for each in self.spending(start_us, end_us) if budget.covers(each.spender))
        difference = spent - self.balance(budget, label).spent_micros
        if difference:
            account = Account(budget=budget.name, label=label)
            self._move((account,), spent=difference)
            self._note(carried(account, now_us, difference, len(self.entries) + 1, note))

    def spending(self, since_us: int, until_us: int | None) -> Iterable[LedgerEntry]:
        """Charges and corrections, by the time that they are of."""
        for each in self.entries:
            if each.kind in _SPENT and each.of_us >= since_us and (until_us is None or each.of_us < until_us):
                yield each

    def _noted(self, execution_id: str, kind: EntryKind) -> Noted | None:
        place = self.places.get(entry_id(execution_id, kind))
        return None if place is None else Noted(place, self.entries[place - 1])

    def _note(self, entry: LedgerEntry) -> Noted:
        # Tags are the caller's, who may change them later.
        entry = replace(entry, spender=replace(entry.spender, tags=dict(entry.spender.tags)))
        self.entries.append(entry)
        self.places[entry.id] = len(self.entries)
        return Noted(len(self.entries), entry)

    def _move(self, accounts: Iterable[Account], *, spent: int = 0, reserved: int = 0) -> None:
        for each in accounts:
            sums = self.balances.setdefault(each, Sums())
            sums.spent += spent
            sums.reserved += reserved


class MemoryMoney(ABC):
    """The part of the store in memory that keeps money, and the tasks that wait for it."""

    _clock: Clock

    @abstractmethod
    def _kept_money(self) -> MoneyMemory: ...

    @abstractmethod
    async def record(
        self,
        facts: Sequence[Fact],
        *,
        settle: Settlement | None = None,
        token: int | None = None,
        within_s: float | None = None,
    ) -> int: ...

    async def set_budget(self, budget: Budget) -> None:
        checked = a_budget(budget)
        self._kept_money().set_budget(replace(checked, tags=dict(checked.tags)), self._clock.now_us())

    async def remove_budget(self, name: str) -> None:
        if self._kept_money().standings.pop(name, None) is None:
            raise unknown_budget(name)

    async def balances(self, at_us: int) -> Sequence[Balance]:
        kept = self._kept_money()
        return [kept.balance(each, each.label(at_us)) for each in kept.budgets]

    @abstractmethod
    def _check(self, token: int | None) -> None: ...

    async def reserve(
        self,
        reservation: Reservation,
        facts: Sequence[Fact],
        *,
        token: int | None = None,
        within_s: float | None = None,
    ) -> Shortfall | None:
        del within_s
        kept = self._kept_money()
        self._check(token)
        placed = kept.placed(reservation)
        shortfall = None if placed is None else kept.shortfall(placed)
        if shortfall is not None:
            return shortfall
        await self.record(facts)
        if placed is not None:
            kept.set_aside(placed)
        return None

    async def charge(
        self,
        charge: Charge,
        facts: Sequence[Fact],
        *,
        settle: Settlement | None = None,
        within_s: float | None = None,
    ) -> int:
        del within_s
        position = await self.record(facts, settle=settle)
        self._kept_money().charge(charge)
        return position

    async def correct(self, execution_id: str, micros: Micros, at_us: int, note: str = "") -> LedgerEntry | None:
        return self._kept_money().correct(execution_id, micros, at_us, note)

    async def entries(self, since_us: int = 0, until_us: int | None = None) -> AsyncIterator[LedgerEntry]:
        kept, place = self._kept_money(), 0
        while place < len(kept.entries):
            entry = kept.entries[place]
            place += 1
            if entry.at_us >= since_us and (until_us is None or entry.at_us < until_us):
                yield entry

    async def costs(self, by: Sequence[str], since_us: int, until_us: int | None = None) -> Sequence[Cost]:
        check_dimensions(by)
        seen: set[str] = set()
        sums = []
        for each in self._kept_money().spending(since_us, until_us):
            sums.append(Sum(each.spender, day_of(each.of_us), each.micros, int(each.execution_id not in seen)))
            seen.add(each.execution_id)
        return costs_of(sums, by)

    # -- the queue -----------------------------------------------------------------------------------------------------

    async def enqueue(self, queued: QueuedTask) -> None:
        self._kept_money().queue.setdefault(queued.id, _copy(queued))

    async def queued(self, status: QueueStatus | None = None, *, last: int | None = None) -> Rows[QueuedTask]:
        found = [each for _, each in sorted(self._kept_money().queue.items()) if status in (None, each.status)]
        return Rows(found if last is None else found[max(len(found) - max(last, 0), 0) :])

    async def move_queued(self, id_: str, before: QueueStatus, after: QueuedTask) -> bool:
        queue = self._kept_money().queue
        found = queue.get(id_)
        if found is None or found.status is not before:
            return False
        queue[id_] = _copy(after)
        return True


def _copy(queued: QueuedTask) -> QueuedTask:
    return replace(queued, task=task_of(task_json(queued.task)))
