"""Where a run of tests keeps what its processes share: in memory where there is enough."""

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

RUN_FOLDER = pytest.StashKey[Path]()
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 2_000_000_000


def run_folder(config: pytest.Config) -> Path:
    """The folder that the processes of this run share; it is gone when the run is over."""
    return config.stash[RUN_FOLDER]


def make_run_folder() -> Path:
    root = _fast_root()
    # Where pytest makes the folders of tests; what a failed one has left is kept there as it is elsewhere.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(root))
    # A short path: the sockets of servers stand in it, and a socket's name may have about a hundred letters.
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=root))
    folder.chmod(0o711)
    return folder


def _fast_root() -> Path:
    """A folder in memory where there is enough: hundreds of small databases are made, synchronised and thrown away."""
    with suppress(OSError):
        if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > MEMORY_BYTES:
            return MEMORY
    return Path(tempfile.gettempdir())
