"""Runs the jobs here when they are due: the process behind `mahavishnu schedule serve`."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.exceptions import ObjectNotFound
from prefect.runner import Runner
from prefect.types.entrypoint import EntrypointType

from mahavishnu.jobs.schedule import JOBS
from mahavishnu.model.job import Job
from mahavishnu_flows.schedules import FLOWS

QUERY_S = 2.0


async def serve(jobs: Sequence[Job], name: str, tag: str, parameters: dict[str, Any], ready: Path) -> None:
    """Take these jobs on at the server of this environment, and run them until this process is told to stop.

    Whoever tells it has their schedules paused, which a busy server may take longer for than a process that stops has.
    """
    runner = Runner(name=name, query_seconds=QUERY_S, limit=None, pause_on_shutdown=False)
    async with get_client() as client:
        for job in jobs:
            deployment = await FLOWS[job.name].ato_deployment(
                name,
                cron=job.cron,
                parameters=parameters,
                tags=[tag],
                description=job.doc,
                entrypoint_type=EntrypointType.MODULE_PATH,
            )
            before = await _known(client, f"{deployment.flow_name}/{name}")
            if before is not None:
                # Drops what came due while nobody was there: one run does the work of them all.
                await client.pause_deployment(before)
            made = await runner.aadd_deployment(deployment)
            if before is not None:
                await client.resume_deployment(made)
    await asyncio.to_thread(ready.touch)
    await runner.start()


async def _known(client: PrefectClient, name: str) -> UUID | None:
    """The deployment of that name, if there is one."""
    try:
        return (await client.read_deployment_by_name(name)).id
    except ObjectNotFound:
        return None


def main() -> None:
    parser = argparse.ArgumentParser()
    for flag in ("--name", "--tag", "--store-url", "--ready"):
        parser.add_argument(flag, required=True)
    parser.add_argument("--config")
    parser.add_argument("--job", action="append", required=True, choices=list(FLOWS))
    given = parser.parse_args()
    parameters = {"store_url": given.store_url, "config": given.config}
    jobs = [JOBS[each] for each in given.job]
    asyncio.run(serve(jobs, given.name, given.tag, parameters, Path(given.ready)))


if __name__ == "__main__":
    main()
