"""The process beside a test run that ends it when it does not end by itself, and says which test was to blame.

It is a process of its own because a test that hangs in C holds the lock that every thread of its process needs, and
because a run that was killed can no longer stop the servers that it started. It imports nothing but the standard
library, and is run by its path: python -I -S watchdog.py FOLDER CONTROLLER LIMIT STALL. Its input is a pipe whose other
end only the run holds.
"""

import json
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

# The name under which every process of a run carries the run's folder in its environment.
RUN = "TESTS_RUN"
LOOK_S = 0.5
# A test that is over its limit ends its own process; where that is stopped or stuck, it is ended from here.
GRACE_S = float(os.environ.get("TESTS_GRACE_S", "10"))
# How long xdist may take to notice that a worker is dead; it takes less than a second, or for ever.
UNNOTICED_S = float(os.environ.get("TESTS_UNNOTICED_S", "20"))
DUMP_S = 3
END_S = 15


class Ended(Exception):
    """Why the run must end."""


class Watchdog:
    def __init__(self, folder: Path, controller: int, limit: float, stall: float) -> None:
        self._folder = folder
        self._controller = controller
        self._limit = limit
        self._stall = stall
        self._began: float | None = None
        self._aborted: dict[int, float] = {}
        self._dead_since: dict[int, float] = {}
        self._progress: tuple[object, float] = (None, time.monotonic())

    def watch(self) -> None:
        try:
            while not _closed(LOOK_S):
                self._look(time.monotonic())
        except Ended as ended:
            self._end(str(ended))
        finally:
            self._clear_away()

    def _look(self, now: float) -> None:
        workers = self._workers()
        for worker in workers:
            if worker["test"] is not None:
                self._began = self._began or now
                self._judge(worker, now)
        seen = [(worker["pid"], worker["test"], worker["since"]) for worker in workers]
        if seen != self._progress[0]:
            self._progress = (seen, now)
        if now - self._progress[1] > self._stall and not any(worker["test"] for worker in workers):
            raise Ended(f"no test has begun for {self._stall:.0f} s")
        if self._began is not None and now - self._began > self._limit:
            raise Ended(f"the run has taken {now - self._began:.0f} s, and its limit is {self._limit:.0f} s")

    def _judge(self, worker: dict, now: float) -> None:
        """End a test that is over its limit, or the run when its worker is dead and the run does not see it."""
        pid, ran = worker["pid"], now - worker["since"]
        if not _alive(pid):
            if now - self._dead_since.setdefault(pid, now) > UNNOTICED_S:
                raise Ended(f"worker {worker['name']} died while it ran {worker['test']}, and the run waits for it")
        elif pid in self._aborted:
            if now - self._aborted[pid] > DUMP_S:
                _signal(pid, signal.SIGKILL)
        elif ran > worker["limit"] + GRACE_S:
            say(f"{worker['test']} has run for {ran:.0f} s, and its limit is {worker['limit']:.0f} s; it is killed")
            self._aborted[pid] = now
            # The handler that pytest installs writes where every thread stands, and needs no lock for it.
            _signal(pid, signal.SIGABRT)

    def _end(self, why: str) -> None:
        say(f"the run is ended: {why}")
        workers = self._workers()
        for worker in workers:
            state = "" if _alive(worker["pid"]) else " (dead)"
            say(f"{worker['name']}{state} runs {worker['test'] or 'nothing'}; before it, {worker['last'] or 'nothing'}")
        others = [worker["pid"] for worker in workers if worker["pid"] != self._controller]
        # One after the other, so that what they write stays apart.
        for pid in others:
            _signal(pid, signal.SIGABRT)
            _wait([pid], DUMP_S)
            _signal(pid, signal.SIGKILL)
        # A child of a dead worker may hold the worker's pipe, for which the controller would wait for ever.
        self._kill_all()
        # Ctrl-C lets the controller say what failed until now.
        _signal(self._controller, signal.SIGINT)
        if _closed(END_S):
            return
        _signal(self._controller, signal.SIGABRT)
        _wait([self._controller], DUMP_S)
        _signal(self._controller, signal.SIGKILL)

    def _clear_away(self) -> None:
        """Nothing of the run outlives it, however it ended."""
        _wait([worker["pid"] for worker in self._workers()], DUMP_S)
        self._kill_all()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _kill_all(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            left = [pid for pid in _processes_of(self._folder) if pid not in (os.getpid(), self._controller)]
            for pid in left:
                _signal(pid, number)
            _wait(left, DUMP_S)

    def _workers(self) -> list[dict]:
        return [read for path in sorted(self._folder.glob("*.worker")) if (read := _read(path)) is not None]


def say(sentence: str) -> None:
    print(f"\nWATCHDOG: {sentence}", file=sys.stderr, flush=True)


def _closed(seconds: float) -> bool:
    """Whether the run is over: the other end of the pipe is closed by it, or by the system when it was killed."""
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    return bool(ready) and os.read(sys.stdin.fileno(), 1) == b""


def _read(path: Path) -> dict | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # taken away at this moment


def _processes_of(folder: Path) -> Iterator[int]:
    """Every process that inherited the name of the run's folder. Only Linux lets them be found like this."""
    mark = f"{RUN}={folder}".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in path.read_bytes().split(b"\0"):
                yield int(path.parent.name)
        except OSError:
            continue


def _alive(pid: int) -> bool:
    """A zombie is dead: only its parent has not asked for it yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return not Path("/proc/self").exists() and _answers(pid)
    return state not in "ZX"


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _wait(pids: list[int], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except OSError:
        return


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run, and the run's end is what this waits for
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Watchdog(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])).watch()
