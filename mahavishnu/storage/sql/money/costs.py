"""What was spent, added up by what is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mahavishnu.errors import UnknownName
from mahavishnu.model import DAY_US, Spender
from mahavishnu.ports import Cost

DIMENSIONS = ("target", "adapter", "task_type", "day")
TAG = "tag:"


@dataclass(frozen=True, slots=True)
class Sum:
    """What these executions of one spender came to on one UTC day."""

    spender: Spender
    day: int
    micros: int
    executions: int


def check_dimensions(by: Iterable[str]) -> None:
    for each in by:
        if each not in DIMENSIONS and not (each.startswith(TAG) and len(each) > len(TAG)):
            see = f"mahavishnu costs --by {','.join(DIMENSIONS)},{TAG}NAME"
            raise UnknownName(kind="dimension of costs", name=each, see=see)


def costs_of(sums: Iterable[Sum], by: Sequence[str]) -> list[Cost]:
    """Sums of sums, the dearest first."""
    found: dict[tuple[str, ...], tuple[int, int]] = {}
    for each in sums:
        key = tuple(_value(each, dimension) for dimension in by)
        micros, executions = found.get(key, (0, 0))
        found[key] = (micros + each.micros, executions + each.executions)
    costs = [
        Cost(by=dict(zip(by, key, strict=True)), micros=micros, executions=executions)
        for key, (micros, executions) in sorted(found.items())
    ]
    return sorted(costs, key=lambda cost: cost.micros, reverse=True)


def _value(each: Sum, dimension: str) -> str:
    match dimension:
        case "target":
            return each.spender.target
        case "adapter":
            return each.spender.adapter
        case "task_type":
            return each.spender.task_type
        case "day":
            return datetime.fromtimestamp(each.day * DAY_US // 1_000_000, UTC).date().isoformat()
        case _:
            return each.spender.tags.get(dimension.removeprefix(TAG), "")
