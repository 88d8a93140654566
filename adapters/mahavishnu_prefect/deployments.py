"""Deployments on the server: finding one, listing them all, making one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mahavishnu.errors import Misconfigured, did_you_mean, nearest_name
from mahavishnu_prefect.library import parameter_schema
from mahavishnu_prefect.records import ALL_NAMED, DEPLOYMENT, DEPLOYMENTS, NAMED, Deployment
from mahavishnu_prefect.refusals import Absent
from mahavishnu_prefect.rest import Api

_PAGE = 200
"""The most that the server gives at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a deployment is to be. `source` is the folder of the flow's file, on the worker and, if need be, here."""

    name: str
    entrypoint: str
    work_pool: str | None = None
    source: str | None = None
    pull_steps: Sequence[Mapping[str, Any]] | None = None
    parameters: Mapping[str, Any] | None = None
    parameter_schema: Mapping[str, Any] | None = None
    cron: str | None = None
    timezone: str = "UTC"
    tags: Sequence[str] = ()
    description: str | None = None
    job_variables: Mapping[str, Any] | None = None


async def find(api: Api, run: str) -> Deployment:
    """The deployment that is called "flow/deployment". Raises Misconfigured, with the nearest name there is."""
    flow, name = split(run)
    try:
        return await api.get(DEPLOYMENT, f"/deployments/name/{quote(flow, safe='')}/{quote(name, safe='')}")
    except Absent as absent:
        known = [each for each, _ in await listed(api)]
        nearest = nearest_name(run, known)
        hint = did_you_mean(nearest) or '; "prefect deployment ls" shows what there is'
        raise Misconfigured(f'there is no deployment "{run}" on {api.url}{hint}') from absent


async def listed(api: Api) -> list[tuple[str, Deployment]]:
    """Every deployment, with its name as "flow/deployment"."""
    deployments: list[Deployment] = []
    while True:
        page = {"limit": _PAGE, "offset": len(deployments), "sort": "NAME_ASC"}
        found = await api.ask(DEPLOYMENTS, "/deployments/filter", page)
        deployments += found
        if len(found) < _PAGE:
            break
    flows: dict[str, str] = {}
    wanted = list(dict.fromkeys(each.flow_id for each in deployments))
    for start in range(0, len(wanted), _PAGE):
        some = {"id": {"any_": wanted[start : start + _PAGE]}}
        flows |= {each.id: each.name for each in await api.ask(ALL_NAMED, "/flows/filter", {"flows": some})}
    # A deployment whose flow was deleted between the two requests is about to be deleted itself.
    return [(f"{flows[each.flow_id]}/{each.name}", each) for each in deployments if each.flow_id in flows]


async def make(api: Api, plan: Plan) -> Deployment:
    """Make it, or change the one of that name to it."""
    flow, name = split(plan.name)
    schema = plan.parameter_schema or await _schema(plan)
    flow_id = (await api.send(NAMED, "/flows/", {"name": flow})).id
    wanted = {
        "name": name,
        "flow_id": flow_id,
        "entrypoint": plan.entrypoint,
        "work_pool_name": plan.work_pool,
        "path": plan.source,
        "pull_steps": list(plan.pull_steps) if plan.pull_steps is not None else _pull_steps(plan.source),
        "parameters": dict(plan.parameters or {}),
        "parameter_openapi_schema": schema,
        "enforce_parameter_schema": schema is not None,
        "schedules": _schedules(plan),
        "tags": list(plan.tags),
        "description": plan.description,
        "job_variables": dict(plan.job_variables or {}),
    }
    try:
        given = {key: value for key, value in wanted.items() if value is not None}
        return await api.send(DEPLOYMENT, "/deployments/", given)
    except Absent as absent:
        raise Misconfigured(
            f'"{plan.name}" cannot be deployed: {absent}; make the pool with '
            f"prefect work-pool create {plan.work_pool} --type process"
        ) from absent


def split(run: str) -> tuple[str, str]:
    flow, slash, name = run.partition("/")
    if not (flow and slash and name) or "/" in name:
        raise Misconfigured(f'"{run}" names no deployment; write it as flow/deployment')
    return flow, name


async def _schema(plan: Plan) -> dict[str, Any] | None:
    """Read off the flow's source where that is here; None where it is not, as with a repository that a worker pulls."""
    file, colon, function = plan.entrypoint.rpartition(":")
    path = Path(plan.source or ".", file)
    if not colon or not await asyncio.to_thread(path.is_file):
        return None
    return await asyncio.to_thread(parameter_schema, f"{path}:{function}")


def _pull_steps(source: str | None) -> list[dict[str, Any]] | None:
    if source is None:
        return None
    return [{"prefect.deployments.steps.set_working_directory": {"directory": source}}]


def _schedules(plan: Plan) -> list[dict[str, Any]] | None:
    if plan.cron is None:
        return None
    return [{"schedule": {"cron": plan.cron, "timezone": plan.timezone}, "active": True}]
