"""Budgets, reservations and ledger entries as rows, in the order of the columns of `tables`, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from mahavishnu.model import Account, Budget, EntryKind, LedgerEntry, Micros, OnExhausted, Period, Reservation, Spender
from mahavishnu.storage.bookkeeping import entry_id
from mahavishnu.storage.rows import Row, escaped, escaped_name, unescaped


def budget_json(budget: Budget) -> str:
    return json.dumps({**asdict(budget), "tags": dict(budget.tags)})


@lru_cache(maxsize=1024)
def budget_of(body: str) -> Budget:
    """Cached, because every reservation reads every budget, and hardly any ever changes."""
    found = json.loads(body)
    found["period"] = Period(found["period"])
    found["on_exhausted"] = OnExhausted(found["on_exhausted"])
    return Budget(**found)


def entry_row(position: int, n: int, entry: LedgerEntry) -> Row:
    return (
        position,
        entry.execution_id,
        entry.kind.value,
        n,
        entry.at_us,
        entry.of_us,
        entry.micros,
        *_spender_row(entry.spender),
        accounts_json(entry.accounts),
        escaped(entry.note),
    )


def entry_of(row: Sequence[Any]) -> LedgerEntry:
    _position, execution_id, kind, n, at_us, of_us, micros, adapter, target, task_type, tags, accounts, note = row
    return LedgerEntry(
        id=entry_id(execution_id, EntryKind(kind), n),
        kind=EntryKind(kind),
        execution_id=execution_id,
        at_us=at_us,
        of_us=of_us,
        micros=micros,
        spender=spender_of(adapter, target, task_type, tags),
        accounts=accounts_of(accounts),
        note=unescaped(note),
    )


def reservation_row(reservation: Reservation) -> Row:
    return (
        reservation.execution_id,
        reservation.process_id,
        reservation.at_us,
        reservation.micros,
        *_spender_row(reservation.spender),
        accounts_json(reservation.accounts),
    )


def reservation_of(row: Sequence[Any]) -> Reservation:
    execution_id, process_id, at_us, micros, adapter, target, task_type, tags, accounts = row
    return Reservation(
        execution_id=execution_id,
        process_id=process_id,
        at_us=at_us,
        micros=Micros(micros),
        spender=spender_of(adapter, target, task_type, tags),
        accounts=accounts_of(accounts),
    )


def spender_of(adapter: str, target: str, task_type: str, tags: str) -> Spender:
    return Spender(
        adapter=unescaped(adapter), target=unescaped(target), task_type=unescaped(task_type), tags=tags_of(tags)
    )


def tags_json(tags: Mapping[str, str]) -> str:
    """The same tags give the same text."""
    return _tags_json(tuple(sorted(tags.items()))) if tags else "{}"


@lru_cache(maxsize=4096)
def _tags_json(tags: tuple[tuple[str, str], ...]) -> str:
    return json.dumps(dict(tags))


def tags_of(text: str) -> dict[str, str]:
    return {} if text == "{}" else json.loads(text)


@lru_cache(maxsize=4096)
def accounts_json(accounts: tuple[Account, ...]) -> str:
    return json.dumps([[each.budget, each.label] for each in accounts])


@lru_cache(maxsize=4096)
def accounts_of(text: str) -> tuple[Account, ...]:
    return tuple(Account(budget=budget, label=label) for budget, label in json.loads(text))


def _spender_row(spender: Spender) -> Row:
    return (
        escaped_name(spender.adapter),
        escaped_name(spender.target),
        escaped_name(spender.task_type),
        tags_json(spender.tags),
    )
