"""An AgentOS with agents that need no network, as it is started for trying out."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import httpx

from mahavishnu.errors import Misconfigured
from mahavishnu.model import Target
from mahavishnu.ports import Program, SandboxEngine

HOST = "127.0.0.1"
SERVE = "mahavishnu_agno.sandbox_server:app"


def sandbox_of(folder: Path, port: int, key_env: str | None, serve: str = SERVE) -> SandboxEngine:
    """`serve` names what makes the application, as uvicorn wants it. Raises Misconfigured."""
    url = f"http://{HOST}:{port}"
    return SandboxEngine(
        url=url,
        programs=[
            Program(
                name="agno",
                command=[sys.executable, "-m", "uvicorn", "--factory", serve, "--host", HOST, "--port", str(port)],
                environment={
                    "AGNO_TELEMETRY": "false",
                    "AGENTOS_DATABASE": str(folder / "agentos.db"),
                    # One of this name that is meant for another AgentOS does not count.
                    "OS_SECURITY_KEY": _key(key_env),
                },
                is_up=lambda: _answers(f"{url}/health"),
            )
        ],
        settings={"os_url": url} | ({"key_env": key_env} if key_env else {}),
        targets=[
            _target("agent-echo", f"{url}/agents/echo", "chat"),
            _target("agent-shout", f"{url}/agents/shout", "shout"),
            _target("team-pair", f"{url}/teams/pair", "chat"),
        ],
        simulated="the agents and the team are Agno's own, the model behind them is not: it answers by a fixed rule",
    )


def _key(key_env: str | None) -> str | None:
    if key_env is None:
        return None
    key = os.environ.get(key_env, "")
    if not key:
        raise Misconfigured(f"the environment variable {key_env} is not set; put the key into it")
    return key


def _target(name: str, run: str, task_type: str) -> Target:
    return Target(name=name, adapter="agno", run=run, task_types=frozenset({task_type}))


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0).is_success
    except httpx.TransportError:
        return False
