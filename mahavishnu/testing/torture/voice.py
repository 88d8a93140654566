"""What a worker says to the coordinator: one line of JSON for each thing that happened, through a pipe.

A pipe and no file: it outlives a kill as well as a file does, and no full disk stops it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from threading import Lock
from typing import Any


class Voice:
    """Says lines to a descriptor; without one, nothing."""

    def __init__(self) -> None:
        self._descriptor: int | None = None
        self._lock = Lock()

    def speak_to(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def say(self, message: Mapping[str, Any]) -> None:
        """The line is with the kernel when this returns."""
        if self._descriptor is None:
            return
        line = json.dumps(message).encode() + b"\n"
        # Targets speak from threads as well.
        with self._lock:
            while line:
                line = line[os.write(self._descriptor, line) :]


VOICE = Voice()
"""The voice of this process, which its targets use, too."""
