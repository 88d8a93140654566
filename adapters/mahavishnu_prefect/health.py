"""How a target is: whether its server answers us, and whether anybody would run what is sent to it."""

from __future__ import annotations

from urllib.parse import quote

from mahavishnu.errors import AdapterError, AuthenticationError, AuthorizationError, Misconfigured
from mahavishnu.model import HEALTHY, Health, HealthStatus, Target
from mahavishnu_prefect import deployments
from mahavishnu_prefect.flows import Flows
from mahavishnu_prefect.options import DeploymentOptions, FlowOptions, options_of
from mahavishnu_prefect.records import ALL_NAMED, WORK_POOL, Deployment
from mahavishnu_prefect.refusals import Absent
from mahavishnu_prefect.rest import Api, Unanswered


async def health_of(target: Target, api: Api, flows: Flows) -> Health:
    """Every question carries our key: a server tells strangers, too, that it is well."""
    try:
        if "/" not in target.run:
            options_of(target, FlowOptions)
            await flows.find(target.run)
            await api.ask(ALL_NAMED, "/flows/filter", {"limit": 1})
            return HEALTHY
        options_of(target, DeploymentOptions)
        deployment = await deployments.find(api, target.run)
        problem = await _nobody(api, deployment)
    except AdapterError as failure:
        return Health(_status_of(failure), str(failure))
    return Health(HealthStatus.DEGRADED, f'"{target.run}" {problem}') if problem else HEALTHY


def _status_of(failure: AdapterError) -> HealthStatus:
    match failure:
        case AuthenticationError() | AuthorizationError():
            return HealthStatus.UNAUTHORISED
        case Misconfigured():
            return HealthStatus.MISCONFIGURED
        case Unanswered():
            return HealthStatus.UNREACHABLE
        case _:
            return HealthStatus.DEGRADED


async def _nobody(api: Api, deployment: Deployment) -> str | None:
    """Why nobody would take a run of it now, if so."""
    if deployment.paused:
        return 'is paused; run "prefect deployment schedule resume", or start again what serves it'
    pool = deployment.work_pool_name
    if pool is None:
        return None if deployment.status != "NOT_READY" else "has nobody who serves it; start again what calls serve()"
    try:
        status = (await api.get(WORK_POOL, f"/work_pools/{quote(pool, safe='')}")).status
    except Absent as absent:
        raise Misconfigured(f'its work pool "{pool}" is gone; run: prefect work-pool create {pool}') from absent
    if status == "PAUSED":
        return f"waits, since its work pool is paused; run: prefect work-pool resume {pool}"
    if status == "NOT_READY":
        return f"waits, since its work pool has no worker; run: prefect worker start --pool {pool}"
    return None
