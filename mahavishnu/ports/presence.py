"""What a store promises about the processes that use it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from mahavishnu.model import Execution, Process
from mahavishnu.model.loop import LoopReport
from mahavishnu.ports.facts import Settlement

Finish = Callable[[Sequence[str]], Awaitable[bool]]
"""Writes what these processes had finished and could not write; False where that has to be tried again later."""


class Presence(Protocol):
    """Which processes are alive, and what the dead ones left running.

    On one host a process that runs is never taken for dead, however long it was stopped. No wall clock is compared.
    """

    @property
    def process_id(self) -> str: ...

    @property
    def token(self) -> int:
        """What a run begins with. It grows when this process was given up and has registered again."""
        ...

    def holds(self, token: int) -> bool:
        """Whether a run that began with it may go on, by what is known here: it is current, and the lease is valid."""
        ...

    async def renew(self, *, within_s: float | None = None) -> None:
        """Renew the lease if it is due, and find out whether this process was given up."""
        ...

    def say_of_loops(self, loops: Callable[[], Sequence[LoopReport]]) -> None:
        """What `processes` says of this one's background work from the next renewal on; called in any thread."""
        ...

    async def reap(self, first: Finish | None = None) -> Sequence[Execution]:
        """Give up every process that is gone; returns the executions that are `LOST` by that.

        One transaction for each: its running executions end, what it had set aside is given back, its keys are free.
        `first` is called once it is known which are gone, and before they are given up.
        """
        ...

    async def release(self, process_id: str) -> Sequence[Execution]:
        """Give up one process, whether it is gone or not. Raises `UnknownName`."""
        ...

    async def processes(self) -> Sequence[Process]:
        """Those that have not been given up, the oldest first."""
        ...

    def withdraw(self, begun: Sequence[Execution], at_us: int, *, settle: Settlement | None = None) -> Awaitable[int]:
        """Undo starts of our own whose fate is unknown: one that is there ends as `CANCELLED`, free of charge, and what
        was set aside for it is given back; of one that is not there nothing is written."""
        ...
