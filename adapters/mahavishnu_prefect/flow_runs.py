"""Flow runs on the server: begun from a deployment, followed to their end, asked after, cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any
from urllib.parse import quote

from mahavishnu.errors import AdapterError, Cancelled, Crashed
from mahavishnu.model import Result, Status, Target, Task, Usage
from mahavishnu.ports import Call
from mahavishnu_prefect import deployments
from mahavishnu_prefect.handover import Delivery, delivered
from mahavishnu_prefect.options import DeploymentOptions, options_of
from mahavishnu_prefect.parameters import check, parameters_of
from mahavishnu_prefect.records import ANYTHING, FLOW_RUN, Deployment, FlowRun
from mahavishnu_prefect.refusals import Absent
from mahavishnu_prefect.rest import Api, work_begun

STOP_S = 1.5
"""How long a run that nobody waits for any more is given to be told so: the engine waits for two seconds."""

_FIRST_PAUSE_S = 0.05
_GROWTH = 1.5


@dataclass(frozen=True, slots=True)
class FlowRuns:
    """The flow runs of one server; each is asked after every `poll_s` at most."""

    api: Api
    poll_s: float

    async def run(self, task: Task, target: Target, call: Call) -> Result:
        with work_begun(False):
            options = options_of(target, DeploymentOptions)
            deployment = await deployments.find(self.api, target.run)
            parameters = parameters_of(target.run, task, options.parameters, deployment.schema_)
            if deployment.enforced and deployment.schema_ is not None:
                check(target.run, parameters, deployment.parameters, deployment.schema_)
        wanted = _wanted(parameters, options, target, call)
        flow_run = await self._begun(deployment, wanted, call)
        try:
            with work_begun(True):
                await call.announce(flow_run.id)
                return await self._result(await self.ended(flow_run))
        except asyncio.CancelledError:
            await self.stop(flow_run.id)
            raise

    async def find(self, run_id: str | None) -> FlowRun | None:
        """A flow run as it is now; None where the server knows no such run."""
        if not run_id:
            return None
        try:
            return await self.api.get(FLOW_RUN, _path(run_id))
        except Absent:
            return None

    async def cancel(self, run_id: str | None) -> bool:
        """Ask for it to stop; whether it will.

        The reply to the request does not tell: a run that waits for a worker is "rejected" and cancelled all the same.
        So the state is read, before and after. One that has ended is left alone; the server guards the moment between.
        """
        flow_run = await self.api.patiently(lambda: self.find(run_id))
        if flow_run is None or flow_run.status.ended:
            return False
        path = _path(flow_run.id)
        if not flow_run.stopping:
            stop = {"state": {"type": "CANCELLING"}}
            await self.api.patiently(lambda: self.api.send(ANYTHING, f"{path}/set_state", stop))
        after = await self.api.patiently(lambda: self.find(run_id))
        return after is not None and after.stopping

    async def stop(self, run_id: str) -> None:
        """Cancel it because nobody waits for it any more: as well as can be done in a moment."""
        with suppress(AdapterError, TimeoutError):
            async with asyncio.timeout(STOP_S):
                await self.cancel(run_id)

    async def ended(self, flow_run: FlowRun) -> FlowRun:
        """Follow it to its end. A server that does not answer for a while is not the failure of the run."""
        run_id, pause_s = flow_run.id, _FIRST_PAUSE_S
        while not flow_run.status.ended:
            await asyncio.sleep(pause_s)
            pause_s = min(_GROWTH * pause_s, self.poll_s)
            flow_run = await self.api.patiently(lambda: self.now(run_id))
        return flow_run

    async def begin(self, deployment: Deployment, wanted: Mapping[str, Any], key: str | None) -> FlowRun:
        """Begin a run, or find the one that this key has begun before.

        A key answers for a run that is under way or has succeeded. One that ended badly frees it: the next in the row
        of its names is taken. Prefect keeps keys by flow, so that the name holds the deployment.
        """
        path = f"/deployments/{deployment.id}/create_flow_run"
        if key is None:
            return await self.api.send(FLOW_RUN, path, wanted)
        for number in count(1):
            name = f"{deployment.id}:{key}" if number == 1 else f"{deployment.id}:{key}:{number}"
            flow_run = await self.api.send(FLOW_RUN, path, {**wanted, "idempotency_key": name})
            if not flow_run.status.ended or flow_run.status is Status.SUCCEEDED:
                break
        return flow_run

    async def _begun(self, deployment: Deployment, wanted: Mapping[str, Any], call: Call) -> FlowRun:
        """Begin it such that it is known even if nobody waits any more: its request may have reached the server."""
        beginning = asyncio.ensure_future(self.begin(deployment, wanted, call.idempotency_key or call.execution_id))
        try:
            return await asyncio.shield(beginning)
        except asyncio.CancelledError:
            with suppress(AdapterError, TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await self.cancel((await beginning).id)
            raise

    async def now(self, run_id: str) -> FlowRun:
        """Raises Crashed where it is gone."""
        flow_run = await self.find(run_id)
        if flow_run is None:
            raise Crashed(f"flow run {run_id} was deleted while it ran")
        return flow_run

    async def _result(self, flow_run: FlowRun) -> Result:
        if flow_run.status is Status.CANCELLED:
            raise Cancelled(f'flow run "{flow_run.name}" was cancelled in Prefect ({flow_run.words})')
        if flow_run.status is not Status.SUCCEEDED:
            raise Crashed(f'flow run "{flow_run.name}" ended as {flow_run.words}')
        delivery = await self.api.patiently(lambda: delivered(self.api, flow_run.id))
        return result_of(flow_run, delivery or Delivery())


def result_of(flow_run: FlowRun, delivery: Delivery) -> Result:
    return Result(
        value=delivery.value,
        cost_usd=delivery.cost_usd,
        quality=delivery.quality,
        usage=Usage(seconds=flow_run.seconds),
        run_id=flow_run.id,
        detail={"flow_run": flow_run.name, "state": flow_run.words},
    )


def _path(run_id: str) -> str:
    return f"/flow_runs/{quote(run_id, safe='')}"


def _wanted(parameters: Mapping[str, Any], options: DeploymentOptions, target: Target, call: Call) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "parameters": parameters,
        "tags": options.tags,
        "labels": {"mahavishnu.target": target.name, "mahavishnu.execution": call.execution_id},
    }
    if options.work_queue is not None:
        wanted["work_queue_name"] = options.work_queue
    if options.job_variables:
        wanted["job_variables"] = options.job_variables
    return wanted
