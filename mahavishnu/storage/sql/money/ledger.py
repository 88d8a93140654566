"""The ledger of the store in a database."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Select, func, literal, literal_column, select

from mahavishnu.model import DAY_US, Balance, Budget, LedgerEntry, Micros, Reservation, Shortfall
from mahavishnu.ports import Charge, Cost, Fact, Settlement
from mahavishnu.storage.sql.connection.tables import balances, budgets, ledger_entries
from mahavishnu.storage.sql.connection.waiting import FOREVER
from mahavishnu.storage.sql.connection.writer import Work
from mahavishnu.storage.sql.money import transfers
from mahavishnu.storage.sql.money.budgets import SPENT, remove_budget, set_budget
from mahavishnu.storage.sql.money.costs import TAG, Sum, check_dimensions, costs_of
from mahavishnu.storage.sql.money.entries import a_budget
from mahavishnu.storage.sql.money.rows import budget_of, entry_of, spender_of
from mahavishnu.storage.sql.store_part import SqlPart

PAGE = 1000
"""Entries read at once."""


class SqlLedger(SqlPart):
    """The part of the store in a database that keeps money."""

    @abstractmethod
    def _recording(self, facts: Sequence[Fact], settle: Settlement | None, token: int | None = None) -> Work[int]: ...

    async def set_budget(self, budget: Budget) -> None:
        checked, now_us = a_budget(budget), self._clock.now_us()
        await self._write(partial(set_budget, budget=checked, now_us=now_us), facts=2)

    async def remove_budget(self, name: str) -> None:
        await self._write(partial(remove_budget, name=name))

    async def balances(self, at_us: int) -> Sequence[Balance]:
        return await self._read(partial(_balances, at_us=at_us))

    def reserve(
        self,
        reservation: Reservation,
        facts: Sequence[Fact],
        *,
        token: int | None = None,
        within_s: float | None = None,
    ) -> Awaitable[Shortfall | None]:
        work = partial(transfers.reserve, reservation=reservation, record=self._recording(facts, None, token))
        return self._write(work, facts=len(facts) + 1, within_s=within_s)

    def charge(
        self,
        charge: Charge,
        facts: Sequence[Fact],
        *,
        settle: Settlement | None = None,
        within_s: float | None = None,
    ) -> Awaitable[int]:
        work = partial(transfers.charge, charge=charge, record=self._recording(facts, settle))
        return self._write(work, facts=len(facts) + 2, within_s=within_s)

    async def correct(self, execution_id: str, micros: Micros, at_us: int, note: str = "") -> LedgerEntry | None:
        work = partial(transfers.correct, execution_id=execution_id, micros=micros, at_us=at_us, note=note)
        return await self._write(work, facts=2)

    async def entries(self, since_us: int = 0, until_us: int | None = None) -> AsyncIterator[LedgerEntry]:
        after = -1
        while True:
            page = await self._read(partial(_entries, after=after, since_us=since_us, until_us=until_us))
            for position, entry in page:
                yield entry
                after = position
            if len(page) < PAGE:
                return

    async def costs(self, by: Sequence[str], since_us: int, until_us: int | None = None) -> Sequence[Cost]:
        check_dimensions(by)
        return costs_of(
            await self._read(partial(_sums, by=by, since_us=since_us, until_us=until_us), within_s=FOREVER), by
        )


def _balances(connection: Connection, at_us: int) -> list[Balance]:
    rows = connection.execute(select(budgets.c.name, budgets.c.body, budgets.c.hard_micros))
    known = [budget_of(row.name, row.body, row.hard_micros) for row in rows]
    wanted = {each.name: each.label(at_us) for each in known}
    # More than are wanted, where two budgets use the same labels; far fewer than all that ever were.
    statement = select(balances).where(balances.c.budget.in_(wanted), balances.c.label.in_(set(wanted.values())))
    found = {(row.budget, row.label): row for row in connection.execute(statement)}
    return [_balance(each, wanted[each.name], found) for each in sorted(known, key=lambda each: each.name)]


def _balance(budget: Budget, label: str, found: dict[tuple[str, str], Any]) -> Balance:
    row = found.get((budget.name, label))
    if row is None:
        return Balance(budget=budget, label=label)
    return Balance(budget=budget, label=label, spent_micros=row.spent, reserved_micros=row.reserved)


def _entries(connection: Connection, after: int, since_us: int, until_us: int | None) -> list[tuple[int, LedgerEntry]]:
    statement = select(ledger_entries).where(ledger_entries.c.position > after, ledger_entries.c.at_us >= since_us)
    if until_us is not None:
        statement = statement.where(ledger_entries.c.at_us < until_us)
    statement = statement.order_by(ledger_entries.c.position).limit(PAGE)
    return [(row.position, entry_of(row)) for row in connection.execute(statement)]


def _sums(connection: Connection, by: Sequence[str], since_us: int, until_us: int | None) -> list[Sum]:
    return [
        Sum(spender_of(row.adapter, row.target, row.task_type, row.tags), row.day, int(row.micros), row.executions)
        for row in connection.execute(_summing(by, since_us, until_us))
        # Where nothing is asked for, there is a row also if there is nothing to add up.
        if row.executions
    ]


def _summing(by: Sequence[str], since_us: int, until_us: int | None) -> Select[Any]:
    """Grouped by no more than what is asked for. Tags come as they are: no database reads all that people write."""
    entries = ledger_entries.c
    asked = {name: getattr(entries, name) for name in ("adapter", "target", "task_type") if name in by}
    if any(each.startswith(TAG) for each in by):
        asked["tags"] = entries.tags
    if "day" in by:
        asked["day"] = literal_column(f"of_us / {DAY_US}")
    plain: dict[str, Any] = {"adapter": "", "target": "", "task_type": "", "tags": "{}", "day": 0}
    statement = select(
        *(asked.get(name, literal(value)).label(name) for name, value in plain.items()),
        func.sum(entries.micros).label("micros"),
        func.count(entries.execution_id.distinct()).label("executions"),
    ).where(entries.kind.in_(SPENT), entries.of_us >= since_us)
    if until_us is not None:
        statement = statement.where(entries.of_us < until_us)
    return statement.group_by(*asked.values()) if asked else statement
