"""PrefectAdapter: runs deployments of a Prefect server over its REST API, and flows in this process."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from mahavishnu.model import ANY, CostModel, Health, Result, Status, Target, Task
from mahavishnu.ports import Call, RunRef, SandboxEngine
from mahavishnu_prefect import deployments
from mahavishnu_prefect.deployments import Plan
from mahavishnu_prefect.flow_runs import FlowRuns
from mahavishnu_prefect.flows import Flows
from mahavishnu_prefect.health import health_of
from mahavishnu_prefect.in_process import InProcess
from mahavishnu_prefect.parameters import check
from mahavishnu_prefect.records import FlowRun
from mahavishnu_prefect.rest import Api
from mahavishnu_prefect.sandbox import sandbox_of

_CAPABILITIES = frozenset(
    {
        "can_deploy_flows",
        "can_monitor_execution",
        "can_cancel_workflows",
        "supports_batch_execution",
        "has_cloud_ui",
    }
)

_PRICES: Mapping[str, CostModel] = {
    "local": CostModel(),
    "cloud": CostModel(per_second_usd=Decimal("0.0001")),
}

_OWN_JOBS = "mahavishnu-store-"
"""How the tag of a scheduled job begins, on whichever store it works."""


class PrefectAdapter:
    """Runs what targets name as "flow/deployment" on the server, and as "package.module:flow" in this process.

    The server asks for an API key, for a user and password, or for nothing; `api_key_env` and `basic_auth_env` name the
    variables that hold them. A run is asked after every `poll_ms`, and given up when nothing was heard for
    `patience_ms`. Modules are looked for in `paths` first. At most `flows_at_once` flows run in this process, and
    `changes_at_once` are sent to the server: as much as one on SQLite stands (sixteen flows at once hold it up for a
    minute); with PostgreSQL and in the cloud both may be more. The retries that a flow declares are a part of it.
    """

    name = "prefect"

    def __init__(
        self,
        api_url: str = "http://127.0.0.1:4200/api",
        api_key_env: str | None = "PREFECT_API_KEY",
        basic_auth_env: str | None = "PREFECT_API_AUTH_STRING",
        poll_ms: int = 500,
        request_timeout_ms: int = 10_000,
        patience_ms: int = 10_000,
        changes_at_once: int = 1,
        paths: Sequence[str] = (".",),
        flows_at_once: int = 4,
    ) -> None:
        for option, value in (
            ("poll_ms", poll_ms),
            ("request_timeout_ms", request_timeout_ms),
            ("patience_ms", patience_ms),
            ("changes_at_once", changes_at_once),
            ("flows_at_once", flows_at_once),
        ):
            if value < 1:
                raise ValueError(f"{option} must be at least 1")
        self._api = Api(
            api_url,
            api_key_env=api_key_env,
            basic_auth_env=basic_auth_env,
            request_timeout_s=request_timeout_ms / 1000,
            patience_s=patience_ms / 1000,
            changes_at_once=changes_at_once,
        )
        self._flows = Flows(paths)
        self._flow_runs = FlowRuns(self._api, poll_ms / 1000)
        self._in_process = InProcess(self._api, self._flow_runs, self._flows, flows_at_once)

    @property
    def prices(self) -> Mapping[str, CostModel]:
        return _PRICES

    def targets(self) -> Sequence[Target]:
        return ()

    def supports(self, capability: str) -> bool:
        return capability in _CAPABILITIES

    async def run(self, task: Task, target: Target, call: Call) -> Result:
        runs = self._flow_runs if "/" in target.run else self._in_process
        return await runs.run(task, target, call)

    async def status(self, run: RunRef) -> Status | None:
        flow_run = await self._flow_runs.find(run.run_id)
        return flow_run.status if flow_run else None

    async def cancel(self, run: RunRef) -> bool:
        return await self._flow_runs.cancel(run.run_id)

    async def health(self, target: Target) -> Health:
        return await health_of(target, self._api, self._flows)

    async def discover(self) -> Sequence[Target]:
        """Every deployment but mahavishnu's own jobs, as a generalist: Prefect does not know for which types of task it
        is meant."""
        return [
            Target(name=_one_word(name), adapter=self.name, run=name, task_types=frozenset({ANY}))
            for name, deployment in await deployments.listed(self._api)
            if not any(tag.startswith(_OWN_JOBS) for tag in deployment.tags)
        ]

    def sandbox(self, folder: Path, port: int, *, key_env: str | None = None) -> SandboxEngine:
        return sandbox_of(folder, port, key_env)

    async def close(self) -> None:
        await self._api.close()

    # -- workflows, for whoever works with Prefect itself --------------------------------------------------------------

    async def deploy_workflow(
        self,
        name: str,
        entrypoint: str,
        *,
        work_pool: str | None = None,
        source: str | None = None,
        pull_steps: Sequence[Mapping[str, Any]] | None = None,
        parameters: Mapping[str, Any] | None = None,
        parameter_schema: Mapping[str, Any] | None = None,
        cron: str | None = None,
        timezone: str = "UTC",
        tags: Sequence[str] = (),
        description: str | None = None,
        job_variables: Mapping[str, Any] | None = None,
    ) -> str:
        """Make the deployment "flow/deployment", or change it, and return its id.

        `entrypoint` is "file.py:function", relative to `source`: a folder of the machine where the worker runs.
        `pull_steps` stand in for it where the worker has to fetch the flow. What parameters the flow takes is read off
        its file, or given as `parameter_schema`; without either, tasks are not checked before they are sent. A schedule
        stays as it is where no `cron` is given.
        """
        plan = Plan(
            name=name,
            entrypoint=entrypoint,
            work_pool=work_pool,
            source=source,
            pull_steps=pull_steps,
            parameters=parameters,
            parameter_schema=parameter_schema,
            cron=cron,
            timezone=timezone,
            tags=tags,
            description=description,
            job_variables=job_variables,
        )
        return (await deployments.make(self._api, plan)).id

    async def execute_workflow(
        self, name: str, parameters: Mapping[str, Any] | None = None, *, idempotency_key: str | None = None
    ) -> str:
        """Begin a run of a deployment and return its id, without waiting for its end."""
        deployment = await deployments.find(self._api, name)
        given = dict(parameters or {})
        if deployment.enforced and deployment.schema_ is not None:
            check(name, given, deployment.parameters, deployment.schema_)
        return (await self._flow_runs.begin(deployment, {"parameters": given}, idempotency_key)).id

    async def get_execution_status(self, run_id: str) -> FlowRun | None:
        """A flow run as it is now; None where the server knows no such run."""
        return await self._flow_runs.find(run_id)

    async def cancel_workflow(self, run_id: str) -> bool:
        """Ask for a run to stop; whether it will."""
        return await self._flow_runs.cancel(run_id)

    async def list_workflows(self) -> Sequence[str]:
        """The names of all deployments, as "flow/deployment"."""
        return [name for name, _ in await deployments.listed(self._api)]


def _one_word(name: str) -> str:
    """A name that a target may have.

    >>> _one_word("nightly etl/prod")
    'nightly-etl/prod'
    """
    return re.sub(r"^\W|[^A-Za-z0-9_.:/@-]", "-", name).lstrip("-.:/@")[:100] or "deployment"
