"""Programs of this machine as targets: the text of the task goes in, what the program prints comes back."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress

from mahavishnu.errors import AdapterError, Cancelled, Crashed, Misconfigured, Refused, Transient
from mahavishnu.model import HEALTHY, Health, HealthStatus, Result, Status, Target, Task
from mahavishnu.ports import Call, RunRef


class CommandAdapter:
    """`run` of a target is a command line. No shell reads it, so nothing in a task can become a command.

    Exit codes speak the language of sysexits.h: 64 and 65 are the caller's error, 75 may work later.
    """

    name = "command"

    def __init__(self, folder: str = ".") -> None:
        self._folder = folder
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._cancelled: set[str] = set()

    def targets(self) -> Sequence[Target]:
        return ()

    def supports(self, capability: str) -> bool:
        return capability in ("can_cancel_workflows", "can_monitor_execution")

    async def run(self, task: Task, target: Target, call: Call) -> Result:
        program = await self._start(target)
        self._running[call.execution_id] = program
        try:
            printed, complaint = await program.communicate(task.text.encode())
        finally:
            # Also when the engine cancels us: nothing that was started stays behind.
            del self._running[call.execution_id]
            await _stop(program)
            cancelled = call.execution_id in self._cancelled
            self._cancelled.discard(call.execution_id)
        if cancelled:
            raise Cancelled("cancelled on request")
        if program.returncode:
            raise _failure(program.returncode, complaint.decode(errors="replace").strip())
        return Result(value=printed.decode(errors="replace").rstrip("\n"), run_id=str(program.pid))

    async def status(self, run: RunRef) -> Status | None:
        return Status.RUNNING if run.execution_id in self._running else None

    async def cancel(self, run: RunRef) -> bool:
        program = self._running.get(run.execution_id)
        if program is None:
            return False
        self._cancelled.add(run.execution_id)
        _kill(program)
        return True

    async def health(self, target: Target) -> Health:
        try:
            _words(target)
        except Misconfigured as problem:
            return Health(HealthStatus.MISCONFIGURED, str(problem))
        return HEALTHY

    async def close(self) -> None:
        for program in self._running.values():
            _kill(program)

    async def _start(self, target: Target) -> asyncio.subprocess.Process:
        words = _words(target)
        pipe = asyncio.subprocess.PIPE
        try:
            # A session of its own, so that its children can be stopped with it.
            return await asyncio.create_subprocess_exec(
                *words, stdin=pipe, stdout=pipe, stderr=pipe, cwd=self._folder, start_new_session=True
            )
        except (FileNotFoundError, NotADirectoryError, PermissionError) as problem:
            raise Misconfigured(f'"{target.run}" cannot be started: {problem}') from problem
        except OSError as problem:
            raise Transient(f'"{target.run}" cannot be started now: {problem}', may_have_run=False) from problem


def _words(target: Target) -> list[str]:
    try:
        words = shlex.split(target.run)
    except ValueError as problem:
        raise Misconfigured(f'"{target.run}" is no command line: {problem}') from problem
    if not words or shutil.which(words[0]) is None:
        raise Misconfigured(f'there is no program "{target.run}"; install it, or correct the target\'s run')
    return words


def _failure(code: int, complaint: str) -> AdapterError:
    words = f"exit code {code}: {complaint[-500:] or 'it printed no reason'}"
    match code:
        case os.EX_USAGE | os.EX_DATAERR:
            return Refused(words)
        case os.EX_TEMPFAIL:
            return Transient(words)
        case _:
            return Crashed(words)


def _kill(program: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGKILL)


async def _stop(program: asyncio.subprocess.Process) -> None:
    if program.returncode is None:
        _kill(program)
        await program.wait()
