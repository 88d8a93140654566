"""PrefectScheduler: the jobs of one store as deployments on a Prefect server."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4
from zlib import crc32

from pydantic import BaseModel, TypeAdapter

from mahavishnu.errors import Misconfigured, PluginMissing, Transient
from mahavishnu.model.job import Job
from mahavishnu.ports import Program, Upcoming
from mahavishnu_prefect import deployments
from mahavishnu_prefect.deployments import Plan
from mahavishnu_prefect.records import ANYTHING, FLOW_RUN, Deployment
from mahavishnu_prefect.rest import Api
from mahavishnu_prefect.sandbox import HOST, sandbox_of

PREFIX = "mahavishnu-"
"""What the names of the flows, and the keys of their artifacts, begin with."""

HERE = "here"
NEXT = 3
"""How many runs of a job Prefect keeps in store, at the least."""

_MODULE = "mahavishnu_flows.schedules"
_PATIENCE_S = 180.0
"""A server on SQLite that has many runs to plan may be deaf for as long."""

_PAGE = 200


class _Scheduled(BaseModel):
    expected_start_time: datetime


_SCHEDULED = TypeAdapter(list[_Scheduled])


class PrefectScheduler:
    """Jobs as deployments that carry a tag of their store, so that several stores can share one server.

    The server is found as the adapter finds it. `store_url` holds no password, and means the same store wherever the
    jobs run; `config` is a file over there, or None where the folder and the environment over there decide.
    """

    def __init__(
        self,
        store_url: str,
        config: str | None = None,
        api_url: str = "http://127.0.0.1:4200/api",
        api_key_env: str | None = "PREFECT_API_KEY",
        basic_auth_env: str | None = "PREFECT_API_AUTH_STRING",
    ) -> None:
        self._store_url = store_url
        self._config = config
        self._mark = f"{crc32(store_url.encode()):08x}"
        self._tag = f"{PREFIX}store-{self._mark}"
        self._api = Api(
            api_url,
            api_key_env=api_key_env,
            basic_auth_env=basic_auth_env,
            request_timeout_s=10.0,
            patience_s=_PATIENCE_S,
        )

    @property
    def url(self) -> str:
        return self._api.url

    def on_its_own(self, folder: Path, port: int) -> tuple[PrefectScheduler, Program]:
        """Raises PluginMissing, as `serving` does, where Prefect's library is not installed: the rest needs none."""
        _require_library()
        url = f"http://{HOST}:{port}/api"
        server, *_ = sandbox_of(folder, port, None).programs
        return PrefectScheduler(self._store_url, self._config, url, None, None), server

    def serving(self, jobs: Sequence[Job], folder: Path) -> Program:
        _require_library()
        ready = folder / "ready"
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "mahavishnu_flows.serving", "--ready", str(ready)]
        command += ["--name", self._name(HERE), "--tag", self._tag, "--store-url", self._store_url]
        for job in jobs:
            command += ["--job", job.name]
        if self._config is not None:
            command += ["--config", self._config]
        return Program(
            name="prefect-runner", command=command, environment=self._environment(folder), is_up=ready.exists
        )

    async def pause(self) -> None:
        for name, each in await self._deployed():
            if name.endswith(f"/{self._name(HERE)}"):
                await self._change(each.id, "pause")

    async def deploy(self, jobs: Sequence[Job], work_pool: str, folder: str) -> Sequence[str]:
        known = dict(await self._deployed())
        names: list[str] = []
        for job in jobs:
            plan = Plan(
                name=f"{PREFIX}{job.name}/{self._name(work_pool)}",
                entrypoint=f"{_MODULE}.{job.name.replace('-', '_')}",
                work_pool=work_pool,
                source=folder,
                parameters={"store_url": self._store_url, "config": self._config},
                cron=job.cron,
                tags=[self._tag],
                description=job.doc,
            )
            await self._make(plan, known.get(plan.name))
            names.append(plan.name)
        return names

    async def upcoming(self) -> Sequence[Upcoming]:
        found = [await self._upcoming(name, each) for name, each in await self._deployed()]
        return sorted(found, key=lambda each: each.name)

    async def trigger(self, job: str) -> str:
        able = [each for name, each in await self._deployed() if _job(name) == job]
        if not able:
            raise Misconfigured(
                f'"{job}" is not deployed at {self.url}; run mahavishnu schedule deploy, or mahavishnu schedule serve'
            )
        chosen = min(able, key=lambda each: each.paused)
        # One and the same run, however often a server that is busy has to be asked for it.
        wanted = {"idempotency_key": uuid4().hex}
        begin = partial(self._api.send, FLOW_RUN, f"/deployments/{chosen.id}/create_flow_run", wanted)
        return (await self._api.patiently(begin)).id

    async def close(self) -> None:
        await self._api.close()

    def _name(self, place: str) -> str:
        return f"{place}-{self._mark}"

    async def _reached(self) -> None:
        """Says at once where there is no server; one that is only busy is given its time afterwards."""
        try:
            await self._api.get(ANYTHING, "/health")
        except Transient as silence:
            if not silence.may_have_run:
                raise

    async def _make(self, plan: Plan, before: Deployment | None) -> None:
        """Again and again, while the server is too busy: to make the same once more changes nothing."""
        if before is not None:
            # Drops what came due while nobody was there: one run does the work of them all.
            await self._change(before.id, "pause")
        made = await self._api.patiently(partial(deployments.make, self._api, plan))
        if before is not None:
            await self._change(made.id, "resume")

    async def _change(self, deployment_id: str, change: str) -> None:
        path = f"/deployments/{deployment_id}/{change}_deployment"
        await self._api.patiently(partial(self._api.send, ANYTHING, path, {}))

    async def _deployed(self) -> list[tuple[str, Deployment]]:
        """What of this store is deployed, with its name as "flow/deployment"."""
        await self._reached()
        known = await self._api.patiently(lambda: deployments.listed(self._api))
        return [(name, each) for name, each in known if self._tag in each.tags]

    async def _upcoming(self, name: str, deployment: Deployment) -> Upcoming:
        wanted = {
            "deployments": {"id": {"any_": [deployment.id]}},
            "flow_runs": {
                "state": {"type": {"any_": ["SCHEDULED"]}},
                "expected_start_time": {"after_": datetime.now(UTC).isoformat()},
            },
            "sort": "EXPECTED_START_TIME_ASC",
            "limit": NEXT,
        }
        found = await self._api.patiently(lambda: self._api.ask(_SCHEDULED, "/flow_runs/filter", wanted))
        return Upcoming(
            job=_job(name),
            name=name,
            active=not deployment.paused,
            at_us=[round(each.expected_start_time.timestamp() * 1_000_000) for each in found],
        )

    def _environment(self, folder: Path) -> Mapping[str, str | None]:
        """Whatever is set here for another Prefect counts for nothing."""
        own = {
            "PREFECT_HOME": str(folder / "runner"),
            "PREFECT_API_URL": self.url,
            "DO_NOT_TRACK": "1",
            "PREFECT_API_KEY": self._api.api_key,
            "PREFECT_API_AUTH_STRING": self._api.basic_auth,
        }
        return {**dict.fromkeys(each for each in os.environ if each.startswith("PREFECT_")), **own}


def _require_library() -> None:
    if find_spec("prefect") is None:
        raise PluginMissing(plugin="prefect", module="prefect", extra="prefect")


def _job(name: str) -> str:
    """The job of a deployment.

    >>> _job("mahavishnu-check-alerts/here-0a1b2c3d")
    'check-alerts'
    """
    return name.partition("/")[0].removeprefix(PREFIX)
