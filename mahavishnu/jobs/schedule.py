"""The jobs that run on a schedule: when each is due, and one run of one of them, wherever it was begun."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date, timedelta

from mahavishnu.errors import MahavishnuError, RepositoryError, UnknownName, nearest_name
from mahavishnu.jobs import experiments, scores
from mahavishnu.jobs.cron import due_at_us
from mahavishnu.jobs.experiments.evidence import Observations
from mahavishnu.jobs.experiments.report_files import hand_over
from mahavishnu.jobs.monitoring import alerts
from mahavishnu.jobs.planning import publish_prices
from mahavishnu.jobs.publishing import Published
from mahavishnu.jobs.retention import retain
from mahavishnu.model import Snapshot
from mahavishnu.model.experiment import ExperimentRun
from mahavishnu.model.job import Job, JobReport
from mahavishnu.ports import Clock, JobRun, Store
from mahavishnu.redaction import redacted
from mahavishnu.settings import Settings
from mahavishnu.stats.evidence import estimate
from mahavishnu.stats.scoring import Scoring
from mahavishnu.storage.sql.coordination.job_lease import LEASE_S, held

Run = Callable[[Store, Clock, Settings], Awaitable[JobReport]]

GRACE_US = 15 * 60 * 1_000_000
"""How late a job may be before it counts as missed: whoever is there to begin it may be about to."""

COLUMNS = (
    "task_type",
    "target",
    "samples",
    "rate",
    "wilson_lo",
    "wilson_hi",
    "p95_ms",
    "mean_cost_usd",
    "score",
    "trusted",
)


async def run_job(name: str, store: Store, clock: Clock, settings: Settings) -> JobReport:
    """Run a job now, unless it is on its way already in whatever process. Raises UnknownName, or what the job raises.

    Killed at any point, it is run again when its lease is over.
    """
    run = _run_of(name)
    run_id = await store.claim_job(name, LEASE_S)
    if run_id is None:
        return JobReport(name=name, did="Skipped: the same job is on its way in another process.", skipped=True)
    try:
        async with held(store, run_id, clock, name, interrupting=True):
            report = await run(store, clock, settings)
    except BaseException as why:
        # Whoever ends this process may also be the one who wants to run it again at once.
        with suppress(RepositoryError):
            await store.finish_job(run_id, ok=False, note=redacted(str(why)) or type(why).__name__)
        raise
    await store.finish_job(run_id, ok=True, note=report.did)
    return report


def overdue(jobs: Iterable[Job], last_runs: Iterable[JobRun], now_us: int) -> list[Job]:
    """The jobs that should have succeeded since, and have not, as also one that never ran."""
    succeeded = {each.name: each.succeeded_at_us or 0 for each in last_runs}
    return [job for job in jobs if succeeded.get(job.name, 0) < due_at_us(job.cron, now_us - GRACE_US)]


async def missed(store: Store, clock: Clock) -> list[Job]:
    """The jobs that nobody was there to begin. Those that come every few minutes anyway are not caught up."""
    return overdue([job for job in JOBS.values() if job.name in SELDOM], await store.jobs(), clock.now_us())


async def _recalculate(store: Store, clock: Clock, settings: Settings) -> JobReport:
    published = await scores.recalculate(store, clock, settings)
    return _report("recalculate", published, published.after.notes if published.news else (), settings)


async def _fold(store: Store, clock: Clock, settings: Settings) -> JobReport:
    """Catches up on what was missed as well: it is the one job that is always about."""
    published = await scores.fold(store, clock, settings.evidence)
    changes = scores.moved(published.before, published.after)
    for job in await missed(store, clock):
        try:
            report = await run_job(job.name, store, clock, settings)
        except MahavishnuError as why:
            changes.append(f"{job.name} was overdue, and failed: {why}")
        else:
            changes.append(f"{job.name} was overdue: {report.did}")
    return _report("fold", published, changes, settings)


async def _plan(store: Store, clock: Clock, settings: Settings) -> JobReport:
    published = await publish_prices(store, clock, settings)
    changes = published.after.notes if published.news else ()
    did = f"Published snapshot {published.after.version}" if published.news else "No price has moved"
    prices = sorted(published.after.prices.items())
    return JobReport(
        name="plan",
        did=f"{did}; {_counted(len(prices), 'task type')} with a price.",
        columns=("task_type", "successes_per_dollar"),
        rows=[{"task_type": kind, "successes_per_dollar": price} for kind, price in prices],
        changes=changes,
    )


async def _check_alerts(store: Store, clock: Clock, settings: Settings) -> JobReport:
    checked = await alerts.check(store, clock, settings.alerts)
    changes = [f"{each.condition} opened: {each.summary}" for each in checked.opened]
    changes += [f"{each.condition} is over: {each.summary}" for each in checked.closed]
    if checked.untold is not None:
        changes.append(f"the webhook was not told: {checked.untold}")
    changes += checked.left_out
    told = f"opened {_counted(len(checked.opened), 'alert')}, closed {len(checked.closed)}"
    return JobReport(name="check-alerts", did=f"Took in {_counted(checked.facts, 'fact')}, {told}.", changes=changes)


async def _experiments(store: Store, clock: Clock, settings: Settings) -> JobReport:
    checked = await experiments.check(store, clock, settings)
    changes = [f"{run.name} is over ({run.status.value}): {run.note}" for run in checked.ended]
    if checked.told is not None and checked.told.untold is not None:
        changes.append(f"the webhook was not told: {checked.told.untold}")
    changes += checked.left_out
    looked_at, ended = _counted(len(checked.runs), "experiment"), len(checked.ended)
    return JobReport(
        name="experiments",
        did=f"Looked at {looked_at}, by {_counted(checked.outcomes, 'new outcome')}; {ended} came to an end.",
        columns=("experiment", "status", "treated", "control", "worse", "better", "ratio"),
        rows=[_standing(run) for run in checked.runs],
        changes=changes,
        documents=hand_over(checked.ended, settings.experiments.reports),
    )


def _standing(run: ExperimentRun) -> Mapping[str, object]:
    reading = Observations.resumed(run.experiment, run.state).reading()
    return {
        "experiment": run.name,
        "status": run.status.value,
        "treated": reading.treatment.outcomes,
        "control": reading.control.outcomes,
        "worse": reading.worse,
        "better": reading.better,
        "ratio": reading.ratio,
    }


async def _retention(store: Store, clock: Clock, settings: Settings) -> JobReport:
    done = await retain(store, clock, settings)
    return JobReport(
        name="retention",
        did=f"Took {_counted(len(done), 'step')}." if done else "Nothing is old enough.",
        columns=("day", "what", "rows"),
        rows=[{"day": _date(each.day), "what": each.what, "rows": each.rows} for each in done],
    )


_REGISTERED: Sequence[tuple[Job, Run]] = (
    (
        Job(name="recalculate", doc="Score all evidence anew, and publish orders by it.", cron="0 3 * * 0"),
        _recalculate,
    ),
    (Job(name="fold", doc="Add up and publish what came since, and catch up.", cron="*/5 * * * *"), _fold),
    (Job(name="plan", doc="Price what is left of each budget.", cron="*/5 * * * *"), _plan),
    (Job(name="check-alerts", doc="Open and close alerts.", cron="* * * * *"), _check_alerts),
    (
        Job(name="experiments", doc="Read what came of experiments, and act on it.", cron="* * * * *"),
        _experiments,
    ),
    (
        Job(
            name="retention", doc="Move old days into the lake, and let go of what is past its age.", cron="30 2 * * *"
        ),
        _retention,
    ),
)

JOBS: Mapping[str, Job] = {job.name: job for job, _ in _REGISTERED}

SELDOM = frozenset({"recalculate", "retention"})
"""Those that are caught up when they were missed: the others come every few minutes anyway."""

_RUNS: Mapping[str, Run] = {job.name: run for job, run in _REGISTERED}


def _report(name: str, published: Published, changes: Sequence[str], settings: Settings) -> JobReport:
    """What there is to tell of a snapshot beside the one before it."""
    after = published.after
    did = f"Published snapshot {after.version}" if published.news else f"Nothing came since snapshot {after.version}"
    return JobReport(
        name=name,
        did=f"{did}, which has {_counted(len(after.scorecards), 'scorecard')}, up to fact {after.cursor}.",
        columns=COLUMNS,
        rows=_scores(after, scores.scoring_of(settings)),
        changes=tuple(changes),
    )


def _scores(snapshot: Snapshot, scoring: Scoring) -> list[Mapping[str, object]]:
    rows: list[Mapping[str, object]] = []
    for (target, task_type), card in sorted(snapshot.scorecards.items(), key=lambda each: each[0][::-1]):
        seen = estimate(card)
        cost = seen.mean_cost_micros
        known = (seen.samples, seen.rate, seen.wilson_lo, seen.wilson_hi, seen.p95_ms)
        mean_cost_usd = None if cost is None else cost / 1_000_000
        row = (task_type, target, *known, mean_cost_usd, scoring.score(seen), scoring.trusts(seen))
        rows.append(dict(zip(COLUMNS, row, strict=True)))
    return rows


def _date(day: int) -> str:
    """A day, by its number since 1970.

    >>> _date(20_000)
    '2024-10-04'
    """
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _run_of(name: str) -> Run:
    """Raises UnknownName."""
    if name not in _RUNS:
        nearest = nearest_name(name, _RUNS)
        raise UnknownName(kind="job", name=name, nearest=nearest, see="mahavishnu schedule list")
    return _RUNS[name]
