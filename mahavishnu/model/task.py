"""Task: what must be done."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from mahavishnu.errors import InvalidTask
from mahavishnu.model.objective import Objective, objective
from mahavishnu.model.values import ANYWAY, Wrong, amount, flag, names, settle, share, shown, table, text, texts, whole

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/@-]{0,99}")
"""What targets, task types, capabilities and tags may be called: one word that survives a shell, a URL and a label."""

LONGEST_MS = 7 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One thing to be done, by whichever target suits it best.

    What `max_latency_ms`, `max_cost_usd`, `min_success_rate` and `min_quality` say is judged on what was observed;
    `max_cost_usd` also bounds what all attempts may cost together. An objective may be given by its word.

    `repeatable` says that doing it twice does no harm. Where it is False, a failed attempt is followed by another
    only if the first one cannot have taken effect.
    """

    type: str
    text: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict)
    capabilities: frozenset[str] = frozenset()
    target: str | None = None
    exclude: frozenset[str] = frozenset()
    max_latency_ms: int | None = None
    max_cost_usd: Decimal | None = None
    min_success_rate: float | None = None
    min_quality: float | None = None
    objective: Objective | None = None
    deadline_ms: int | None = None
    idempotency_key: str | None = None
    repeatable: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        settle(self, _CHECKS, _invalid)
        if not self.payload and not self.text.strip():
            raise _invalid("text", "is empty and there is no payload; say what is to be done")

    def fingerprint(self) -> str:
        """A digest of what is asked for: two tasks under one idempotency key must have the same.

        >>> Task(type="etl", text="a").fingerprint() == Task(type="etl", text="a", deadline_ms=5).fingerprint()
        True
        """
        asked = {
            "type": self.type,
            "text": self.text,
            "payload": self.payload,
            "capabilities": sorted(self.capabilities),
            "target": self.target,
        }
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _invalid(field: str, problem: str) -> InvalidTask:
    return InvalidTask(field=field, problem=problem)


def word(given: object) -> str:
    """A check for what is called by a name (see NAME)."""
    if type(given) is str and NAME.fullmatch(given):
        return given
    if not issubclass(type(given), str) or not NAME.fullmatch(kept := text(given)):
        raise Wrong(f"must be one word of letters, digits and _.:/@-, at most 100 long, not {shown(given)}")
    return kept


def milliseconds(given: object) -> int:
    """A check for a limit that is not absurd."""
    try:
        return _within_a_week(given)
    except Wrong:
        problem = f"must be a whole number of milliseconds, from 1 to {LONGEST_MS} (a week), not {shown(given)}"
        raise Wrong(problem) from None


_within_a_week = whole(1, LONGEST_MS)


def _key(given: object) -> str:
    kept = text(given)
    if not 0 < len(kept) <= 200:
        raise Wrong(f"must have 1 to 200 characters, not {len(kept)}")
    return kept


_CHECKS = (
    ("type", ANYWAY, word),
    ("text", "", text),
    ("payload", ANYWAY, table),
    ("capabilities", ANYWAY, names),
    ("target", None, text),
    ("exclude", ANYWAY, names),
    ("max_latency_ms", None, milliseconds),
    ("max_cost_usd", None, amount),
    ("min_success_rate", None, share),
    ("min_quality", None, share),
    ("objective", None, objective),
    ("deadline_ms", None, milliseconds),
    ("idempotency_key", None, _key),
    ("repeatable", True, flag),
    ("tags", ANYWAY, texts),
)
