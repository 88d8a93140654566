"""What the books of every kind of store have in common: which accounts something counts in, and what is noted of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mahavishnu.errors import InvalidBudget, UnknownName
from mahavishnu.model import Account, Budget, EntryKind, LedgerEntry, Reservation, Spender
from mahavishnu.model.money import NOTHING
from mahavishnu.ports import Charge

NOBODY = Spender(adapter="", target="", task_type="")
"""Who spends what a budget takes over when it is made or changed."""

GONE = "its process is gone"

AFTER_TAKE_OVER = "its end came after it was given up"
"""The note of a charge that nothing was set aside for any more: a budget may be overdrawn by it."""

WITHDRAWN = "its start was withdrawn"


def a_budget(given: object) -> Budget:
    """Raises InvalidBudget for what is none: what a table holds is read by every process."""
    if isinstance(given, Budget):
        return given
    raise InvalidBudget(budget="", problem=f"it must be a Budget, not {type(given).__name__}")


def unknown_budget(name: str) -> UnknownName:
    return UnknownName(kind="budget", name=name, see="mahavishnu budgets list")


def uncharged(execution_id: str) -> UnknownName:
    return UnknownName(kind="charged execution", name=execution_id, see="mahavishnu executions")


@dataclass(frozen=True, slots=True)
class Standing:
    """A budget, and since when it counts by its accounts: what its period `label` had before then was carried over."""

    budget: Budget
    since: int
    label: str


@dataclass(frozen=True, slots=True)
class Noted:
    """An entry, and its place among all."""

    position: int
    entry: LedgerEntry


def accounts_now(budgets: Iterable[Budget], spender: Spender, at_us: int) -> tuple[Account, ...]:
    """Every account that spending at this time counts in."""
    return tuple(Account(budget=each.name, label=each.label(at_us)) for each in budgets if each.covers(spender))


def accounts_moved(accounts: Iterable[Account], budget: Budget, spender: Spender, at_us: int) -> tuple[Account, ...]:
    """These accounts, with the one of a budget that was made or changed as it is now."""
    others = tuple(each for each in accounts if each.budget != budget.name)
    return (*others, *accounts_now((budget,), spender, at_us))


def accounts_since(noted: Noted, standings: Iterable[Standing]) -> tuple[Account, ...]:
    """Where an entry counts by now: budgets that were made or changed since have carried it over, or have not.

    A period that was over by then stays as it was.
    """
    entry = noted.entry
    accounts = entry.accounts
    for each in standings:
        if each.since > noted.position and each.budget.label(entry.of_us) == each.label:
            accounts = accounts_moved(accounts, each.budget, entry.spender, entry.of_us)
    return accounts


def entry_id(execution_id: str, kind: EntryKind, n: int = 0) -> str:
    """`n` is the place of an entry that is not the only one of its kind.

    >>> entry_id("01AB", EntryKind.CHARGE), entry_id("01AB", EntryKind.CORRECT, 7), entry_id("", EntryKind.CARRY, 8)
    ('01AB:charge', '01AB:correct:7', 'carry:8')
    """
    return ":".join(part for part in (execution_id, kind.value, str(n or "")) if part)


def entry_about(
    reservation: Reservation, kind: EntryKind, at_us: int, *, micros: int | None = None, n: int = 0, note: str = ""
) -> LedgerEntry:
    """An entry over what was set aside, or another amount, for the same execution in the same accounts."""
    return LedgerEntry(
        id=entry_id(reservation.execution_id, kind, n),
        kind=kind,
        execution_id=reservation.execution_id,
        at_us=at_us,
        of_us=reservation.at_us,
        micros=reservation.micros if micros is None else micros,
        spender=reservation.spender,
        accounts=reservation.accounts,
        note=note,
    )


def unreserved(charge: Charge, budgets: Iterable[Budget]) -> Reservation:
    """Nothing set aside: what is noted of a charge that no reservation came before.

    It counts in the budgets that there are by now: one may have been made while the execution was under way.
    """
    return Reservation(
        execution_id=charge.execution_id,
        process_id="",
        at_us=charge.at_us,
        micros=NOTHING,
        spender=charge.spender,
        accounts=accounts_now(budgets, charge.spender, charge.at_us),
    )


def given_up(released: Noted, standings: Iterable[Standing]) -> Reservation:
    """What an execution counts against whose reservation was given back because its process was gone."""
    entry = released.entry
    return Reservation(
        execution_id=entry.execution_id,
        process_id="",
        at_us=entry.of_us,
        micros=NOTHING,
        spender=entry.spender,
        accounts=accounts_since(released, standings),
    )


def carried(account: Account, at_us: int, micros: int, position: int, note: str) -> LedgerEntry:
    """What a budget that was made or changed takes over from before."""
    return LedgerEntry(
        id=entry_id("", EntryKind.CARRY, position),
        kind=EntryKind.CARRY,
        execution_id="",
        at_us=at_us,
        of_us=at_us,
        micros=micros,
        spender=NOBODY,
        accounts=(account,),
        note=note,
    )
