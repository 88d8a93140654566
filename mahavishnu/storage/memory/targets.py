"""Targets of the store in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mahavishnu.errors import TargetChanged, TargetExists
from mahavishnu.model import Target
from mahavishnu.model.unreadable import Rows, Switches
from mahavishnu.storage.sql.facts.documents import target_json, target_of
from mahavishnu.storage.sql.targets import unknown_target


@dataclass(slots=True)
class TargetMemory:
    targets: dict[str, Target] = field(default_factory=dict)
    switches: dict[str, bool] = field(default_factory=dict)


class MemoryTargets(ABC):
    """The part of the store in memory that keeps targets."""

    @abstractmethod
    def _kept_targets(self) -> TargetMemory: ...

    async def targets(self) -> Rows[Target]:
        return Rows(self._kept_targets().targets.values())

    async def add_target(self, target: Target) -> None:
        await self.put_targets([target], {})

    async def put_targets(
        self, targets: Sequence[Target], instead_of: Mapping[str, Target], *, forget_switches: bool = False
    ) -> None:
        kept = self._kept_targets()
        after, switches = dict(kept.targets), dict(kept.switches)
        for target in targets:
            if target.name not in instead_of and target.name in after:
                raise TargetExists(target=target.name, where="the store")
            if target.name in instead_of and after.get(target.name) != instead_of[target.name]:
                raise TargetChanged(target=target.name)
            if target.name in instead_of and forget_switches:
                switches.pop(target.name, None)
            after[target.name] = target_of(target_json(target))
        kept.targets, kept.switches = after, switches

    async def remove_target(self, name: str) -> None:
        kept = self._kept_targets()
        if name not in kept.targets:
            raise unknown_target(name, kept.targets)
        del kept.targets[name]
        kept.switches.pop(name, None)

    async def switches(self) -> Switches:
        return Switches(self._kept_targets().switches)

    async def switch_target(self, name: str, enabled: bool) -> None:
        self._kept_targets().switches[name] = enabled
