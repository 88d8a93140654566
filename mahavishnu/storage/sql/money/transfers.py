"""Reserving, charging and correcting in a database, each within one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import bindparam, select

from mahavishnu.model import EntryKind, LedgerEntry, Micros, Reservation, Shortfall
from mahavishnu.ports import Charge
from mahavishnu.storage.sql.connection.tables import ledger_entries, reservations
from mahavishnu.storage.sql.connection.transaction import Transaction
from mahavishnu.storage.sql.connection.writer import Work
from mahavishnu.storage.sql.facts.fact_rows import escaped
from mahavishnu.storage.sql.money.accounts import balance, held, let_go, move, note_entry, standings, take
from mahavishnu.storage.sql.money.entries import (
    AFTER_TAKE_OVER,
    Noted,
    accounts_now,
    accounts_since,
    entry_about,
    entry_id,
    given_up,
    uncharged,
    unreserved,
)
from mahavishnu.storage.sql.money.rows import entry_of, entry_row, reservation_row

_OF_EXECUTION = (
    select(ledger_entries)
    .where(ledger_entries.c.execution_id == bindparam("execution"))
    .order_by(ledger_entries.c.position)
)
_TAKE_BACK = "DELETE FROM ledger_entries WHERE execution_id = :execution AND kind = 'reserve' AND n = 0"


def reserve(transaction: Transaction, reservation: Reservation, record: Work[int]) -> Shortfall | None:
    """`record` writes the facts that go with it; where this process was given up it raises, and all is undone."""
    if reservation.accounts or reservation.micros:
        shortfall = _set_aside(transaction, reservation)
        if shortfall is not None:
            return shortfall
    record(transaction)
    return None


def charge(transaction: Transaction, charge: Charge, record: Work[int]) -> int:
    last = record(transaction)
    reservation = held(transaction, charge.execution_id) if charge.reserved else None
    if reservation is not None:
        let_go(transaction, reservation, charge.at_us, spent=charge.micros)
        note_entry(transaction, entry_about(reservation, EntryKind.CHARGE, charge.at_us, micros=charge.micros))
    elif charge.reserved:
        _charge_late(transaction, charge)
    elif charge.micros:
        _charge_unreserved(transaction, charge)
    return last


def correct(transaction: Transaction, execution_id: str, micros: Micros, at_us: int, note: str) -> LedgerEntry | None:
    entries = _entries(transaction, execution_id)
    charged = _one(entries, EntryKind.CHARGE)
    if charged is None:
        released = _one(entries, EntryKind.RELEASE)
        if released is None:
            raise uncharged(execution_id)
        # From now on this bill stands, whatever its process says should it turn up again.
        about = given_up(released, standings(transaction))
        position = transaction.position()
        charged = Noted(position, entry_about(about, EntryKind.CHARGE, at_us, micros=0))
        transaction.add(ledger_entries, entry_row(position, 0, charged.entry))
    difference = micros - charged.entry.micros - sum(each.entry.micros for each in entries if _corrects(each))
    if not difference:
        return None
    position = transaction.position()
    correction = replace(
        charged.entry,
        id=entry_id(execution_id, EntryKind.CORRECT, position),
        kind=EntryKind.CORRECT,
        at_us=at_us,
        micros=difference,
        accounts=accounts_since(charged, standings(transaction)),
        note=note,
    )
    transaction.add(ledger_entries, entry_row(position, position, correction))
    move(transaction, correction.accounts, spent=difference)
    return correction


def _set_aside(transaction: Transaction, reservation: Reservation) -> Shortfall | None:
    budgets = [each.budget for each in standings(transaction)]
    accounts = accounts_now(budgets, reservation.spender, reservation.at_us)
    reservation = replace(reservation, accounts=accounts)
    entry = entry_about(reservation, EntryKind.RESERVE, reservation.at_us)
    if not transaction.put(ledger_entries, entry_row(transaction.position(), 0, entry)):
        return None
    for place, account in enumerate(accounts):
        if not take(transaction, account, reservation.micros):
            # To raise would undo what others wrote in the same transaction.
            move(transaction, accounts[:place], reserved=-reservation.micros)
            transaction.run(_TAKE_BACK, {"execution": reservation.execution_id})
            budget = next(each for each in budgets if each.name == account.budget)
            found = balance(transaction, budget, account.label)
            return Shortfall(balance=found, wanted_micros=reservation.micros)
    transaction.put(reservations, reservation_row(reservation))
    return None


def _charge_unreserved(transaction: Transaction, charge: Charge) -> None:
    about = unreserved(charge, [each.budget for each in standings(transaction)])
    entry = _charged(about, charge)
    if not about.accounts:
        note_entry(transaction, entry)
    elif transaction.put(ledger_entries, entry_row(transaction.position(), 0, entry)):
        move(transaction, about.accounts, spent=charge.micros)


def _charge_late(transaction: Transaction, charge: Charge) -> None:
    """Nothing is set aside for it: it was charged before, or its process seemed gone, or nothing ever was."""
    entries = _entries(transaction, charge.execution_id)
    if _one(entries, EntryKind.CHARGE):
        return
    released = _one(entries, EntryKind.RELEASE)
    if released is None and not charge.micros:
        return
    there_are = standings(transaction)
    about = (
        unreserved(charge, [each.budget for each in there_are]) if released is None else given_up(released, there_are)
    )
    note_entry(transaction, _charged(about, charge, note="" if released is None else AFTER_TAKE_OVER))
    move(transaction, about.accounts, spent=charge.micros)


def _charged(about: Reservation, charge: Charge, note: str = "") -> LedgerEntry:
    return entry_about(about, EntryKind.CHARGE, charge.at_us, micros=charge.micros, note=note)


def _entries(transaction: Transaction, execution_id: str) -> Sequence[Noted]:
    return [
        Noted(row.position, entry_of(row))
        for row in transaction.find(_OF_EXECUTION, {"execution": escaped(execution_id)})
    ]


def _one(entries: Sequence[Noted], kind: EntryKind) -> Noted | None:
    """The entry of a kind that every execution has at most one of."""
    return next((each for each in entries if each.entry.kind is kind and each.entry.id.endswith(kind.value)), None)


def _corrects(noted: Noted) -> bool:
    return noted.entry.kind is EntryKind.CORRECT
