"""The flows that wind the jobs: each runs one, and leaves what it did as an artifact."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect import Flow, flow
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed

from mahavishnu.app import make_store
from mahavishnu.engine.clock import SystemClock
from mahavishnu.jobs.schedule import JOBS, run_job
from mahavishnu.model.job import JobReport
from mahavishnu.settings import load_settings
from mahavishnu_flows.scheduler import PREFIX


@flow(name=f"{PREFIX}recalculate", retries=0, persist_result=False)
async def recalculate(store_url: str | None = None, config: str | None = None) -> State[Any]:
    """Score all evidence anew, and publish a snapshot of it."""
    return await _run("recalculate", store_url, config)


@flow(name=f"{PREFIX}fold", retries=0, persist_result=False)
async def fold(store_url: str | None = None, config: str | None = None) -> State[Any]:
    """Add up what came since, publish it, and catch up on what was missed."""
    return await _run("fold", store_url, config)


@flow(name=f"{PREFIX}plan", retries=0, persist_result=False)
async def plan(store_url: str | None = None, config: str | None = None) -> State[Any]:
    """Solve the linear program for what is left of each budget, and publish its prices."""
    return await _run("plan", store_url, config)


@flow(name=f"{PREFIX}check-alerts", retries=0, persist_result=False)
async def check_alerts(store_url: str | None = None, config: str | None = None) -> State[Any]:
    """Open and close alerts."""
    return await _run("check-alerts", store_url, config)


@flow(name=f"{PREFIX}experiments", retries=0, persist_result=False)
async def experiments(store_url: str | None = None, config: str | None = None) -> State[Any]:
    """Read what came of experiments, act on it, and leave the report of each that is over by that."""
    return await _run("experiments", store_url, config)


@flow(name=f"{PREFIX}retention", retries=0, persist_result=False)
async def retention(store_url: str | None = None, config: str | None = None) -> State[Any]:
    """Move old days into the lake, and let go of what is past its age."""
    return await _run("retention", store_url, config)


FLOWS: Mapping[str, Flow[..., Any]] = {
    name: each
    for name, each in {
        "recalculate": recalculate,
        "fold": fold,
        "plan": plan,
        "check-alerts": check_alerts,
        "experiments": experiments,
        "retention": retention,
    }.items()
    if name in JOBS
}
"""The flow of each job."""


async def _run(name: str, store_url: str | None, config: str | None) -> State[Any]:
    """None leaves it to this process's own environment and folder. What the job raises fails the flow run."""
    stores = {} if store_url is None else {"store": {"url": store_url}}
    settings = load_settings(Path(config) if config else None, os.environ, stores)
    store = make_store(settings)
    await store.open()
    try:
        report = await run_job(name, store, SystemClock(), settings)
    finally:
        await store.close()
    await acreate_markdown_artifact(markdown_of(report), key=f"{PREFIX}{name}", description=report.did)
    for about, page in report.documents.items():
        await acreate_markdown_artifact(page, key=key_of(about), description=about)
    return Completed(name="Skipped" if report.skipped else "Completed", message=report.did)


def key_of(about: str) -> str:
    """What an artifact about this is called: small letters, digits and dashes are all that Prefect takes.

    >>> key_of("experiment team/Try_b")
    'mahavishnu-experiment-team-try-b'
    """
    return f"{PREFIX}{re.sub('[^a-z0-9]+', '-', about.lower()).strip('-')}"


def markdown_of(report: JobReport) -> str:
    r"""A report as a page: what was done, what is different from before, and the table.

    >>> report = JobReport(name="fold", did="Done.", columns=("target",), rows=[{"target": "a|b"}], changes=["New."])
    >>> markdown_of(report)
    '# fold\n\nDone.\n\n## What changed, and why\n\n- New.\n\n| target |\n| --- |\n| a\\|b |\n'
    """
    parts = [f"# {report.name}", report.did]
    if report.changes:
        parts += ["## What changed, and why", "\n".join(f"- {each}" for each in report.changes)]
    if report.rows:
        lines = [report.columns, ["---"] * len(report.columns)]
        lines += [[_cell(row.get(column)) for column in report.columns] for row in report.rows]
        parts.append("\n".join(f"| {' | '.join(each)} |" for each in lines))
    return "\n\n".join(parts) + "\n"


def _cell(value: object) -> str:
    match value:
        case None:
            return "–"
        case float():
            return f"{value:.4g}"
        case _:
            return " ".join(str(value).split()).replace("|", r"\|")
