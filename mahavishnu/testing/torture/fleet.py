"""The workers as the coordinator sees them: started, told, listened to, stopped, killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from mahavishnu.testing.torture.records import Ack, Effect, Journal, Leak, Life, Sample, Wait, Window

START_S = 60.0
STOP_S = 30.0
LINE = 1 << 20


class WorkerProcess:
    """One process. What it says goes to the journal of the round, and to a file."""

    def __init__(self, name: str, index: int, folder: Path) -> None:
        self.name = name
        self.index = index
        self.process_id: str | None = None
        self.killed_ns: int | None = None
        self.ended = asyncio.Event()
        self.journal = Journal()
        self.number = 0
        self.paused_ns: int | None = None
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self._commands: IO[bytes] | None = None
        self._said: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()
        self._listening: asyncio.Task[None] | None = None

    async def start(self, spec: Mapping[str, Any], journal: Journal) -> None:
        self.journal = journal
        commands_in, commands_out = os.pipe()
        voice_in, voice_out = os.pipe()
        with (self._folder / f"{self.name}.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "mahavishnu.testing.torture.worker",
                str(commands_in),
                str(voice_out),
                json.dumps(spec),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(commands_in, voice_out),
                # Ctrl-C is for the coordinator, which ends its workers in order.
                start_new_session=True,
            )
        os.close(commands_in)
        os.close(voice_out)
        self._commands = os.fdopen(commands_out, "wb", buffering=0)
        self._listening = asyncio.create_task(self._listen(voice_in))

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    @property
    def life(self) -> Life:
        return Life(worker=self.name, process_id=self.process_id, killed_ns=self.killed_ns, runs=self.running)

    @property
    def running(self) -> bool:
        return self._process is not None and not self.ended.is_set()

    def tell(self, **command: Any) -> None:
        if self._commands is not None and self.running:
            with suppress(BrokenPipeError):
                self._commands.write(json.dumps(command).encode() + b"\n")

    async def hear(self, what: str, within_s: float) -> Mapping[str, Any] | None:
        """The next thing of this kind that it says; None where it says nothing of the kind in time, or has ended."""
        until = time.monotonic() + within_s
        while (left_s := until - time.monotonic()) > 0:
            try:
                said = await asyncio.wait_for(self._said.get(), left_s)
            except TimeoutError:
                return None
            if said["is"] == what:
                return said
            if said["is"] == "ended":
                return None
        return None

    def pause(self) -> None:
        if self.running:
            self.paused_ns = time.monotonic_ns()
            os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> Window | None:
        """The time in which it was stopped; None where it was not."""
        since_ns, self.paused_ns = self.paused_ns, None
        if since_ns is None or not self.running:
            return None
        os.kill(self.pid, signal.SIGCONT)
        return Window(kind="pause", worker=self.name, from_ns=since_ns, to_ns=time.monotonic_ns())

    async def kill(self) -> None:
        """At once; everything that it had said until then is heard."""
        if not self.running:
            return
        self.killed_ns = time.monotonic_ns()
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        await self.ended.wait()
        await self.close()

    async def stop(self) -> bool:
        """Whether it ended cleanly when it was told to."""
        self.tell(do="stop")
        try:
            await asyncio.wait_for(self.ended.wait(), STOP_S)
        except TimeoutError:
            await self.kill()
            return False
        await self.close()
        return self._process is not None and self._process.returncode == 0

    async def close(self) -> None:
        commands, self._commands = self._commands, None
        if commands is not None:
            commands.close()
        if self._listening is not None:
            await asyncio.wait({self._listening})

    @property
    def returncode(self) -> int | None:
        return self._process.returncode if self._process is not None else None

    async def _listen(self, voice_in: int) -> None:
        reader = asyncio.StreamReader(limit=LINE)
        pipe = os.fdopen(voice_in, "rb", buffering=0)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        try:
            with (self._folder / f"{self.name}.jsonl").open("ab", buffering=0) as file:
                async for line in reader:
                    # A line that a kill cut off has no end.
                    if line.endswith(b"\n"):
                        file.write(line)
                        self._note(json.loads(line))
        finally:
            transport.close()
            if self._process is not None:
                await self._process.wait()
            self.ended.set()
            self._said.put_nowait({"is": "ended"})

    def _note(self, said: Mapping[str, Any]) -> None:
        about = {name: value for name, value in said.items() if name != "is"}
        match said["is"]:
            case "effect":
                self.journal.effects.append(Effect(worker=self.name, **about))
            case "ack":
                executions = tuple((id_, status, cost) for id_, status, cost in about.pop("executions"))
                self.journal.acks.append(Ack(worker=self.name, executions=executions, **about))
            case "wait":
                self.journal.waits.append(Wait(worker=self.name, **about))
            case "leak":
                self.journal.leaks.append(Leak(worker=self.name, **about))
            case "outcome":
                self.journal.outcomes.append(about["id"])
            case "ready":
                self.process_id = about["process_id"]
                self._said.put_nowait(said)
            case "failed":
                self.journal.troubles.append(f"{self.name}: {about['problem']}")
            case _:
                self._said.put_nowait(said)


class Fleet:
    """All workers: one for each place, and those that were killed."""

    def __init__(self, spec: Mapping[str, Any], processes: int, folder: Path) -> None:
        self._spec = spec
        self._folder = folder
        self._generations = [0] * processes
        self.workers: list[WorkerProcess] = []
        self.gone: list[WorkerProcess] = []
        self.samples: list[Sample] = []
        self.journal = Journal()

    async def start(self) -> None:
        """Start all, together. Raises RuntimeError where one of them cannot be started."""
        self.workers = [self._new(index) for index in range(len(self._generations))]
        await asyncio.gather(*(worker.start(self._spec, self.journal) for worker in self.workers))
        ready = await asyncio.gather(*(worker.hear("ready", START_S) for worker in self.workers))
        if not all(ready):
            why = "; ".join(self.journal.troubles) or f"see the logs in {self._folder}"
            raise RuntimeError(f"the workers did not start: {why}")

    async def replace(self, index: int) -> WorkerProcess:
        """A fresh process in the place of one that has ended. It may take a while until it is ready."""
        self.gone.append(self.workers[index])
        self.workers[index].journal = Journal()
        worker = self.workers[index] = self._new(index)
        await worker.start(self._spec, self.journal)
        return worker

    def forget(self) -> None:
        """Empty the files of what was said: a round that broke nothing leaves nothing to look at."""
        for file in self._folder.glob("*.jsonl"):
            os.truncate(file, 0)

    def put_away(self, name: str) -> None:
        """Move the files of the workers that are gone into a folder, where no later round empties them."""
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        running = {worker.name for worker in self.workers}
        for file in self._folder.iterdir():
            if file.is_file() and file.stem not in running:
                file.rename(folder / file.name)

    async def renew(self) -> None:
        """Kill all workers, and put fresh ones in their places."""
        await self.kill()
        fresh = [await self.replace(worker.index) for worker in list(self.workers)]
        await asyncio.gather(*(worker.hear("ready", START_S) for worker in fresh))

    def begin_round(self, journal: Journal) -> None:
        self.journal = journal
        for worker in self.workers:
            worker.journal = journal

    @property
    def lives(self) -> tuple[Life, ...]:
        return tuple(worker.life for worker in (*self.gone, *self.workers))

    async def stop(self) -> list[str]:
        """End all cleanly; what was not clean about it."""
        clean = await asyncio.gather(*(worker.stop() for worker in self.workers))
        return [
            f"{worker.name} did not end cleanly within {STOP_S:.0f} s (exit {worker.returncode})"
            for worker, was_clean in zip(self.workers, clean, strict=True)
            if not was_clean
        ]

    async def kill(self) -> None:
        await asyncio.gather(*(worker.kill() for worker in self.workers))

    def names(self, indices: Iterable[int]) -> list[str]:
        return [self.workers[index].name for index in indices]

    def _new(self, index: int) -> WorkerProcess:
        self._generations[index] += 1
        return WorkerProcess(f"w{index}.{self._generations[index]}", index, self._folder)
