"""A process of its own that takes or restores a backup, and kills itself in the middle: run by the tests.

    python -m tests.integration.backup_keeper (backup|restore) FILE URL LAKE SPOOL DIE_AT [--force]

It says how often it reported progress; it dies at the report with the number DIE_AT, 0 for never.
"""

import os
import signal
import sys
from pathlib import Path

from mahavishnu.engine.clock import SystemClock
from mahavishnu.ports import StoreLocation
from mahavishnu.storage.backup import archive, restore_backup, tables, take_backup

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


if __name__ == "__main__":
    act, file, url, lake, spool, die_at, *more = sys.argv[1:]
    location = StoreLocation(url, lake, spool)
    progress = Deadly(int(die_at))
    doing = (take_backup, (location, Path(file))) if act == "backup" else (restore_backup, (Path(file), location))
    doing[0](*doing[1], SystemClock(), force="--force" in more, progress=progress)
    sys.stdout.write(str(progress.reports))
