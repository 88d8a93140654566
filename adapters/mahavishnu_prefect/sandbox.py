"""A Prefect server with a worker and a deployment, as it is started for trying out."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from shutil import copyfile

import httpx

from mahavishnu.errors import Misconfigured, Transient
from mahavishnu.model import Target
from mahavishnu.ports import Program, SandboxEngine
from mahavishnu_prefect import deployments
from mahavishnu_prefect.deployments import Plan
from mahavishnu_prefect.rest import Api

HOST = "127.0.0.1"
POOL = "sandbox"
DEPLOYMENT = "count-words/sandbox"

_FLOW = Path(__file__).with_name("sandbox_flow.py")
_TRIES, _PAUSE_S = 20, 0.5


def sandbox_of(folder: Path, port: int, key_env: str | None) -> SandboxEngine:
    """Raises Misconfigured."""
    url = f"http://{HOST}:{port}/api"
    key = _key(key_env)
    return SandboxEngine(
        url=url,
        programs=[_server(folder, port, url, key), worker(folder, url, key, POOL)],
        settings={"api_url": url, "api_key_env": "", "basic_auth_env": key_env or ""},
        targets=[
            Target(name="flow-count-words", adapter="prefect", run=DEPLOYMENT, task_types=frozenset({"count"})),
        ],
        simulated="nothing; its one flow really counts the words of the text, in a process that the worker starts",
        example="How many words are these?",
        prepare=lambda: _deploy(folder / "flows", url, key_env),
    )


def worker(folder: Path, url: str, key: str | None, pool: str) -> Program:
    """One that runs flows as processes, and makes its work pool itself."""
    start = ["worker", "start", "--pool", pool, "--type", "process", "--name", pool]
    own = {
        "PREFECT_HOME": str(folder / f"worker-{pool}"),
        "PREFECT_API_URL": url,
        # How often it looks for work: ten seconds by default, which nobody wants to wait for.
        "PREFECT_WORKER_QUERY_SECONDS": "1",
    }
    return Program(
        name=f"prefect-worker-{pool}",
        command=[sys.executable, "-m", "prefect", *start],
        environment=_only(own | ({"PREFECT_API_AUTH_STRING": key} if key else {})),
        is_up=lambda: _has_worker(f"{url}/work_pools/{pool}", key),
    )


def _server(folder: Path, port: int, url: str, key: str | None) -> Program:
    own = {"PREFECT_HOME": str(folder), "PREFECT_LOGGING_SERVER_LEVEL": "WARNING"}
    return Program(
        name="prefect-server",
        command=[sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)],
        environment=_only(own | ({"PREFECT_SERVER_API_AUTH_STRING": key} if key else {})),
        is_up=lambda: _answer(f"{url}/health", None) is not None,
    )


def _only(own: Mapping[str, str]) -> Mapping[str, str | None]:
    """Whatever is set here for another Prefect counts for nothing: neither its database, nor its key."""
    others: dict[str, str | None] = dict.fromkeys([each for each in os.environ if each.startswith("PREFECT_")])
    return {**others, "DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false", **own}


def _key(key_env: str | None) -> str | None:
    if key_env is None:
        return None
    key = os.environ.get(key_env, "")
    if ":" not in key:
        raise Misconfigured(f'the environment variable {key_env} must hold "user:password", for Prefect')
    return key


def _has_worker(url: str, key: str | None) -> bool:
    pool = _answer(url, key)
    return pool is not None and pool.json()["status"] == "READY"


def _answer(url: str, key: str | None) -> httpx.Response | None:
    """None where there is none, or none that is good."""
    user, _, password = (key or "").partition(":")
    auth = httpx.BasicAuth(user, password) if key else None
    try:
        reply = httpx.get(url, auth=auth, timeout=2.0)
    except httpx.TransportError:
        return None
    return reply if reply.is_success else None


async def _deploy(flows: Path, url: str, key_env: str | None) -> None:
    """Raises AdapterError."""
    _copy_flow(flows)
    plan = Plan(
        name=DEPLOYMENT, entrypoint="count_words.py:count_words", work_pool=POOL, source=str(flows), tags=["sandbox"]
    )
    api = Api(url, api_key_env=None, basic_auth_env=key_env, request_timeout_s=10.0, patience_s=10.0)
    try:
        for left in reversed(range(_TRIES)):
            try:
                await deployments.make(api, plan)
                break
            except Transient:
                # A server on SQLite that is busy refuses changes, and one that has just started is busy.
                if not left:
                    raise
                await asyncio.sleep(_PAUSE_S)
    finally:
        await api.close()


def _copy_flow(flows: Path) -> None:
    """So that whoever tries it can change it; what was changed stays."""
    flows.mkdir(exist_ok=True)
    if not (flows / "count_words.py").exists():
        copyfile(_FLOW, flows / "count_words.py")
