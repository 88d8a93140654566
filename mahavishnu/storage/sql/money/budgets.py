"""Making and changing budgets in a database: what was spent and set aside before is carried over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Select, bindparam, delete, func, select, update

from mahavishnu.model import Account, Budget, EntryKind, Reservation
from mahavishnu.storage.sql.connection.tables import budgets, ledger_entries, reservations
from mahavishnu.storage.sql.connection.transaction import Transaction
from mahavishnu.storage.sql.facts.fact_rows import escaped
from mahavishnu.storage.sql.money.accounts import balance, move
from mahavishnu.storage.sql.money.entries import accounts_moved, carried, entry_about, unknown_budget
from mahavishnu.storage.sql.money.rows import (
    accounts_json,
    budget_json,
    budget_of,
    entry_row,
    reservation_of,
    spender_of,
)

SPENT = (EntryKind.CHARGE.value, EntryKind.CORRECT.value)

_BUDGET = select(budgets.c.name, budgets.c.body, budgets.c.hard_micros).where(budgets.c.name == bindparam("name_"))
_REMOVE = delete(budgets).where(budgets.c.name == bindparam("name_"))
_CHANGE = update(budgets).where(budgets.c.name == bindparam("name_"))
_PLACE = (
    update(reservations)
    .where(reservations.c.execution_id == bindparam("execution"))
    .values(accounts=bindparam("placed"))
)


def set_budget(transaction: Transaction, budget: Budget, now_us: int) -> None:
    found = transaction.find(_BUDGET, {"name_": budget.name})
    row = {"body": budget_json(budget), "hard_micros": budget.hard_micros}
    if found and budget_of(*found[0]).counts_as(budget):
        transaction.change(_CHANGE, {"name_": budget.name, **row})
        return
    label = budget.label(now_us)
    since = transaction.position()
    transaction.change(_REMOVE, {"name_": budget.name})
    transaction.put(budgets, (budget.name, row["body"], row["hard_micros"], since, label))
    _carry_reserved(transaction, budget, now_us)
    _carry_spent(transaction, budget, label, now_us)


def remove_budget(transaction: Transaction, name: str) -> None:
    if not transaction.change(_REMOVE, {"name_": escaped(name)}):
        raise unknown_budget(name)


def _carry_reserved(transaction: Transaction, budget: Budget, now_us: int) -> None:
    """What is set aside is given back and set aside again, in the accounts where it belongs from now on."""
    for row in transaction.find(select(reservations)):
        before = reservation_of(row)
        accounts = accounts_moved(before.accounts, budget, before.spender, before.at_us)
        if set(accounts) == set(before.accounts):
            continue
        after = replace(before, accounts=accounts)
        _note_again(transaction, before, EntryKind.RELEASE, now_us, budget)
        _note_again(transaction, after, EntryKind.RESERVE, now_us, budget)
        move(transaction, before.accounts, reserved=-before.micros)
        move(transaction, after.accounts, reserved=before.micros)
        transaction.change(_PLACE, {"execution": before.execution_id, "placed": accounts_json(accounts)})


def _note_again(
    transaction: Transaction, reservation: Reservation, kind: EntryKind, now_us: int, budget: Budget
) -> None:
    position = transaction.position()
    entry = entry_about(reservation, kind, now_us, n=position, note=_why(budget))
    transaction.add(ledger_entries, entry_row(position, position, entry))


def _carry_spent(transaction: Transaction, budget: Budget, label: str, now_us: int) -> None:
    """What the entries of this period say was spent on what this budget covers, instead of what its account did."""
    rows = transaction.find(_spent_in(budget, *budget.bounds_us(now_us)))
    spent = sum(
        int(row.micros) for row in rows if budget.covers(spender_of(row.adapter, row.target, row.task_type, row.tags))
    )
    difference = spent - balance(transaction, budget, label).spent_micros
    if difference:
        account = Account(budget=budget.name, label=label)
        position = transaction.position()
        entry = carried(account, now_us, difference, position, _why(budget))
        transaction.add(ledger_entries, entry_row(position, position, entry))
        move(transaction, (account,), spent=difference)


def _spent_in(budget: Budget, start_us: int, end_us: int | None) -> Select[Any]:
    entries = ledger_entries.c
    by = (entries.adapter, entries.target, entries.task_type, entries.tags)
    asked = {entries.adapter: budget.adapter, entries.target: budget.target, entries.task_type: budget.task_type}
    statement = select(*by, func.sum(entries.micros).label("micros")).group_by(*by)
    statement = statement.where(entries.kind.in_(SPENT), entries.of_us >= start_us)
    if end_us is not None:
        statement = statement.where(entries.of_us < end_us)
    for column, wanted in asked.items():
        if wanted is not None:
            statement = statement.where(column == escaped(wanted))
    return statement


def _why(budget: Budget) -> str:
    return f"budget {budget.name} was set"
