"""A worker: one process that opens the app on the store, runs callers, and lets faults be done to it.

    python -m mahavishnu.testing.torture.worker COMMANDS-FD VOICE-FD ORDERS

The coordinator starts it. Commands come in as lines of JSON; when they end, so does the process.
"""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import gc
import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from random import Random
from typing import Any

from mahavishnu.app import App, open_app
from mahavishnu.errors import MahavishnuError, RepositoryError
from mahavishnu.model import Task
from mahavishnu.settings import Settings, load_settings
from mahavishnu.testing.torture.callers import Caller, Orders, acknowledge
from mahavishnu.testing.torture.clock import SkewedClock
from mahavishnu.testing.torture.database import lose_answers
from mahavishnu.testing.torture.targets import HOSTILE, PROBE, tables
from mahavishnu.testing.torture.voice import VOICE

REAP_EVERY_S = 1.0
PROBE_S = 20.0
LOOK_S = 20.0
OPEN_S = 30.0
_PR_SET_PDEATHSIG = 1

Message = Mapping[str, Any]


def settings_of(spec: Message) -> Settings:
    """The kit's targets and, where a configuration is named, what stands in it."""
    config = Path(spec["config"]) if spec["config"] else None
    overrides: dict[str, Any] = {
        "store": {"url": spec["store"], "lease_s": spec["lease_s"], "spool": spec["spool"]},
        "targets": tables(),
        "routing": {"refresh_s": 0.3},
    }
    if config is None:
        # Hostile targets fail all the time, and are to be called all the same.
        overrides["breaker"] = {"consecutive_failures": 10_000, "failure_rate": 1.0, "window": 10_000}
        overrides["attempts"] = {"timeout_ms": 1000, "retries": 1, "backoff_ms": 10}
    return load_settings(config, os.environ if config else {}, overrides)


class Worker:
    """Obeys commands, one after the other, while its callers work."""

    def __init__(self, app: App, clock: SkewedClock) -> None:
        self._app = app
        self._clock = clock
        self._going = False
        self._stopping = False
        self._callers: list[asyncio.Task[None]] = []
        self._commands: asyncio.Queue[Message] = asyncio.Queue()
        self.obey_later = self._commands.put_nowait

    async def run(self) -> None:
        reaping = asyncio.create_task(self._reap())
        VOICE.say({"is": "ready", "process_id": self._app.store.process_id, "pid": os.getpid()})
        while not self._stopping:
            try:
                await self._obey(await self._commands.get())
            except asyncio.CancelledError:
                _go_on()
            except MahavishnuError as error:
                VOICE.say({"is": "failed", "problem": str(error)[:300]})
        reaping.cancel()
        await asyncio.wait({reaping})

    async def _obey(self, command: Message) -> None:
        match command["do"]:
            case "go":
                self._go(Orders(**command["orders"]))
            case "idle":
                await self._idle()
            case "block":
                self._callers.append(asyncio.create_task(self._block(command["seconds"])))
            case "count":
                VOICE.say({"is": "counted", "samples": self._samples()})
            case "probe":
                await self._probe(command["key"])
            case "look":
                await self._look(command["samples"])
            case "sample":
                VOICE.say({"is": "sample", **_held()})
            case "stop":
                self._going, self._stopping = False, True

    def _go(self, orders: Orders) -> None:
        self._going = True
        rngs = [Random(f"{orders.seed} {os.getpid()} {number}") for number in range(orders.callers)]
        self._callers = [asyncio.create_task(Caller(self._app, orders, rng, lambda: self._going).run()) for rng in rngs]

    async def _idle(self) -> None:
        self._going = False
        while self._callers:
            waiting = [caller for caller in self._callers if not caller.done()]
            if not waiting:
                break
            try:
                await asyncio.wait(waiting)
            except asyncio.CancelledError:
                _go_on()
        self._callers = []
        VOICE.say({"is": "idle"})

    async def _block(self, seconds: float) -> None:
        task = Task(type=HOSTILE, text="x", target="torture-blocks", payload={"seconds": seconds}, repeatable=False)
        with suppress(MahavishnuError, asyncio.CancelledError):
            acknowledge(await self._app.orchestrator.perform(task))

    async def _probe(self, key: str) -> None:
        """One task without a key and one with a key of its own: whatever fails now fails for good."""
        problem, succeeded = "", 0
        try:
            async with asyncio.timeout(PROBE_S):
                for idempotency_key in (None, key):
                    task = Task(type=PROBE, text="x", deadline_ms=10_000, idempotency_key=idempotency_key)
                    report = await self._app.orchestrator.perform(task)
                    acknowledge(report)
                    if report.error is not None:
                        raise report.error
                    succeeded += 1
        except TimeoutError:
            problem = f"no answer within {PROBE_S:.0f} s"
        except MahavishnuError as error:
            problem = f"{error.code}: {error}"[:300]
        VOICE.say({"is": "probed", "problem": problem, "succeeded": succeeded})

    async def _look(self, samples: int) -> None:
        """Until the evidence of this process has come this far, which takes what all of them have done."""
        until = time.monotonic() + LOOK_S
        counted = self._samples()
        while counted < samples and time.monotonic() < until:
            # Evidence changes in a loop of the app's own, which tells no caller.
            await self._clock.sleep(0.1)
            counted = self._samples()
        VOICE.say({"is": "looked", "samples": counted})

    def _samples(self) -> float:
        return sum(stat.scorecard.samples for stat in self._app.orchestrator.stats(PROBE))

    async def _reap(self) -> None:
        """More often than the app does by itself, as other processes that are opened do."""
        while not self._stopping:
            try:
                await asyncio.sleep(REAP_EVERY_S)
                await self._app.orchestrator.reap()
            except RepositoryError:
                continue
            except asyncio.CancelledError:
                if self._stopping:
                    raise
                _go_on()


