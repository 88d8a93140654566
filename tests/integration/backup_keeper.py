"""A process that takes and restores backups, and dies in the middle of it when told to: run by the tests.

It reads one JSON line a job: act, file, url, lake, spool, die_at, force. Each is done by a child of its own, which says
how often it reported progress, or kills itself at the report with the number `die_at` (0: never).
"""

import json
import os
import signal
import sys
from pathlib import Path

# Loaded before the children are made, which would take long to do so each for itself.
import alembic.command
import psycopg

from mahavishnu.engine.clock import SystemClock
from mahavishnu.ports import StoreLocation
from mahavishnu.storage.backup import archive, restore_backup, tables, take_backup

__all__ = ["alembic", "psycopg"]

# Small steps, so that there are many places to die at.
tables.PAGES = 4
tables.ROWS = 7
archive._CHUNK = 4096


class Deadly:
    """Progress that ends the process at one of its reports."""

    def __init__(self, die_at: int) -> None:
        self.reports = 0
        self._die_at = die_at

    def __call__(self, _stage: str, _done: int, _total: int) -> None:
        self.reports += 1
        if self.reports == self._die_at:
            os.kill(os.getpid(), signal.SIGKILL)


def work(act: str, file: str, url: str, lake: str, spool: str, die_at: int, force: bool) -> int:
    location, progress = StoreLocation(url, lake, spool), Deadly(die_at)
    if act == "backup":
        take_backup(location, Path(file), SystemClock(), force=force, progress=progress)
    else:
        restore_backup(Path(file), location, SystemClock(), force=force, progress=progress)
    return progress.reports


def in_a_child(job: list) -> str:
    """What it answered; "killed" where it was, and an empty line where it failed, having said why on stderr."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.write(writing, str(work(*job)).encode())
            status = 0
        except Exception as error:
            sys.stderr.write(f"{error!r}\n")
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    return "killed" if os.WIFSIGNALED(status) else answer


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(in_a_child(json.loads(line)) + "\n")
        sys.stdout.flush()
