"""Faults as they are done to workers and to the store, and taken back."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from mahavishnu.testing.torture.database import Lookout
from mahavishnu.testing.torture.fleet import Fleet, WorkerProcess
from mahavishnu.testing.torture.plan import Fault, Kind
from mahavishnu.testing.torture.records import Window


@dataclass(frozen=True, slots=True)
class Server:
    """What may be done to the server of a store, besides what its own SQL can do."""

    pid: int | None = None
    stop: str = ""
    start: str = ""


NO_SERVER = Server()


@dataclass(slots=True)
class Faults:
    """Does the faults of one round. `replaced` is called with every worker that takes the place of a killed one."""

    fleet: Fleet
    lookout: Lookout
    server: Server
    replaced: Callable[[WorkerProcess], None]
    windows: list[Window] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    _lifted: Event = field(default_factory=Event)

    async def run(self, faults: Sequence[Fault], began_s: float) -> None:
        """Raises RuntimeError where a fault cannot be done at all: the round would show nothing."""
        try:
            async with asyncio.TaskGroup() as group:
                for fault in faults:
                    group.create_task(self._strike(fault, began_s))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    def lift(self) -> None:
        """Take everything back that may still be on; safe to call at any time, and twice."""
        self._lifted.set()
        for worker in self.fleet.workers:
            if (window := worker.resume()) is not None:
                self.windows.append(window)
            worker.tell(do="skew", offset_s=0.0, drift=0.0)
            worker.tell(do="answers", share=0.0)
            worker.tell(do="disk", full=False)
        if self.server.pid is not None:
            _signal_all(self.server.pid, signal.SIGCONT)

    async def _strike(self, fault: Fault, began_s: float) -> None:
        await asyncio.sleep(max(began_s + fault.at_s - time.monotonic(), 0))
        match fault.kind:
            case Kind.PAUSE:
                await self._pause(fault)
            case Kind.KILL:
                await self._kill(fault)
            case Kind.SKEW:
                self._worker(fault).tell(do="skew", offset_s=fault.amount, drift=fault.drift)
            case Kind.BLOCK:
                await self._block(fault)
            case Kind.HANG:
                await self._hang(fault)
            case Kind.OUTAGE:
                await self._outage(fault)
            case Kind.ANSWERS:
                await self._for_a_while(fault, {"do": "answers", "share": fault.amount}, {"do": "answers", "share": 0})
            case Kind.DISK:
                await self._for_a_while(fault, {"do": "disk", "full": True}, {"do": "disk", "full": False})
            case Kind.VALUES | Kind.TARGETS:
                # The callers bring these along.
                await asyncio.sleep(fault.lasts_s)

    def _worker(self, fault: Fault) -> WorkerProcess:
        return self.fleet.workers[fault.worker]

    async def _pause(self, fault: Fault) -> None:
        worker = self._worker(fault)
        worker.pause()
        await asyncio.sleep(fault.lasts_s)
        if (window := worker.resume()) is not None:
            self.windows.append(window)

    async def _kill(self, fault: Fault) -> None:
        await self._worker(fault).kill()
        self.replaced(await self.fleet.replace(fault.worker))

    async def _block(self, fault: Fault) -> None:
        worker = self._worker(fault)
        began_ns = time.monotonic_ns()
        worker.tell(do="block", seconds=fault.lasts_s)
        await asyncio.sleep(fault.lasts_s)
        # It begins a little later than it was asked for.
        ended_ns = time.monotonic_ns() + 1_000_000_000
        self.windows.append(Window(kind=fault.kind, worker=worker.name, from_ns=began_ns, to_ns=ended_ns))

    async def _hang(self, fault: Fault) -> None:
        began_ns = time.monotonic_ns()
        if self.server.pid is not None:
            _signal_all(self.server.pid, signal.SIGSTOP)
            await asyncio.sleep(fault.lasts_s)
            _signal_all(self.server.pid, signal.SIGCONT)
        else:
            # Another fault may end this session; the store did hang until then.
            self._note(fault, await asyncio.to_thread(self.lookout.hold_the_lock, fault.lasts_s, self._lifted))
        self._over(fault, began_ns)

    async def _outage(self, fault: Fault) -> None:
        began_ns = time.monotonic_ns()
        if self.server.stop:
            await _shell(self.server.stop)
            await asyncio.sleep(fault.lasts_s)
            await _shell(self.server.start)
        elif self.lookout.is_sqlite:
            await self._for_a_while(fault, {"do": "disk", "full": True}, {"do": "disk", "full": False})
            return
        else:
            self._note(fault, await asyncio.to_thread(self.lookout.end_sessions, fault.lasts_s, self._lifted))
        self._over(fault, began_ns)

    async def _for_a_while(self, fault: Fault, begin: dict[str, object], end: dict[str, object]) -> None:
        """Something that is done to one worker, or to all of them."""
        began_ns = time.monotonic_ns()
        workers = self.fleet.workers if fault.worker < 0 else [self._worker(fault)]
        struck = list(workers)
        for worker in struck:
            worker.tell(**begin)
        await asyncio.sleep(fault.lasts_s)
        for worker in struck:
            worker.tell(**end)
        for worker in struck:
            self._over(fault, began_ns, worker.name)

    def _over(self, fault: Fault, began_ns: int, worker: str = "") -> None:
        """A second longer than it was: whatever broke is only then whole again."""
        ended_ns = time.monotonic_ns() + 1_000_000_000
        self.windows.append(Window(kind=fault.kind, worker=worker, from_ns=began_ns, to_ns=ended_ns))

    def _note(self, fault: Fault, problem: str) -> None:
        if problem:
            self.remarks.append(f"the fault {fault.kind} ended early: {problem}")


def _signal_all(pid: int, number: int) -> None:
    """A server and every process that it has started."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError, ValueError):
            parents.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        waiting += parents.get(one, [])
        with suppress(ProcessLookupError):
            os.kill(one, number)


async def _shell(command: str) -> None:
    """Raises RuntimeError where the command fails: without it the round would show nothing."""
    process = await asyncio.create_subprocess_shell(
        command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    if await process.wait():
        raise RuntimeError(f'"{command}" ended with {process.returncode}; run it by hand to see why')
