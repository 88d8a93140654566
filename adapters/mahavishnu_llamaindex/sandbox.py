"""A workflow server over mahavishnu's own documentation, as it is started for trying out."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import httpx

from mahavishnu.errors import Misconfigured
from mahavishnu.model import Target
from mahavishnu.ports import Program, SandboxEngine

HOST = "127.0.0.1"
KEY = "WORKFLOW_SERVER_KEY"
SERVE = "mahavishnu_llamaindex.sandbox_server"


def sandbox_of(folder: Path, port: int, key_env: str | None, serve: str = SERVE) -> SandboxEngine:
    """`serve` names the module that is run. Raises Misconfigured."""
    url = f"http://{HOST}:{port}"
    key = _key(key_env)
    return SandboxEngine(
        url=url,
        programs=[
            Program(
                name="llamaindex",
                command=[sys.executable, "-m", serve, "--port", str(port), "--folder", str(folder)],
                environment={KEY: key},
                is_up=lambda: _answers(f"{url}/health", key),
            )
        ],
        settings={"server_url": url} | ({"key_env": key_env} if key_env else {}),
        targets=[
            Target(name="ask-docs", adapter="llamaindex", run="workflows/ask-docs", task_types=frozenset({"ask"}))
        ],
        simulated="passages are found by the words that they share with the question, and no model writes the answer: "
        "it is put together from sentences of theirs",
        example="What is a target?",
    )


def _key(key_env: str | None) -> str | None:
    if key_env is None:
        return None
    key = os.environ.get(key_env, "")
    if not key:
        raise Misconfigured(f"the environment variable {key_env} is not set; put the key into it")
    return key


def _answers(url: str, key: str | None) -> bool:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        return httpx.get(url, headers=headers, timeout=2.0).is_success
    except httpx.TransportError:
        return False
