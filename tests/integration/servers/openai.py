"""The trial server of models for tests: a process of its own, whose answers are simulated."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[3]
STARTS_WITHIN_S = 30.0
STOPS_WITHIN_S = 10.0
KEY_ENV = "MAHAVISHNU_TRIAL_KEY"


@contextmanager
def model_server(folder: Path, *, key: str | None = None) -> Iterator[ModelServer]:
    """A server on a free port, which it keeps when it is started again."""
    server = ModelServer(folder, key)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class ModelServer:
    def __init__(self, folder: Path, key: str | None) -> None:
        self.url = ""
        self._key = key
        self._log = folder / "models.log"
        self._process: subprocess.Popen[str] | None = None

    @property
    def port(self) -> int:
        """0, which takes a free one, until it was started."""
        return httpx.URL(self.url).port or 0

    def start(self) -> None:
        """Raises RuntimeError, with the end of its log, where it does not become healthy."""
        serve = ["-m", "mahavishnu_openai.trial_server", "--port", str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *serve, *(["--key-env", KEY_ENV] if self._key else [])],
                cwd=ROOT,
                env=self._environment(),
                text=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        try:
            self.url = self._announced_url()
            self._get("/").raise_for_status()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """What a crash does: no farewell."""
        self._end(signal.SIGKILL)

    def calls(self, model: str) -> int:
        """How often a model was called so far."""
        tallies = self._get("/trial").json()["tallies"]
        calls: int = tallies.get(model, {"calls": 0})["calls"]
        return calls

    def last(self) -> dict[str, Any]:
        """The last request: its body and its idempotency key."""
        last: dict[str, Any] = self._get("/trial").json()["last"]
        return last

    def reached(self, model: str, what: str, number: int) -> dict[str, int]:
        """Wait until so many calls of a model were begun (`calls`), `finished` or `abandoned`."""
        tally: dict[str, int] = self._get(f"/trial/{model}/{what}/{number}").raise_for_status().json()
        return tally

    def _get(self, path: str) -> httpx.Response:
        return httpx.get(httpx.URL(self.url).join(path), timeout=STARTS_WITHIN_S)

    def _announced_url(self) -> str:
        """The first line that it prints, which comes once it listens."""
        assert self._process is not None
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], STARTS_WITHIN_S)
        line = self._process.stdout.readline().strip() if readable else ""
        if not line:
            tail = self._log.read_text(errors="replace")[-3000:]
            raise RuntimeError(f"the trial server did not start within {STARTS_WITHIN_S} s:\n{tail}")
        return line

    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(ROOT), str(ROOT / "adapters")])
        return {**os.environ, "PYTHONPATH": path} | ({KEY_ENV: self._key} if self._key else {})

    def _end(self, with_signal: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        os.killpg(process.pid, with_signal)
        try:
            process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
