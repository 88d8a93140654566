"""Snapshot: one published version of what decisions are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mahavishnu.model.aside import Asides
from mahavishnu.model.experiment import Underway
from mahavishnu.model.objective import Objective
from mahavishnu.model.plan import Frontier
from mahavishnu.model.scorecard import Scorecard

Key = tuple[str, str]
"""(target, task type)"""


class SnapshotKind(StrEnum):
    """Why a snapshot was published: new evidence, new orders as well, or back to an earlier one."""

    FOLD = "fold"
    RECALCULATION = "recalculation"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Every fact up to `cursor`, each day weighed as of `day`. Version 0 is the empty one that everybody starts from.

    `orders` are the preference orders, task type by task type; `strategies` what its choices are to be good at,
    `frontiers` who is dominated by nobody, and `prices` how many successes a dollar is worth elsewhere. `experiments`
    are those on their way. What others have come to is in `policies`, by which a task type (or "*") goes, and in
    `put_aside`, the targets that it does not go to any more, each with the experiment that says so and why. `notes`
    say in words what changed against the version before. `restored` is the version that a rollback points back to.
    """

    version: int = 0
    kind: SnapshotKind = SnapshotKind.FOLD
    cursor: int = 0
    day: int = 0
    published_at_us: int = 0
    scorecards: Mapping[Key, Scorecard] = field(default_factory=dict)
    orders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    strategies: Mapping[str, Objective] = field(default_factory=dict)
    frontiers: Mapping[str, Frontier] = field(default_factory=dict)
    prices: Mapping[str, float] = field(default_factory=dict)
    experiments: tuple[Underway, ...] = ()
    policies: Mapping[str, str] = field(default_factory=dict)
    put_aside: Asides = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    restored: int | None = None
