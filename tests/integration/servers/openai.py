"""The sandbox server of models, and what it has seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from mahavishnu.cli.targets.sandbox_processes import COMES_UP_WITHIN_S, Sandbox, free_port
from mahavishnu_openai import sandbox


@contextmanager
def model_server(folder: Path, *, key_env: str | None = None) -> Iterator[ModelServer]:
    server = ModelServer("openai", sandbox.sandbox_of(free_port(), key_env), folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class ModelServer(Sandbox):
    def calls(self, model: str) -> int:
        """How often a model was called so far."""
        tallies = self._get("/sandbox").json()["tallies"]
        calls: int = tallies.get(model, {"calls": 0})["calls"]
        return calls

    def last(self) -> dict[str, Any]:
        """The last request: its body and its idempotency key."""
        last: dict[str, Any] = self._get("/sandbox").json()["last"]
        return last

    def reached(self, model: str, what: str, number: int) -> dict[str, int]:
        """Wait until so many calls of a model were begun (`calls`), `finished` or `abandoned`."""
        tally: dict[str, int] = self._get(f"/sandbox/{model}/{what}/{number}").raise_for_status().json()
        return tally

    def _get(self, path: str) -> httpx.Response:
        return httpx.get(httpx.URL(self.url).join(path), timeout=COMES_UP_WITHIN_S)
