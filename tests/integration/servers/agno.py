"""A real AgentOS for tests: started as a process of its own, with agents that need no network."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from fastapi import FastAPI

ROOT = Path(__file__).parents[3]
SERVE = "tests.integration.servers.agno:app"
STARTS_WITHIN_S = 90.0
STOPS_WITHIN_S = 10.0


@contextmanager
def agent_os(folder: Path, *, port: int | None = None, key: str | None = None) -> Iterator[AgentOsServer]:
    """An AgentOS with its database in `folder`: the same folder and port again is the same server restarted."""
    server = AgentOsServer(folder, port or _free_port(), key)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class AgentOsServer:
    def __init__(self, folder: Path, port: int, key: str | None) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._folder = folder
        self._port = port
        self._key = key
        self._log = folder / "agentos.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Raises RuntimeError, with the end of its log, where it does not become healthy."""
        serve = ["-m", "uvicorn", "--factory", SERVE, "--port", str(self._port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *serve],
                cwd=ROOT,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait_until_healthy()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """What a crash does: no farewell."""
        self._end(signal.SIGKILL)

    def _end(self, with_signal: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        # The whole group: a server that is killed leaves its children otherwise.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, with_signal)
        try:
            process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name != "OS_SECURITY_KEY"}
        own = {
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")]),
            "AGNO_TELEMETRY": "false",
            "AGENTOS_DATABASE": str(self._folder / "agentos.db"),
        }
        return inherited | own | ({"OS_SECURITY_KEY": self._key} if self._key else {})

    def _wait_until_healthy(self) -> None:
        assert self._process is not None
        until = time.monotonic() + STARTS_WITHIN_S
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise RuntimeError(f"AgentOS ended with {self._process.returncode}:\n{self._log_tail()}")
            try:
                if httpx.get(f"{self.url}/health", timeout=2).is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        raise RuntimeError(f"AgentOS is not healthy after {STARTS_WITHIN_S} s:\n{self._log_tail()}")

    def _log_tail(self) -> str:
        return self._log.read_text(errors="replace")[-3000:]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def app() -> FastAPI:
    """What the process serves."""
    from agno.agent import Agent
    from agno.db.sqlite import SqliteDb
    from agno.exceptions import ModelRateLimitError
    from agno.os import AgentOS
    from agno.team import Team
    from agno.team.mode import TeamMode
    from agno.workflow import Step, Workflow

    from mahavishnu_agno.offline import OfflineModel

    def fault(text: str) -> str:
        raise RuntimeError(f"cannot do {text}")

    def throttle(text: str) -> str:
        raise ModelRateLimitError("too many requests")

    def agent(name: str, model: OfflineModel) -> Agent:
        return Agent(id=name, name=name, model=model, telemetry=False)

    echo = agent("echo", OfflineModel())
    shout = agent("shout", OfflineModel(answer=str.upper))
    faulty = agent("faulty", OfflineModel(answer=fault))
    slow = agent("slow", OfflineModel(word_delay_s=0.2))
    os_ = AgentOS(
        name="offline",
        description="Agents for trying out: everything that they say is simulated",
        db=SqliteDb(db_file=os.environ["AGENTOS_DATABASE"]),
        agents=[echo, shout, faulty, slow, agent("throttled", OfflineModel(answer=throttle))],
        teams=[
            Team(id="pair", name="pair", members=[echo, shout], model=OfflineModel(), telemetry=False),
            Team(
                id="choir",
                name="choir",
                members=[echo, shout],
                mode=TeamMode.broadcast,
                model=OfflineModel(),
                telemetry=False,
            ),
            Team(id="sluggish", name="sluggish", members=[slow], model=OfflineModel(), telemetry=False),
        ],
        workflows=[
            Workflow(
                id="chain",
                name="chain",
                steps=[Step(name="first", agent=echo), Step(name="second", agent=shout)],
                telemetry=False,
            ),
            Workflow(
                id="broken", name="broken", steps=[Step(name="only", agent=faulty, max_retries=0)], telemetry=False
            ),
        ],
        telemetry=False,
    )
    served: FastAPI = os_.get_app()
    return served
