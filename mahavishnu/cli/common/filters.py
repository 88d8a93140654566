"""Filters: the names that narrow a reading command down, told in words, and checked where nothing was found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mahavishnu.model import Status, Target

if TYPE_CHECKING:
    from mahavishnu.ports import Store
    from mahavishnu.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    task_type: str | None = None
    target: str | None = None
    decision_id: str | None = None
    status: Status | None = None

    def __str__(self) -> str:
        """What they narrow down to, after a noun.

        >>> f"No execution{Filters(target='shout', status=Status.LOST)} yet."
        'No execution on target shout with status lost yet.'
        """
        words = (
            ("on target", self.target),
            ("for task type", self.task_type),
            ("of decision", self.decision_id),
            ("with status", self.status and self.status.value),
        )
        return "".join(f" {said} {name}" for said, name in words if name is not None)

    async def check(self, store: Store, settings: Settings, targets: Iterable[Target] = ()) -> None:
        """Raises UnknownName for a name that nothing carries. What was found by a name proves that it is known.

        `targets` are those that an open App has besides what the store and the configuration declare.
        """
        if (self.task_type, self.target, self.decision_id) == (None, None, None):
            return
        from mahavishnu.jobs.names import Kind, check_decision, check_known

        await check_decision(store, self.decision_id)
        given = ((Kind.TASK_TYPE, self.task_type), (Kind.TARGET, self.target))
        await check_known(store, settings, given, targets=targets)
