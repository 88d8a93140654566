"""The sandbox server of models, as it is started for trying out."""

from __future__ import annotations

import sys

import httpx

from mahavishnu.model import Target
from mahavishnu.ports import Program, SandboxEngine

HOST = "127.0.0.1"


def sandbox_of(port: int, key_env: str | None) -> SandboxEngine:
    url = f"http://{HOST}:{port}"
    key = ["--key-env", key_env] if key_env else []
    return SandboxEngine(
        url=f"{url}/v1",
        programs=[
            Program(
                name="openai",
                command=[sys.executable, "-m", "mahavishnu_openai.sandbox_server", "--port", str(port), *key],
                is_up=lambda: _answers(url),
            )
        ],
        settings={"base_url": f"{url}/v1"} | ({"api_key_env": key_env} if key_env else {}),
        targets=[_model("model-echo", "echo"), _model("model-flaky", "flaky-500")],
        simulated="no model runs: echo repeats the text, flaky-500 fails on every second call, the others misbehave "
        "as their names say",
    )


def _model(name: str, model: str) -> Target:
    return Target(name=name, adapter="openai", run=model, task_types=frozenset({"chat"}))


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0).is_success
    except httpx.TransportError:
        return False