class Hands:
    """Obeys what must work also while the event loop is blocked: a thread that reads the commands."""

    def __init__(self, commands: int, clock: SkewedClock) -> None:
        self._commands = commands
        self._clock = clock
        self.lost_share = 0.0

    def start(self, loop: asyncio.AbstractEventLoop, worker: Worker) -> None:
        threading.Thread(target=self._read, args=(loop, worker), name="torture-commands", daemon=True).start()

    def _read(self, loop: asyncio.AbstractEventLoop, worker: Worker) -> None:
        with os.fdopen(self._commands, "r") as lines:
            for line in lines:
                command = json.loads(line)
                match command["do"]:
                    case "skew":
                        self._clock.set(offset_s=command["offset_s"], drift=command["drift"])
                    case "answers":
                        self.lost_share = command["share"]
                    case "disk":
                        _fill_the_disk(full=command["full"])
                    case "stacks":
                        _write_stacks(loop)
                    case _:
                        loop.call_soon_threadsafe(worker.obey_later, command)
        # The coordinator is gone: its pipe ends with it.
        os._exit(4)


def _fill_the_disk(*, full: bool) -> None:
    """No file of this process can grow, as on a full disk: the kernel says so (EFBIG) to SQLite and to the spool."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 if full else hard, hard))


def _write_stacks(loop: asyncio.AbstractEventLoop) -> None:
    """What every thread and every task waits for, into the log: to see why a worker does not come to rest."""
    faulthandler.dump_traceback(all_threads=True)
    for task in asyncio.all_tasks(loop):
        task.print_stack(file=sys.stderr)
    sys.stderr.flush()


def _held() -> dict[str, int]:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "rss_kb": pages * resource.getpagesize() // 1024,
        "descriptors": sum(1 for _ in Path("/proc/self/fd").iterdir()),
        "threads": threading.active_count(),
    }


def _go_on() -> None:
    """A hostile target has cancelled every task of this loop; this one goes on."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()


async def _open(stack: AsyncExitStack, settings: Settings, clock: SkewedClock) -> App:
    """Open the app, again while its store is away: a supervisor starts a process again that could not open."""
    until = time.monotonic() + OPEN_S
    while True:
        try:
            return await stack.enter_async_context(open_app(settings, clock=clock))
        except RepositoryError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.2)


async def _main(commands: int, spec: Message) -> None:
    clock = SkewedClock()
    hands = Hands(commands, clock)
    lose_answers(lambda: hands.lost_share)
    async with AsyncExitStack() as stack:
        app = await _open(stack, settings_of(spec), clock)
        worker = Worker(app, clock)
        hands.start(asyncio.get_running_loop(), worker)
        await worker.run()
    VOICE.say({"is": "stopped"})


def main() -> None:
    # No worker outlives its coordinator, not even one that is stopped at the time.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    commands, voice, spec = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
    VOICE.speak_to(voice)
    try:
        asyncio.run(_main(commands, spec))
    except MahavishnuError as error:
        VOICE.say({"is": "failed", "problem": str(error)[:300]})
        sys.exit(1)


if __name__ == "__main__":
    main()
