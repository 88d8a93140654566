"""Files that say that their owner lives: the kernel lets go of the lock when the process ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import BinaryIO


def locked(path: Path) -> BinaryIO | None:
    """The file, made where it is not there, and locked until it is closed; None where another process has it."""
    while True:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        except BaseException:
            file.close()
            raise
        # Its last owner may have removed it between the two calls: then the lock is on a file without a name.
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk when this returns."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
