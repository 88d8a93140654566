"""Runs one command, and ends it with all that it started when whoever started this process says so, or dies.

A script of its own that imports nothing of ours: one is started for every program of an engine of the sandbox. Its
input is a pipe whose other end only the starter holds, so that even a starter that is killed outright is noticed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

PATIENCE_S = 10.0
"""How long a program may take to end when it is asked to."""

_LINUX = sys.platform == "linux"
_PR_SET_CHILD_SUBREAPER = 36


def keep(command: list[str]) -> int:
    """Returns the exit code of the command, however it came to its end."""
    if _LINUX:
        # What a program leaves behind becomes a child of this process, also where it has a session of its own.
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - an adapter's own words, no user's
    # Whoever signals the whole group means the command; this process is the last to go.
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, lambda *_: None)
    signal.signal(signal.SIGUSR1, lambda *_: process.kill())
    threading.Thread(target=_end_when_told, args=[process], daemon=True).start()
    code = process.wait()
    _end_the_rest()
    return code if code >= 0 else 128 - code


def _end_when_told(process: subprocess.Popen[bytes]) -> None:
    os.read(sys.stdin.fileno(), 1)
    process.terminate()
    time.sleep(PATIENCE_S)
    process.kill()


def _end_the_rest() -> None:
    if not _LINUX:
        os.killpg(0, signal.SIGTERM)
    # One that was about to start another may have done so in the meantime.
    while left := _descendants(os.getpid()):
        for pid in left:
            _kill(pid)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        # It went by itself, or is the child of another one of these.
        return


def _descendants(pid: int) -> list[int]:
    """The nearest ones first; none where the system does not tell."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found[1:]


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1:]))
