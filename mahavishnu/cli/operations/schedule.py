"""mahavishnu schedule: the jobs that keep what is known up to date, when they run, and where."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from mahavishnu.cli.common.columns import SCHEDULE
from mahavishnu.cli.common.exits import end_badly
from mahavishnu.cli.common.flags import Json, Wide, flags_of, if_stopped, with_store
from mahavishnu.cli.common.foreground import asked_to_stop, running, stay
from mahavishnu.cli.common.layout import Group
from mahavishnu.cli.common.printing import emit, flush, line, moment, note, prose, table, waiting
from mahavishnu.cli.common.shapes import Shape
from mahavishnu.cli.operations import schedule_place
from mahavishnu.cli.targets.sandbox_processes import PAUSE_S, SandboxProcess, free_port
from mahavishnu.errors import AdapterError, Crashed

if TYPE_CHECKING:
    from mahavishnu.model.job import Job, JobReport
    from mahavishnu.ports import JobRun, Scheduler, Store, Upcoming

T = TypeVar("T")

PLANS_WITHIN_S = 60.0
"""How long a server may take to plan the next runs of what it was just given."""

ApiUrl = Annotated[
    str | None,
    typer.Option(
        "--api-url",
        metavar="URL",
        help="The Prefect server, such as http://127.0.0.1:4200/api. Default: the configured one.",
    ),
]

group = Group(help="Run the scheduled jobs that keep statistics, orders and alerts up to date.")


@group.command()
def serve(
    ctx: typer.Context,
    api_url: ApiUrl = None,
    for_s: Annotated[
        float | None, typer.Option("--for", metavar="SECONDS", min=0, help="Stop after this time instead of at Ctrl-C.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the scheduled jobs in this process when they are due, until Ctrl-C.

    Prefect keeps the schedule: the server that is named or configured, or one
    that is started here, with its data in mahavishnu-schedule beside the store.
    Jobs that were missed run at once. With --json, one object on stdout when all
    is ready; everything else goes to stderr.

    Example: mahavishnu schedule serve --api-url http://127.0.0.1:4200/api
    """
    from mahavishnu.jobs.schedule import JOBS

    flags = flags_of(ctx)
    settings = flags.settings()
    folder = schedule_place.made_folder_of(settings)
    scheduler = schedule_place.scheduler_of(flags, settings, schedule_place.named(api_url, settings))
    own = schedule_place.named(api_url, settings) is None
    with asked_to_stop(), schedule_place.alone(folder), ExitStack() as stack:
        if not own:
            # One that is not there is better told of now than by the log of what is started on it.
            _ask(scheduler, lambda each: each.upcoming())
        note("Starting …")
        processes: list[SandboxProcess] = []
        if own:
            scheduler, program = scheduler.on_its_own(folder, free_port())
            processes.append(stack.enter_context(running(program, folder)))
        else:
            stack.callback(_pause, scheduler)
        processes.append(stack.enter_context(running(scheduler.serving(list(JOBS.values()), folder), folder)))
        stack.enter_context(schedule_place.announced(folder, scheduler.url))
        idle = _ask(scheduler, lambda each: _seen(each, list(JOBS)))
        if idle:
            note(_warning(scheduler, idle))
        caught_up = _catch_up(ctx, scheduler)
        _say_ready(scheduler, folder, list(JOBS), caught_up, as_json=as_json)
        until_s = None if for_s is None else time.monotonic() + for_s
        stay(lambda: _over(processes, until_s))
        note("Stopping …")
    note("Stopped. Jobs that fall due from now on are made up for when it runs again: mahavishnu schedule serve")


