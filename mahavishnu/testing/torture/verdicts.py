"""The verdict on one promise: whether it held, what broke it, and the figures that show it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

SHOWN = 5
"""Problems that are written out; the others are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`name` is short and stable, `promise` a sentence. It holds where there are no problems."""

    name: str
    promise: str
    problems: tuple[str, ...] = ()
    figures: Mapping[str, int | float | None] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return not self.problems

    def shape(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "promise": self.promise,
            "holds": self.holds,
            "problems": list(self.problems[:SHOWN]),
            "problem_count": len(self.problems),
            "figures": dict(self.figures),
        }


def verdict(name: str, promise: str, problems: Iterable[str], **figures: float | None) -> Verdict:
    return Verdict(name=name, promise=promise, problems=tuple(problems), figures=figures)
