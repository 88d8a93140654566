"""Reading the books of a store, and seeing that they agree."""

from __future__ import annotations

from collections import defaultdict

from mahavishnu.model import Account, Balance, Budget, EntryKind, LedgerEntry, Micros
from mahavishnu.ports import Store
from mahavishnu.testing.clock import BEGAN_US

TOTAL = Budget(name="all", hard_micros=Micros(1000))


async def check_books(store: Store, *times_us: int) -> None:
    """Entries and balances say the same, in the periods of these times."""
    entries = await lines(store)
    assert len({each.id for each in entries}) == len(entries)
    accounts: defaultdict[Account, list[int]] = defaultdict(lambda: [0, 0])
    for each in entries:
        for account in each.accounts:
            spent, reserved = effect(each)
            accounts[account][0] += spent
            accounts[account][1] += reserved
    for at_us in times_us or (BEGAN_US,):
        for balance in await store.balances(at_us):
            account = Account(budget=balance.budget.name, label=balance.label)
            assert [balance.spent_micros, balance.reserved_micros] == accounts[account], account
            assert balance.reserved_micros >= 0


def effect(entry: LedgerEntry) -> tuple[int, int]:
    """What an entry adds to what is spent and to what is reserved, in each of its accounts."""
    match entry.kind:
        case EntryKind.RESERVE:
            return 0, entry.micros
        case EntryKind.RELEASE:
            return 0, -entry.micros
        case EntryKind.CHARGE | EntryKind.CORRECT | EntryKind.CARRY:
            return entry.micros, 0


async def lines(store: Store, since_us: int = 0, until_us: int | None = None) -> list[LedgerEntry]:
    return [each async for each in store.entries(since_us, until_us)]


async def stands(store: Store, name: str = "all", at_us: int = BEGAN_US) -> tuple[int, int]:
    """What is spent and reserved of a budget."""
    balance = await balance_of(store, name, at_us)
    return balance.spent_micros, balance.reserved_micros


async def balance_of(store: Store, name: str, at_us: int = BEGAN_US) -> Balance:
    return next(each for each in await store.balances(at_us) if each.budget.name == name)
