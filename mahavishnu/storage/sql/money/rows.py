"""Budgets, reservations and ledger entries as rows, in the order of the columns of `tables`, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from mahavishnu.model import Account, Budget, EntryKind, LedgerEntry, Micros, OnExhausted, Period, Reservation, Spender
from mahavishnu.storage.sql.facts.fact_rows import Row, escaped, escaped_name, unescaped
from mahavishnu.storage.sql.money.entries import entry_id
from mahavishnu.storage.unreadable import CANNOT_BE_READ, problem_of

_WORDS = ("adapter", "target", "task_type")


def budget_json(budget: Budget) -> str:
    found = {**asdict(budget), "tags": dict(budget.tags)}
    del found["unreadable"]
    return json.dumps(found)


@lru_cache(maxsize=1024)
def budget_of(name: str, body: str, hard_micros: int | None) -> Budget:
    """A row of `budgets`. One that cannot be read is a budget, too: it refuses what it covers.

    Cached, because every reservation reads every budget, and hardly any ever changes.
    """
    try:
        budget = _budget_of(json.loads(body))
        if budget.name != name:
            raise ValueError(f'it calls itself "{budget.name}"')
        if budget.hard_micros != hard_micros:
            raise ValueError("its limit stands in it twice, and differently")
    except CANNOT_BE_READ as error:
        return _covering(name, body, problem_of(error))
    return budget


def _budget_of(found: Any) -> Budget:
    if not isinstance(found, dict):
        raise TypeError("it is not a JSON object")
    if "unreadable" in found:
        raise ValueError('it has the unknown field "unreadable"')
    wholes = (found["hard_micros"], found["soft_micros"], found["max_age_s"])
    if any(isinstance(each, bool) or not isinstance(each, int | None) for each in wholes):
        raise TypeError("its limits and its age must be whole numbers")
    if not all(isinstance(found[each], str | None) for each in _WORDS) or not _are_tags(found["tags"]):
        raise TypeError("what it covers must be given by texts")
    return Budget(
        **{**found, "period": Period(found["period"]), "on_exhausted": OnExhausted(found["on_exhausted"])},
    )


def _covering(name: str, body: str, problem: str) -> Budget:
    """Of a budget that cannot be read, what it covers: a field that cannot be read narrows nothing down."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        found = {}
    adapter, target, task_type = (found.get(word) if isinstance(found.get(word), str) else None for word in _WORDS)
    tags = found["tags"] if _are_tags(found.get("tags")) else {}
    return Budget(name=name, adapter=adapter, target=target, task_type=task_type, tags=tags, unreadable=problem)


def _are_tags(found: object) -> bool:
    return isinstance(found, dict) and all(isinstance(each, str) for each in found.values())


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
