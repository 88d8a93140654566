"""The promises about money: limits, balances and reservations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mahavishnu.testing.torture.records import Account, Records, Scene
from mahavishnu.testing.torture.verdicts import Verdict, verdict

_SPENT = {"charge": 1, "correct": 1, "carry": 1}
_RESERVED = {"reserve": 1, "release": -1}


def limits(scene: Scene) -> Verdict:
    """The limits of the kit's budgets are only ever raised, so that the newest one bounds every charge so far."""
    records = scene.records
    spent = _by_account(records, _SPENT)
    problems = [
        f"budget {budget} ({label}): {micros:,} micro-dollars charged, limit {records.limits[budget]:,}"
        for (budget, label), micros in sorted(spent.items())
        if budget in records.limits and micros > records.limits[budget]
    ]
    bounded = [micros for (budget, _label), micros in spent.items() if budget in records.limits]
    return verdict(
        "limits",
        "No hard limit is passed, by not one micro-dollar",
        problems,
        accounts=len(bounded),
        spent=sum(bounded),
    )


def books(scene: Scene) -> Verdict:
    """Only while no worker runs a task."""
    records = scene.records
    problems = [*_balances(records), *_reservations(scene), *_charges(scene)]
    return verdict(
        "books",
        "Balances equal the ledger, and nothing is set aside for what is over",
        problems,
        balances=len(records.balances),
        reservations=len(records.reservations),
    )


def _balances(records: Records) -> Iterator[str]:
    kept = {(row.budget, row.label): row for row in records.balances}
    spent, reserved = _by_account(records, _SPENT), _by_account(records, _RESERVED)
    opened: dict[Account, int] = {}
    for reservation in records.reservations:
        for account in reservation.accounts:
            opened[account] = opened.get(account, 0) + reservation.micros
    for account in sorted({*kept, *spent, *reserved, *opened}):
        row = kept.get(account)
        name = f"budget {account[0]} ({account[1]})"
        if (row.spent if row else 0) != spent.get(account, 0):
            yield f"{name}: spent {row.spent if row else 0:,}, but its entries add up to {spent.get(account, 0):,}"
        held = row.reserved if row else 0
        if held != opened.get(account, 0):
            yield f"{name}: reserved {held:,}, but its reservations add up to {opened.get(account, 0):,}"
        if held != reserved.get(account, 0):
            yield f"{name}: reserved {held:,}, but its entries add up to {reserved.get(account, 0):,}"


def _reservations(scene: Scene) -> Iterator[str]:
    for row in scene.records.reservations:
        if row.over:
            yield f"execution {row.execution_id} has ended and still holds {row.micros:,} micro-dollars"
        elif row.process_id in scene.running:
            yield f"execution {row.execution_id} holds {row.micros:,} micro-dollars in an idle process"
        else:
            yield f"execution {row.execution_id} holds {row.micros:,} micro-dollars for a process that is gone"


def _charges(scene: Scene) -> Iterator[str]:
    """What a caller was told that something cost is what was charged for it."""
    acked = {id_: cost for ack in scene.journal.acks for id_, _status, cost in ack.ended}
    for id_, cost in acked.items():
        charged = scene.records.charges.get(id_, 0)
        if charged != cost:
            yield f"execution {id_} cost {cost:,} micro-dollars as acknowledged, and was charged {charged:,}"


def _by_account(records: Records, kinds: Mapping[str, int]) -> dict[Account, int]:
    totals: dict[Account, int] = {}
    for entries in records.sums:
        sign = kinds.get(entries.kind)
        if sign is None:
            continue
        for account in entries.accounts:
            totals[account] = totals.get(account, 0) + sign * entries.micros
    return totals
