"""How budgets and entries of the ledger are shown: as JSON, as rows, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from mahavishnu.cli.common.amounts import age, usd_or_none, usd_text
from mahavishnu.cli.common.columns import ENTRIES
from mahavishnu.cli.common.printing import moment, note, prose
from mahavishnu.cli.common.shapes import Shape
from mahavishnu.model import Balance, Budget, LedgerEntry, OnExhausted, Period
from mahavishnu.model.unreadable import Unreadable

STANDING = ("label", "limit_usd", "soft_usd", "spent_usd", "reserved_usd", "room_usd", "began_at", "turns_at")


def budget_shape(balance: Balance, now_us: int) -> Shape:
    budget = balance.budget
    began_us, turns_us = budget.bounds_us(now_us)
    return {
        "budget": budget.name,
        "limit_usd": usd_or_none(budget.hard_micros),
        "soft_usd": usd_or_none(budget.soft_micros),
        "period": budget.period.value,
        "zone": budget.zone,
        "task_type": budget.task_type,
        "target": budget.target,
        "adapter": budget.adapter,
        "tags": dict(budget.tags),
        "on_exhausted": budget.on_exhausted.value,
        "max_age_s": budget.max_age_s,
        "label": balance.label,
        "spent_usd": usd_text(balance.spent_micros),
        "reserved_usd": usd_text(balance.reserved_micros),
        "room_usd": usd_or_none(balance.room_micros),
        "overdrawn_usd": usd_text(balance.overdrawn_micros),
        "began_at": moment(began_us or None),
        "turns_at": moment(turns_us),
        "unreadable": budget.unreadable,
    }


def entry_shape(entry: LedgerEntry) -> Shape:
    spender = entry.spender
    return {
        "entry_id": entry.id,
        "kind": entry.kind.value,
        "at": moment(entry.at_us),
        "counts_at": moment(entry.of_us),
        "usd": usd_text(entry.micros),
        "execution_id": entry.execution_id,
        "target": spender.target,
        "adapter": spender.adapter,
        "task_type": spender.task_type,
        "tags": dict(spender.tags),
        "accounts": [{"budget": each.budget, "label": each.label} for each in entry.accounts],
        "note": entry.note,
    }


def show_entries(entries: Sequence[LedgerEntry], *, empty: str, wide: bool) -> None:
    ENTRIES.show_shapes([entry_shape(each) for each in entries], empty=empty, wide=wide)


def row(balance: Balance, now_us: int) -> Shape:
    shape = {**budget_shape(balance, now_us), "covers": covers(balance.budget)}
    if balance.budget.unreadable is not None:
        shape |= {"limit_usd": "unreadable", "period": None, "spent_usd": None, "reserved_usd": None}
    return shape


def say(balance: Balance, now_us: int) -> None:
    """What was set, and how it stands."""
    prose(f"Budget {balance.budget.name}: {terms(balance.budget)}.")
    prose(f"{standing(balance)}{turning(balance, now_us)}.")


def note_unreadable(balances: Iterable[Balance]) -> None:
    for each in balances:
        if each.budget.unreadable is not None:
            note(f"{Unreadable('budget', each.budget.name, each.budget.unreadable)}.")


def terms(budget: Budget) -> str:
    """What it says, in words.

    >>> from mahavishnu.model import Micros
    >>> terms(Budget(name="b", hard_micros=Micros(25_000_000), period=Period.DAY, task_type="etl"))
    '$25 a day (UTC) for task type etl; without room a task is refused'
    """
    if budget.unreadable is not None:
        return f"unreadable; it refuses every run of {covers(budget)}"
    hard, soft = budget.hard_micros, budget.soft_micros
    limit = "no limit" if hard is None else f"${usd_text(hard)}"
    often = "in all" if budget.period is Period.TOTAL else f"{_OFTEN[budget.period]} ({budget.zone})"
    alert = "" if soft is None else f", an alert from ${usd_text(soft)} on"
    return f"{limit} {often} for {covers(budget)}{alert}; without room {_fate(budget)}"


def covers(budget: Budget) -> str:
    """What it is for.

    >>> covers(Budget(name="b", soft_micros=1)), covers(Budget(name="b", soft_micros=1, target="a", tags={"u": "x"}))
    ('everything', 'target a, u=x')
    """
    narrowed = [("task type", budget.task_type), ("target", budget.target), ("adapter", budget.adapter)]
    named = [f"{kind} {word}" for kind, word in narrowed if word is not None]
    return ", ".join([*named, *(f"{key}={value}" for key, value in sorted(budget.tags.items()))]) or "everything"


def standing(balance: Balance) -> str:
    """How it stands, in words.

    >>> budget = Budget(name="b", hard_micros=5_000_000)
    >>> standing(Balance(budget=budget, label="total", spent_micros=3_200_000))
    '$3.2 spent, $0 reserved, room for $1.8'
    >>> standing(Balance(budget=budget, label="total", spent_micros=5_500_000))
    '$5.5 spent, $0 reserved, overdrawn by $0.5'
    """
    room = balance.room_micros
    if balance.overdrawn_micros:
        over = f"overdrawn by ${usd_text(balance.overdrawn_micros)}"
        return f"${usd_text(balance.spent_micros)} spent, ${usd_text(balance.reserved_micros)} reserved, {over}"
    left = "no limit" if room is None else f"room for ${usd_text(room)}"
    return f"${usd_text(balance.spent_micros)} spent, ${usd_text(balance.reserved_micros)} reserved, {left}"


def turning(balance: Balance, now_us: int) -> str:
    """Until when that is so, by the clock of its zone."""
    _, turns_us = balance.budget.bounds_us(now_us)
    if turns_us is None:
        return ""
    zone = balance.budget.zone if balance.budget.period is not Period.HOUR else "UTC"
    local = datetime.fromtimestamp(turns_us / 1e6, UTC).astimezone(ZoneInfo(zone))
    return f", until {local:%Y-%m-%d %H:%M} {zone}"


_OFTEN = {Period.HOUR: "an hour", Period.DAY: "a day", Period.WEEK: "a week", Period.MONTH: "a month"}


def _fate(budget: Budget) -> str:
    match budget.on_exhausted:
        case OnExhausted.REJECT:
            return "a task is refused"
        case OnExhausted.QUEUE:
            return f"a task waits, for {age(budget.max_age_s)} at most"
        case OnExhausted.DEGRADE:
            return "a task goes to a target that still fits"
