"""Nonsense that callers hand in: each must be refused with a MahavishnuError, and odd values kept as they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def _deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def _endless() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["itself"] = value
    return value


WRONG_TASKS: tuple[Mapping[str, Any], ...] = (
    {"text": b"bytes"},
    {"text": 5},
    {"text": ""},
    {"text": "x", "idempotency_key": 5},
    {"text": "x", "idempotency_key": "k" * 201},
    {"text": "x", "tags": {"a": object()}},
    {"text": "x", "tags": ["search"]},
    {"text": "x", "tags": {"a": math.nan}},
    {"text": "x", "tags": {5: "five"}},
    {"text": "x", "payload": {"a": math.nan}},
    {"text": "x", "payload": {"a": {1, 2}}},
    {"text": "x", "payload": _endless()},
    {"text": "x", "payload": {"a": _deep(100_000)}},
    {"text": "x", "payload": "text"},
    {"text": "x", "deadline_ms": math.nan},
    {"text": "x", "deadline_ms": True},
    {"text": "x", "deadline_ms": 10**30},
    {"text": "x", "max_cost_usd": "NaN"},
    {"text": "x", "max_cost_usd": object()},
    {"text": "x", "min_quality": math.inf},
    {"text": "x", "min_success_rate": "high"},
    {"text": "x", "objective": 5},
    {"text": "x", "capabilities": "one"},
    {"text": "x", "capabilities": {5}},
    {"text": "x", "exclude": 5},
    {"text": "x", "target": 5},
    {"text": "x", "target": "no-such-target"},
    {"text": "x", "repeatable": "yes"},
    {"text": "x" * 2_000_000},
)
"""Arguments of a Task, besides its type, of which each set is nonsense."""

ODD_TASKS: tuple[Mapping[str, Any], ...] = (
    {"text": "half a pair: \ud800, a NUL: \x00, an end of line:\r\n"},
    {"text": "x", "payload": {"\ud800": "\x00"}},
    {"text": "x", "payload": {"a": 10**400}},
    {"text": "x", "payload": {"a": _deep(100)}},
    {"text": "x", "tags": {"\ud800": "\x00"}},
    {"text": "x", "idempotency_key": "\ud800"},
    {"text": "'; DROP TABLE decisions; --", "tags": {"a": "'; DROP TABLE budgets; --"}},
    {"text": "x" * 900_000},
)
"""Odd, and no nonsense: each may be refused, and otherwise it is run and recorded like any other."""

WRONG_OUTCOMES: tuple[Mapping[str, Any], ...] = (
    {"completed": False, "note": ValueError("x")},
    {"completed": False, "note": 5},
    {"completed": "yes"},
    {"completed": 5},
    {"correct": object()},
    {"quality": math.nan},
    {"quality": "high"},
    {"quality": 10**400},
    {"quality": 0.5, "corrected_to": 5},
    {"quality": 0.5, "corrected_to": "no-such-target"},
    {},
)
"""Arguments of `record_outcome`, besides the decision, of which each set is nonsense."""

ODD_OUTCOMES: tuple[Mapping[str, Any], ...] = (
    {"completed": True, "note": "\ud800 \x00"},
    {"quality": 1e-320, "note": "x" * 100_000},
)

WRONG_DECISIONS: tuple[Any, ...] = ("no-such-decision", "", "\ud800", "\x00", 5, None, object())
"""What is given for the id of a decision."""
