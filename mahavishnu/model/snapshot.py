"""Snapshot: one published version of what decisions are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mahavishnu.model.scorecard import Scorecard

Key = tuple[str, str]
"""(target, task type)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Every fact up to `cursor`, folded. Version 0 is the empty one that everybody starts from."""

    version: int = 0
    cursor: int = 0
    published_at_us: int = 0
    scorecards: Mapping[Key, Scorecard] = field(default_factory=dict)
