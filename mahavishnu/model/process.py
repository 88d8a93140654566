"""Process: one that uses a store, as the store knows it."""

from __future__ import annotations

from dataclasses import dataclass

from mahavishnu.model.loop import LoopReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """Where a process runs, whether it lives, and what it holds: attempts that run, and money set aside for them.

    `renewed_at_us` is what its own clock said when it last renewed its lease. It is for people; no decision uses it.
    `loops` is what it last said of its background work.
    """

    id: str
    host: str
    pid: int
    started_at_us: int
    renewed_at_us: int
    lives: bool
    running: int = 0
    reserved_micros: int = 0
    loops: tuple[LoopReport, ...] = ()

    @property
    def troubled(self) -> list[LoopReport]:
        """The parts of its background work that are behind."""
        return [loop for loop in self.loops if loop.stale]
