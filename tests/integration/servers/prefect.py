"""A real Prefect server for tests, and a worker for it: each a process of its own, with everything in one folder."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

STARTS_WITHIN_S = 120.0
STOPS_WITHIN_S = 15.0


@contextmanager
def prefect_server(folder: Path, *, auth: str | None = None) -> Iterator[PrefectServer]:
    """A server with its database in `folder`; `auth` is "user:password" where it is to ask for one."""
    server = PrefectServer(folder, auth)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def prefect_worker(server: PrefectServer, pool: str) -> Iterator[PrefectWorker]:
    """A worker that runs flows as processes; it makes its work pool itself."""
    worker = PrefectWorker(server, pool)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


class Process:
    """`prefect` as a process group of its own, so that nothing that it started is left behind."""

    def __init__(self, log: Path, environment: dict[str, str]) -> None:
        self._log = log
        self._environment = {
            **os.environ,
            "DO_NOT_TRACK": "1",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self, arguments: list[str], ready: Callable[[], bool]) -> None:
        """Raises RuntimeError, with the end of its log, where it does not become ready."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "prefect", *arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until_s = time.monotonic() + STARTS_WITHIN_S
        while not ready():
            if self._process.poll() is not None or time.monotonic() > until_s:
                self.kill()
                tail = self._log.read_text(errors="replace")[-2_000:]
                raise RuntimeError(f"prefect {' '.join(arguments)} did not become ready; its log ends:\n{tail}")
            time.sleep(0.2)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """What a crash does: no farewell."""
        self._end(signal.SIGKILL)

    def _end(self, with_signal: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        try:
            os.killpg(process.pid, with_signal)
            process.wait(STOPS_WITHIN_S)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass
        finally:
            # Whatever is left of the group, also where its leader went first.
            _kill_group(process.pid)
            process.wait()


class PrefectServer(Process):
    def __init__(self, folder: Path, auth: str | None) -> None:
        self.folder = folder
        self.auth = auth
        self._port = _free_port()
        self.url = f"http://127.0.0.1:{self._port}/api"
        own = {"PREFECT_HOME": str(folder), "PREFECT_LOGGING_SERVER_LEVEL": "WARNING"}
        super().__init__(folder / "server.log", own | ({"PREFECT_SERVER_API_AUTH_STRING": auth} if auth else {}))

    def start(self) -> None:
        """Starts on the same port and with the same database every time."""
        self.launch(["server", "start", "--host", "127.0.0.1", "--port", str(self._port), "--no-ui"], self._healthy)

    def _healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2.0).is_success
        except httpx.TransportError:
            return False


class PrefectWorker(Process):
    def __init__(self, server: PrefectServer, pool: str) -> None:
        self._server = server
        self._pool = pool
        own = {
            "PREFECT_HOME": str(server.folder / f"worker-{pool}"),
            "PREFECT_API_URL": server.url,
            # How often it looks for work: ten seconds by default, which nobody wants to wait for.
            "PREFECT_WORKER_QUERY_SECONDS": "1",
        }
        super().__init__(
            server.folder / f"worker-{pool}.log",
            own | ({"PREFECT_API_AUTH_STRING": server.auth} if server.auth else {}),
        )

    def start(self) -> None:
        self.launch(["worker", "start", "--pool", self._pool, "--type", "process", "--name", self._pool], self._online)

    def _online(self) -> bool:
        auth = httpx.BasicAuth(*self._server.auth.split(":", 1)) if self._server.auth else None
        try:
            found = httpx.get(f"{self._server.url}/work_pools/{self._pool}", auth=auth, timeout=5.0)
        except httpx.TransportError:
            return False
        return found.is_success and found.json()["status"] == "READY"


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
