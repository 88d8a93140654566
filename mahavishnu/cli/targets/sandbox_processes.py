"""Starting, watching and stopping engines of the sandbox: real servers, which live no longer than this process."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mahavishnu.cli.targets import process_guard
from mahavishnu.errors import Crashed
from mahavishnu.ports import Program, SandboxEngine

HOST = "127.0.0.1"
COMES_UP_WITHIN_S = 180.0
GOES_WITHIN_S = process_guard.PATIENCE_S + 5.0
PAUSE_S = 0.1

_TAIL_LINES = 12


class SandboxProcess:
    """One program, in a process group of its own, which ends when this process does, even where that is killed."""

    def __init__(self, program: Program, folder: Path) -> None:
        self.name = program.name
        self.log = folder / f"{program.name}.log"
        self._program = program
        self._started_s = time.monotonic()
        keeping = [sys.executable, "-I", "-S", process_guard.__file__]
        environment = {**os.environ, **program.environment}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - an adapter's own words, no user's
                [*keeping, *program.command],
                cwd=folder,
                env={name: value for name, value in environment.items() if value is not None},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """That of its process group."""
        return self._process.pid

    @property
    def ended(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.poll()

    def is_up(self) -> bool:
        """Raises Crashed, with the end of its log, where it never will be."""
        if self.ended is not None:
            raise self._failure(f"it ended with {self.ended}")
        if self._program.is_up():
            return True
        if time.monotonic() - self._started_s > COMES_UP_WITHIN_S:
            raise self._failure(f"it was not ready after {COMES_UP_WITHIN_S:.0f} s")
        return False

    def ask_to_stop(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()

    def kill(self) -> None:
        """What a crash does: no farewell."""
        if self.ended is None:
            self._process.send_signal(signal.SIGUSR1)
        self.wait()

    def wait(self) -> None:
        """Until it has gone, which is not left to it."""
        self.ask_to_stop()
        try:
            self._process.wait(GOES_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        # Nobody is left, unless its keeper was killed before it could see to that.
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def _failure(self, why: str) -> Crashed:
        lines = [each.strip() for each in self.log.read_text(errors="replace").splitlines() if each.strip()]
        said = " | ".join(lines[-_TAIL_LINES:]) or "nothing"
        return Crashed(f"{self.name} did not come up: {why}; look into {self.log}, which ends: {said}")


class Sandbox:
    """One engine in the sandbox: started program by program, and started again with the same port and the same data."""

    def __init__(self, name: str, engine: SandboxEngine, folder: Path) -> None:
        self.name = name
        self.engine = engine
        self.folder = folder
        self.running: list[SandboxProcess] = []
        self._is_up = False

    @property
    def url(self) -> str:
        return self.engine.url

    @property
    def ended(self) -> SandboxProcess | None:
        """The first of its programs that runs no longer."""
        return next((each for each in self.running if each.ended is not None), None)

    def advance(self) -> bool:
        """Whether it is all up by now; begins what is next. Raises AdapterError where it never will be."""
        if self._is_up:
            return True
        if self.running and not self.running[-1].is_up():
            return False
        if len(self.running) < len(self.engine.programs):
            self.running.append(SandboxProcess(self.engine.programs[len(self.running)], self.folder))
            return False
        if self.engine.prepare is not None:
            asyncio.run(self.engine.prepare())
        self._is_up = True
        return True

    def start(self) -> None:
        """Returns when it is up. Raises AdapterError, and leaves nothing behind, where it does not come up."""
        try:
            for _ in bring_up([self]):
                pass
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        stop_all([self])

    def kill(self) -> None:
        """What a crash does to it: no farewell."""
        for each in reversed(self.running):
            each.kill()
        self.forget()

    def forget(self) -> None:
        """What ran has gone: it starts from the beginning."""
        self.running, self._is_up = [], False


def bring_up(sandboxes: Sequence[Sandbox]) -> Iterator[Sandbox]:
    """Start them all at once; each comes as soon as it is up. Raises AdapterError where one never will be."""
    waiting = list(sandboxes)
    while waiting:
        for sandbox in [each for each in waiting if each.advance()]:
            waiting.remove(sandbox)
            yield sandbox
        time.sleep(PAUSE_S if waiting else 0)


def stop_all(sandboxes: Sequence[Sandbox]) -> None:
    """All at once, each given the time that it needs to end well, as far as that is short."""
    running = [each for sandbox in sandboxes for each in reversed(sandbox.running)]
    for each in running:
        each.ask_to_stop()
    for each in running:
        each.wait()
    for sandbox in sandboxes:
        sandbox.forget()


@contextmanager
def sandbox_of(name: str, engine: SandboxEngine, folder: Path) -> Iterator[Sandbox]:
    """The engine, up; stopped afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    sandbox = Sandbox(name, engine, folder)
    sandbox.start()
    try:
        yield sandbox
    finally:
        sandbox.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port
