"""The accounts of a database: what is set aside in them, moved, and given back, within one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mahavishnu.model import Account, Balance, Budget, EntryKind, LedgerEntry, Reservation
from mahavishnu.model.budget import UNREADABLE
from mahavishnu.storage.sql.connection.tables import ledger_entries, reservations
from mahavishnu.storage.sql.connection.transaction import Transaction
from mahavishnu.storage.sql.money.entries import GONE, Standing, entry_about
from mahavishnu.storage.sql.money.rows import budget_of, entry_row, reservation_of

_LIMIT = "COALESCE((SELECT hard_micros FROM budgets WHERE name = :budget), 9223372036854775807)"

# The room is asked for by the statement that takes it. Nothing always fits, also where a limit was lowered since.
_TAKE = (
    "INSERT INTO balances (budget, label, spent, reserved)"
    f" SELECT :budget, :label, 0, :micros WHERE :micros = 0 OR :micros <= {_LIMIT}"
    " ON CONFLICT (budget, label) DO UPDATE SET reserved = balances.reserved + excluded.reserved"
    f" WHERE excluded.reserved = 0 OR balances.spent + balances.reserved <= {_LIMIT} - excluded.reserved"
)
_MOVE = (
    "INSERT INTO balances (budget, label, spent, reserved) VALUES (:budget, :label, :spent, :reserved)"
    " ON CONFLICT (budget, label) DO UPDATE"
    " SET spent = balances.spent + excluded.spent, reserved = balances.reserved + excluded.reserved"
)
_STANDS = "SELECT spent, reserved FROM balances WHERE budget = :budget AND label = :label"
_BUDGETS = "SELECT name, body, hard_micros, since, label FROM budgets ORDER BY name"
_HELD = f"SELECT {', '.join(reservations.c.keys())} FROM reservations WHERE execution_id = :execution"  # noqa: S608
_FREE = "DELETE FROM reservations WHERE execution_id = :execution"


def standings(transaction: Transaction) -> Sequence[Standing]:
    """Every budget as it is now."""
    return [
        Standing(budget_of(name, body, hard_micros), since, label)
        for name, body, hard_micros, since, label in transaction.look(_BUDGETS)
    ]


def take(transaction: Transaction, account: Account, micros: int) -> bool:
    """Set it aside in this account, if there is room; there is none in a budget that cannot be read."""
    if account.label == UNREADABLE:
        return False
    return transaction.run(_TAKE, {"budget": account.budget, "label": account.label, "micros": micros}) == 1


def move(transaction: Transaction, accounts: Iterable[Account], *, spent: int = 0, reserved: int = 0) -> None:
    """Add to what is spent and reserved in these accounts, room or not."""
    for each in accounts:
        change = {"budget": each.budget, "label": each.label, "spent": spent, "reserved": reserved}
        transaction.run(_MOVE, change)


def balance(transaction: Transaction, budget: Budget, label: str) -> Balance:
    found = transaction.look(_STANDS, {"budget": budget.name, "label": label})
    spent, reserved = found[0] if found else (0, 0)
    return Balance(budget=budget, label=label, spent_micros=spent, reserved_micros=reserved)


def held(transaction: Transaction, execution_id: str) -> Reservation | None:
    """What is set aside for an execution by now."""
    found = transaction.look(_HELD, {"execution": execution_id})
    return reservation_of(found[0]) if found else None


def note_entry(transaction: Transaction, entry: LedgerEntry) -> None:
    transaction.add(ledger_entries, entry_row(transaction.position(), 0, entry))


def let_go(transaction: Transaction, reservation: Reservation, at_us: int, *, spent: int = 0, note: str = "") -> None:
    """Give back what was set aside for an execution, and count what it spent instead."""
    transaction.run(_FREE, {"execution": reservation.execution_id})
    move(transaction, reservation.accounts, spent=spent, reserved=-reservation.micros)
    note_entry(transaction, entry_about(reservation, EntryKind.RELEASE, at_us, note=note))


def give_up(transaction: Transaction, execution_ids: Iterable[str], at_us: int) -> None:
    """Give back what is still set aside for these, whose process is gone."""
    for each in execution_ids:
        reservation = held(transaction, each)
        if reservation is not None:
            let_go(transaction, reservation, at_us, note=GONE)
