"""Whether the money adds up: balances, entries and reservations say the same, to the micro-dollar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sqlalchemy import case, func, select

from mahavishnu.model import EntryKind
from mahavishnu.storage.lake.lookups import known_among
from mahavishnu.storage.sql.connection.tables import balances, executions, ledger_entries, processes, reservations
from mahavishnu.storage.sql.facts.fact_rows import unescaped
from mahavishnu.storage.sql.money.rows import accounts_of
from mahavishnu.storage.verify.findings import Finding, Subject
from mahavishnu.storage.verify.lake_ids import missing, not_raw

_SIGNS = {EntryKind.RESERVE.value: 1, EntryKind.RELEASE.value: -1}
"""What entries do to what is reserved; every other kind is spent."""

_SUMS = select(
    ledger_entries.c.accounts, ledger_entries.c.kind, func.sum(ledger_entries.c.micros).label("micros")
).group_by(ledger_entries.c.accounts, ledger_entries.c.kind)

_SIGN = case(_SIGNS, value=ledger_entries.c.kind, else_=0)
_OPEN = (
    select(
        ledger_entries.c.execution_id,
        func.sum(_SIGN).label("times"),
        func.sum(_SIGN * ledger_entries.c.micros).label("micros"),
    )
    .where(ledger_entries.c.kind.in_(_SIGNS))
    .group_by(ledger_entries.c.execution_id)
    .having((func.sum(_SIGN) != 0) | (func.sum(_SIGN * ledger_entries.c.micros) != 0))
)
_OWNED = select(reservations, processes.c.id.label("owner")).select_from(
    reservations.outerjoin(processes, processes.c.id == reservations.c.process_id)
)
_CHARGED = (
    select(ledger_entries.c.execution_id)
    .outerjoin(executions, executions.c.id == ledger_entries.c.execution_id)
    .where(ledger_entries.c.kind == EntryKind.CHARGE.value, executions.c.id.is_(None))
    .order_by(ledger_entries.c.position)
)
_CHARGES = select(func.count()).where(ledger_entries.c.kind == EntryKind.CHARGE.value)


def balances_equal_entries(subject: Subject, finding: Finding) -> None:
    """What is spent and reserved in each account is what its entries, and its live reservations, add up to."""
    spent, reserved, live = Counter[tuple[str, str]](), Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for row in subject.connection.execute(_SUMS):
        sign = _SIGNS.get(row.kind)
        into = spent if sign is None else reserved
        for account in accounts_of(row.accounts):
            into[account.budget, account.label] += int(row.micros) * (sign or 1)
    for row in subject.connection.execute(select(reservations.c.accounts, reservations.c.micros)):
        for account in accounts_of(row.accounts):
            live[account.budget, account.label] += row.micros
    kept = {(row.budget, row.label): (row.spent, row.reserved) for row in subject.connection.execute(select(balances))}
    for key in sorted({*kept, *spent, *reserved, *live}):
        finding.looked_at += 1
        has = kept.get(key, (0, 0))
        if has != (spent[key], reserved[key]) or has[1] != live[key]:
            finding.fail(
                f"{key[0]} {key[1]}: balance {has[0]} spent, {has[1]} reserved; entries {spent[key]} spent,"
                f" {reserved[key]} reserved; reservations {live[key]} (micro-dollars)"
            )


def reservations_equal_open_entries(subject: Subject, finding: Finding) -> None:
    """Every reservation has one entry that was not released, of the same amount, and a process that answers for it."""
    opened = {row.execution_id: (int(row.times), int(row.micros)) for row in subject.connection.execute(_OPEN)}
    for row in subject.connection.execute(_OWNED):
        finding.looked_at += 1
        times, micros = opened.pop(row.execution_id, (0, 0))
        if times != 1 or micros != row.micros:
            finding.fail(f"{row.execution_id}: {row.micros} reserved, {micros} by its entries")
        elif row.owner is None:
            finding.fail(f"{row.execution_id}: reserved by process {row.process_id}, which is not listed")
    for execution_id, (_times, micros) in opened.items():
        finding.looked_at += 1
        finding.fail(f"{execution_id}: {micros} reserved by its entries, and no reservation")


def charges_have_executions(subject: Subject, finding: Finding) -> None:
    finding.looked_at += subject.connection.execute(_CHARGES).scalar_one()
    for id_ in missing(subject, _charged_elsewhere(subject), known_among, not_raw):
        finding.fail(id_)


def _charged_elsewhere(subject: Subject) -> Iterator[str]:
    for row in subject.connection.execute(_CHARGED):
        yield unescaped(row.execution_id)
