"""Task: what must be done."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from mahavishnu.errors import InvalidTask
from mahavishnu.model.money import dollars
from mahavishnu.model.objective import Objective, objective_of

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
        _check_word("type", self.type)
        if not isinstance(self.text, str):
            raise InvalidTask(field="text", problem=f"must be text, not {type(self.text).__name__}")
        if not self.text.strip() and not self.payload:
            raise InvalidTask(field="text", problem="is empty and there is no payload; say what is to be done")
        _check_milliseconds("deadline_ms", self.deadline_ms)
        _check_milliseconds("max_latency_ms", self.max_latency_ms)
        if self.max_cost_usd is not None:
            object.__setattr__(self, "max_cost_usd", _amount("max_cost_usd", self.max_cost_usd))
        _check_share("min_success_rate", self.min_success_rate)
        _check_share("min_quality", self.min_quality)
        if self.objective is not None:
            object.__setattr__(self, "objective", objective_of(self.objective))
        if self.idempotency_key is not None and not 0 < len(self.idempotency_key) <= 200:
            raise InvalidTask(field="idempotency_key", problem="must have 1 to 200 characters")
        for name in ("capabilities", "exclude"):
            object.__setattr__(self, name, _names(name, getattr(self, name)))
        if self.payload:
            _check_json("payload", self.payload)

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


def _check_word(field: str, value: object) -> None:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise InvalidTask(field=field, problem=f"must be one word of letters, digits and _.:/@-, not {value!r:.80}")


def _check_milliseconds(field: str, value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= LONGEST_MS:
        problem = f"must be a whole number of milliseconds, from 1 to {LONGEST_MS} (a week), not {value!r:.80}"
        raise InvalidTask(field=field, problem=problem)


def _amount(field: str, value: Decimal | str | int | float) -> Decimal:
    try:
        return dollars(str(value) if isinstance(value, float) else value)
    except ValueError as problem:
        raise InvalidTask(field=field, problem=str(problem)) from None


def _check_share(field: str, value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidTask(field=field, problem=f"must lie between 0 and 1, not {value!r:.80}")


def _names(field: str, given: Iterable[str]) -> frozenset[str]:
    if isinstance(given, str):
        raise InvalidTask(field=field, problem=f"must be a set of names, not the text {given!r:.80}")
    return frozenset(given)


def _check_json(field: str, value: object) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as problem:
        raise InvalidTask(field=field, problem=f"cannot be written as JSON: {problem}") from None