@group.command()
def deploy(
    ctx: typer.Context,
    work_pool: Annotated[str, typer.Option(metavar="POOL", help="The work pool whose workers run the jobs.")],
    api_url: ApiUrl = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="Working folder of the workers, which holds their configuration. Default: this folder."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Let the workers of a Prefect work pool run the scheduled jobs.

    The password of the store is not passed on: set MAHAVISHNU_STORE_PASSWORD where
    the workers run.

    Example: mahavishnu schedule deploy --work-pool mahavishnu
    """
    from mahavishnu.jobs.schedule import JOBS

    flags = flags_of(ctx)
    settings = flags.settings()
    scheduler = schedule_place.scheduler_of(flags, settings, schedule_place.known(api_url, settings), folder=folder)
    with waiting("Deploying …"):
        names = _ask(scheduler, lambda each: each.deploy(list(JOBS.values()), work_pool, str(folder or Path.cwd())))
    if as_json:
        emit({"api_url": scheduler.url, "work_pool": work_pool, "deployments": list(names)})
        return
    for name in names:
        prose(f"Deployed {name}.")
    line(f"To start a worker that runs them: prefect worker start --pool {work_pool}")


@group.command("list")
def list_(
    ctx: typer.Context,
    api_url: ApiUrl = None,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """List the scheduled jobs: when each runs next, and when it last succeeded.

    Exits with 1 if a job has no next run although the server is healthy.

    Example: mahavishnu schedule list --json
    """
    from mahavishnu.jobs.schedule import JOBS

    flags = flags_of(ctx)
    settings = flags.settings()
    scheduler = schedule_place.scheduler_of(flags, settings, schedule_place.known(api_url, settings))
    with waiting("Asking Prefect …"):
        found = _ask(scheduler, lambda each: each.upcoming())
    last = {each.name: each for each in with_store(ctx, lambda store: store.jobs(), make=False)}
    shapes = [shape for job in JOBS.values() for shape in _shapes(job, found, last.get(job.name))]
    if as_json:
        emit(shapes)
    else:
        SCHEDULE.show([_row(each) for each in shapes], empty="There is no job.", wide=wide)
    idle = [job for job in JOBS if not any(each["next"] for each in shapes if each["job"] == job)]
    if idle:
        end_badly(_warning(scheduler, idle), code="job-not-scheduled", as_json=as_json)


@group.command()
def run(
    ctx: typer.Context,
    job: Annotated[str, typer.Argument(metavar="JOB", help="The name of the job, from mahavishnu schedule list.")],
    as_json: Json = False,
) -> None:
    """Run one job now, in this process, without Prefect.

    The job is skipped if another process is running it.

    Example: mahavishnu schedule run recalculate
    """
    from mahavishnu.engine.clock import SystemClock
    from mahavishnu.jobs.schedule import run_job

    settings = flags_of(ctx).settings()

    async def act(store: Store) -> JobReport:
        return await run_job(job, store, SystemClock(), settings)

    if_stopped(ctx, "what it wrote stays, and the next run of the job continues from there.")
    with waiting(f"Running {job} …"):
        report = with_store(ctx, act)
    if as_json:
        emit(
            {
                "job": report.name,
                "did": report.did,
                "skipped": report.skipped,
                "changes": list(report.changes),
                "rows": [dict(each) for each in report.rows],
            }
        )
        return
    line(report.did)
    for change in report.changes:
        line(f"  {change}")
    if report.rows:
        line()
        table(report.columns, [[row.get(each) for each in report.columns] for row in report.rows], empty="")


# -- while they are served ---------------------------------------------------------------------------------------------


async def _seen(scheduler: Scheduler, jobs: Sequence[str]) -> list[str]:
    """The jobs of which no run is seen to be scheduled, though the server was given the time that it takes."""
    until_s = time.monotonic() + PLANS_WITHIN_S
    while True:
        found = await scheduler.upcoming()
        idle = [job for job in jobs if not any(each.at_us for each in found if each.job == job)]
        if not idle or time.monotonic() > until_s:
            return idle
        await asyncio.sleep(PAUSE_S)


def _catch_up(ctx: typer.Context, scheduler: Scheduler) -> list[str]:
    """Have what was missed run at once; returns which."""
    from mahavishnu.engine.clock import SystemClock
    from mahavishnu.jobs.schedule import missed

    names = [each.name for each in with_store(ctx, lambda store: missed(store, SystemClock()))]

    async def act(each: Scheduler) -> None:
        for name in names:
            await each.trigger(name)

    _ask(scheduler, act)
    return names


def _pause(scheduler: Scheduler) -> None:
    """A server that goes on without us is told to wait."""
    try:
        _ask(scheduler, lambda each: each.pause())
    except AdapterError as why:
        note(f"The schedules could not be paused, and runs will pile up as late: {why}")


def _say_ready(scheduler: Scheduler, folder: Path, jobs: list[str], caught_up: list[str], *, as_json: bool) -> None:
    if as_json:
        emit({"api_url": scheduler.url, "folder": str(folder), "jobs": jobs, "caught_up": caught_up})
    else:
        prose(f"Ready: {', '.join(jobs)} run here, on the schedule of {scheduler.url}; logs are in {folder}.")
        if caught_up:
            prose(f"Overdue, and started now: {', '.join(caught_up)}.")
        prose("When they run next: mahavishnu schedule list. Ctrl-C stops them all.")
    flush()


def _warning(scheduler: Scheduler, idle: Sequence[str]) -> str:
    return (
        f"{scheduler.url} is well, but has no next run of {', '.join(idle)}: run mahavishnu schedule serve, or "
        "mahavishnu schedule deploy; where one of them has been run, look into the server's log for what keeps its "
        "scheduler from working."
    )


def _over(processes: Sequence[SandboxProcess], until_s: float | None) -> bool:
    """Raises Crashed when one of them has ended by itself."""
    for each in processes:
        if each.ended is not None:
            raise Crashed(f"{each.name} ended with {each.ended}; see {each.log}, and start it again")
    return until_s is not None and time.monotonic() >= until_s


def _ask(scheduler: Scheduler, action: Callable[[Scheduler], Awaitable[T]]) -> T:
    async def act() -> T:
        try:
            return await action(scheduler)
        finally:
            await scheduler.close()

    return asyncio.run(act())


# -- what is said ------------------------------------------------------------------------------------------------------


def _shapes(job: Job, found: Sequence[Upcoming], last: JobRun | None) -> list[Shape]:
    """One for each deployment of a job; one all the same where it has none."""
    its = [each for each in found if each.job == job.name]
    return [_shape(job, each, last) for each in its] or [_shape(job, None, last)]


def _shape(job: Job, upcoming: Upcoming | None, last: JobRun | None) -> Shape:
    return {
        "job": job.name,
        "cron": job.cron,
        "deployment": upcoming.name if upcoming else None,
        "active": upcoming.active if upcoming else False,
        "next": [moment(each) for each in upcoming.at_us] if upcoming else [],
        "last_started": moment(last.started_at_us) if last else None,
        "last_succeeded": moment(last.succeeded_at_us) if last else None,
        "last_note": last.note if last else None,
    }


def _row(shape: Shape) -> list[object]:
    """As its line in the table."""
    ahead = ", ".join(_to_the_second(each) for each in shape["next"])
    last = shape["last_succeeded"]
    named = [shape[column] for column in ("job", "cron", "deployment", "active")]
    return [*named, ahead or None, last and _to_the_second(last)]


def _to_the_second(at: str) -> str:
    """Nothing is planned more finely.

    >>> _to_the_second("2026-11-22T03:00:00.000000Z")
    '2026-11-22T03:00:00Z'
    """
    return f"{at[:19]}Z"
