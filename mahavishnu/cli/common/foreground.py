"""A command that stays in the foreground, with processes of its own, until somebody asks it to stop."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mahavishnu.cli.targets.sandbox_processes import PAUSE_S, SandboxProcess
from mahavishnu.ports import Program

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def asked_to_stop() -> Iterator[None]:
    """Whoever ends this process, politely or by closing the terminal, is taken to have pressed Ctrl-C."""
    before = {each: signal.signal(each, signal.default_int_handler) for each in _SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def patient() -> None:
    """From now on nobody stops this process politely: it is stopping, and that is bounded as it is."""
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)


@contextmanager
def running(program: Program, folder: Path) -> Iterator[SandboxProcess]:
    """The program, up; stopped afterwards, with all that it started. Raises Crashed where it does not come up."""
    process = SandboxProcess(program, folder)
    try:
        while not process.is_up():
            time.sleep(PAUSE_S)
        yield process
    finally:
        patient()
        process.wait()


def stay(until: Callable[[], bool]) -> None:
    """Until that is so, or somebody asks to stop."""
    try:
        while not until():
            time.sleep(PAUSE_S)
    except KeyboardInterrupt:
        return
