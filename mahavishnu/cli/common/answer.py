"""stdout belongs to the answer of a command: what anything else writes to it goes to stderr."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TextIO

_STDOUT, _STDERR = 1, 2

_kept: TextIO | None = None
"""The stream of the answer, while sys.stdout is another one."""


def stream() -> TextIO:
    """Where the answer is written. Nothing but what prints an answer may use it."""
    return sys.stdout if _kept is None else _kept


def keep() -> None:
    """From here on print() goes to stderr, in every thread: what runs now may be a target, a policy, a plugin."""
    global _kept
    if _kept is None:
        _kept, sys.stdout = sys.stdout, sys.stderr


def give_back() -> None:
    """sys.stdout is as it was before keep()."""
    global _kept
    if _kept is not None:
        sys.stdout, _kept = _kept, None


def claim() -> None:
    """Keep the file descriptor too, for the rest of this process: libraries in C and child processes write to it.

    Nothing changes where stdout is closed, or is not the descriptor of a process that began here.
    """
    with suppress(OSError, ValueError, AttributeError):
        if sys.stdout.fileno() != _STDOUT:
            return
        sys.stdout.flush()
        own = os.dup(_STDOUT)
        # A terminal shows every line at once, as it does without this.
        buffering = 1 if os.isatty(own) else -1
        answer = os.fdopen(own, "w", buffering, encoding=sys.stdout.encoding, errors=sys.stdout.errors)
        try:
            os.dup2(_STDERR, _STDOUT)
        except OSError:
            # stderr is closed: what does not belong to the answer is dropped.
            os.dup2(os.open(os.devnull, os.O_WRONLY), _STDOUT)
        sys.stdout = answer
