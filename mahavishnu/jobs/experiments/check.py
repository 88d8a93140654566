"""Experiments: starting them, and the check that reads what came of them and acts when the evidence is there."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from mahavishnu.errors import ExperimentMoved, InvalidExperiment, RecordUnreadable, UnknownName, nearest_name
from mahavishnu.jobs.experiments.evidence import Observations, Verdict, baselines_of
from mahavishnu.jobs.experiments.publication import UNDERWAY, free_in, place_in, publish_ends, same_layer
from mahavishnu.jobs.experiments.reader import Heard, Hearing, page_of
from mahavishnu.jobs.monitoring import alerts
from mahavishnu.jobs.names import Kind, check_known
from mahavishnu.jobs.publishing import Published
from mahavishnu.model import DAY_US
from mahavishnu.model.experiment import EVERY_TYPE, FOLLOWING, Change, Experiment, ExperimentRun, ExperimentStatus
from mahavishnu.model.unreadable import Unreadable
from mahavishnu.plugins import available_policies
from mahavishnu.ports import Clock, Stage, Store
from mahavishnu.settings import Settings
from mahavishnu.storage.unreadable import problem_of

log = logging.getLogger("mahavishnu.experiments")

AFTERWARDS_S = 60.0
"""How much later than it should at the latest the end of a first attempt may come in."""

MOST_BETWEEN_US = DAY_US
"""What counts between two checks at the most: clocks are set, and machines sleep."""


# -- how it comes and goes ---------------------------------------------------------------------------------------------


async def create(store: Store, clock: Clock, experiment: Experiment) -> ExperimentRun:
    """A draft, which nobody is assigned to yet. Raises ExperimentExists."""
    salted = experiment if experiment.salt else replace(experiment, salt=clock.new_id())
    run = ExperimentRun(experiment=salted, created_at_us=clock.now_us())
    await store.create_experiment(run)
    return run


async def start(store: Store, clock: Clock, settings: Settings, name: str, *, force: bool = False) -> ExperimentRun:
    """Every process assigns by it within two seconds. `force`: also on what is not known yet.

    Raises UnknownName, ExperimentMoved where it is no draft any more, and InvalidExperiment where its layer is full.
    """
    while True:
        before = await run_of(store, name)
        if before.status is not ExperimentStatus.DRAFT:
            raise ExperimentMoved(experiment=name, status=before.status.value, wanted=ExperimentStatus.RUNNING.value)
        experiment = before.experiment
        await check_names(store, settings, experiment, force=force)
        offset = await _place(store, experiment)
        since = await store.newest()
        observations = Observations(experiment, baselines_of(experiment, await store.latest(), since))
        now_us = clock.now_us()
        after = replace(
            before,
            revision=before.revision + 1,
            status=ExperimentStatus.RUNNING,
            offset=offset,
            started_at_us=now_us,
            checked_at_us=now_us,
            cursor=since,
            assigned_cursor=since,
            state=observations.kept(),
        )
        if await store.move_experiment(before, after):
            break
    await publish_ends(store, clock)
    return await run_of(store, name)


async def pause(store: Store, clock: Clock, name: str) -> ExperimentRun:
    """Everybody has what the control has, until it goes on. Raises UnknownName, ExperimentMoved."""
    return await _go(store, clock, name, ExperimentStatus.PAUSED, from_=(ExperimentStatus.RUNNING,))


async def resume(store: Store, clock: Clock, name: str) -> ExperimentRun:
    """It goes on; or is over at once, where what was heard during the pause says so.

    Raises UnknownName, ExperimentMoved.
    """
    return await _go(store, clock, name, ExperimentStatus.RUNNING, from_=(ExperimentStatus.PAUSED,))


async def stop(store: Store, clock: Clock, name: str, note: str = "") -> ExperimentRun:
    """It is completed, whatever it has come to. Raises UnknownName, ExperimentMoved."""
    from_ = (ExperimentStatus.DRAFT, *UNDERWAY)
    return await _go(store, clock, name, ExperimentStatus.COMPLETED, from_=from_, note=note or "stopped by hand")


async def _go(
    store: Store,
    clock: Clock,
    name: str,
    wanted: ExperimentStatus,
    *,
    from_: Sequence[ExperimentStatus],
    note: str = "",
) -> ExperimentRun:
    while True:
        before = await run_of(store, name)
        if before.status not in from_ or wanted not in FOLLOWING[before.status]:
            raise ExperimentMoved(experiment=name, status=before.status.value, wanted=wanted.value)
        after = replace(_aged(before, clock.now_us()), status=wanted, note=note)
        if await store.move_experiment(before, _ended(after, clock.now_us())):
            break
    if wanted is ExperimentStatus.RUNNING:
        await _end_if_decided(store, clock, name)
    await publish_ends(store, clock)
    return await run_of(store, name)


async def _end_if_decided(store: Store, clock: Clock, name: str) -> None:
    """Nobody is treated again for an experiment whose evidence was complete while it was paused."""
    run = await run_of(store, name)
    verdict = Observations.resumed(run.experiment, run.state).verdict()
    if run.status is ExperimentStatus.RUNNING and verdict is not None:
        await store.move_experiment(run, _judged(_aged(run, clock.now_us()), verdict, clock.now_us()))


async def run_of(store: Store, name: str) -> ExperimentRun:
    """Raises UnknownName."""
    run = await store.experiment(name)
    if run is None:
        names = [each.name for each in await store.experiments()]
        raise _unknown("experiment", name, names, "mahavishnu experiments list --all")
    return run


def _unknown(kind: str, name: str, known: Iterable[str], see: str) -> UnknownName:
    return UnknownName(kind=kind, name=name, nearest=nearest_name(name, known), see=see)


async def check_names(store: Store, settings: Settings, experiment: Experiment, *, force: bool = False) -> None:
    """Raises UnknownName for a task type, a target or a policy that nothing carries.

    An unknown target would send the treatment nowhere, and no task of an unknown type would take part. `force` accepts
    both, for what is to come later; a policy has to be installed before anything can go by it.
    """
    changes = (experiment.treatment, experiment.control)
    if not force:
        types = [(Kind.TASK_TYPE, name) for name in sorted(experiment.task_types - {EVERY_TYPE})]
        targets = [(Kind.TARGET, name) for name in sorted({name for each in changes for name in _targets_of(each)})]
        await check_known(store, settings, [*types, *targets], forcible=True)
    policies = available_policies()
    for name in sorted({change.policy for change in changes if change.policy is not None} - policies.keys()):
        raise _unknown("policy", name, policies, "mahavishnu doctor")


def _targets_of(change: Change) -> set[str]:
    return {*(change.order or ()), *(name for pair in change.instead for name in pair)}


async def check_layer(store: Store, experiment: Experiment) -> None:
    """Raises InvalidExperiment where its layer has no room for it now."""
    await _place(store, experiment)


async def _place(store: Store, experiment: Experiment) -> float:
    """Where its part of the layer begins. Raises InvalidExperiment where there is no room."""
    known = await store.experiments()
    underway = [run.underway for run in known if run.status in UNDERWAY]
    if known.unreadable:
        # Where it lies in its layer is known from what was published.
        unreadable = {row.name for row in known.unreadable}
        underway += [each for each in (await store.latest()).experiments if each.experiment.name in unreadable]
    layer = same_layer(experiment, underway)
    other = next((each.experiment for each in layer if each.experiment.unit != experiment.unit), None)
    if other is not None:
        raise InvalidExperiment(
            experiment=experiment.name,
            problem=f"it assigns by {experiment.unit}, and {other.name} of its layer {experiment.layer} by "
            f"{other.unit}: they cannot share out the same units; give it another layer",
        )
    offset = place_in(layer, experiment.traffic)
    if offset is None:
        names = ", ".join(sorted(each.experiment.name for each in layer))
        raise InvalidExperiment(
            experiment=experiment.name,
            problem=f"its layer {experiment.layer} has {100 * free_in(layer):.4g} % of the units left in one piece "
            f"beside {names}, and it needs {100 * experiment.traffic:.4g} %; give it less traffic or another layer, or "
            "stop one of those",
        )
    return offset


# -- the check ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Checked:
    """What one check did: the experiments that it looked at, as they stand now, and those that are over by it."""

    runs: Sequence[ExperimentRun]
    ended: Sequence[ExperimentRun]
    outcomes: int
    published: Published
    told: alerts.Checked | None = None
    left_out: Sequence[str] = ()


async def check(store: Store, clock: Clock, settings: Settings) -> Checked:
    """Read what came of every experiment since the last check, end those whose evidence says so, and publish that.

    Two at once act once: what was read and what it has come to are one transaction. Killed in between, the next one
    goes on from there.
    """
    lag_us = round(await _lag_s(store, settings) * 1e6)
    known = await store.experiments()
    left_out = [*map(str, known.unreadable)]
    looks: list[_Look] = []
    for run in known:
        if run.status in UNDERWAY:
            try:
                looks.append(await _look(store, clock, run.name, lag_us))
            except RecordUnreadable as why:
                left_out.append(str(why))
            except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
                left_out.append(str(Unreadable("evidence of experiment", run.name, problem_of(error))))
    for sentence in left_out:
        log.error("%s", sentence)
    ended = [each.run for each in looks if each.ended]
    for run in ended:
        harmful = run.status in (ExperimentStatus.ROLLED_BACK, ExperimentStatus.BROKEN)
        log.log(
            logging.WARNING if harmful else logging.INFO,
            "experiment %s is over (%s): %s", run.name, run.status.value, run.note,
        )  # fmt: skip
    published = await publish_ends(store, clock)
    # At once, and not within a minute; also where it is the end that another process was killed over.
    told = await alerts.check(store, clock, settings.alerts) if ended or published.news else None
    return Checked(
        runs=[each.run for each in looks],
        ended=ended,
        outcomes=sum(each.outcomes for each in looks),
        published=published,
        told=told,
        left_out=left_out,
    )


async def recompute(store: Store, run: ExperimentRun) -> Observations:
    """Everything again from the facts, from its start as far as it was read: equal to what was kept.

    What came in after it was due was missing then, and is taken to be missing now.
    """
    begun = Observations.resumed(run.experiment, run.state)
    unheard = frozenset(begun.unheard)
    observations = Observations(run.experiment, begun.baselines)
    hearing = Hearing(observations)
    since = since_assigned = begun.baselines.since
    while since < run.cursor or since_assigned < run.assigned_cursor:
        page = await page_of(store, run.name, since, since_assigned, upto=run.cursor, upto_assigned=run.assigned_cursor)
        hearing.take(page.without(unheard), stop=False)
        since, since_assigned = page.upto, page.upto_assigned
    return observations


@dataclass(frozen=True, slots=True)
class _Look:
    """One experiment as it stands after having been looked at; `ended` if it was by this that it came to its end."""

    run: ExperimentRun
    ended: bool
    outcomes: int


async def _look(store: Store, clock: Clock, name: str, lag_us: int) -> _Look:
    """Page by page, each kept before the next; where somebody else was faster, from where he has come to."""
    outcomes = 0
    while True:
        run = await run_of(store, name)
        if run.status not in UNDERWAY:
            return _Look(run, ended=False, outcomes=outcomes)
        after, heard, more = await _step(store, clock, run, lag_us)
        if not await store.move_experiment(run, after, heard=heard.heard, assigned=heard.assigned):
            continue
        outcomes += heard.outcomes
        if after.status.over or not more:
            return _Look(after, ended=after.status.over, outcomes=outcomes)


async def _step(store: Store, clock: Clock, run: ExperimentRun, lag_us: int) -> tuple[ExperimentRun, Heard, bool]:
    """How it stands after one more page, what was heard by that, and whether there is more to read."""
    observations = Observations.resumed(run.experiment, run.state)
    verdict, more, now_us = observations.verdict(), False, clock.now_us()
    heard = Heard(upto=run.cursor, upto_assigned=run.assigned_cursor)
    if verdict is None:
        page = await page_of(store, run.name, run.cursor, run.assigned_cursor, before_us=now_us - lag_us)
        hearing = Hearing(
            observations,
            heard=await store.counted_units(run.name, Stage.HEARD, page.units_heard),
            assigned=await store.counted_units(run.name, Stage.ASSIGNED, page.units_assigned),
        )
        heard, verdict, more = hearing.take(page), observations.verdict(), page.more
    after = replace(
        _aged(run, now_us), cursor=heard.upto, assigned_cursor=heard.upto_assigned, state=observations.kept()
    )
    if run.status is ExperimentStatus.PAUSED:
        # A paused one is not moved by evidence; nothing is read past the verdict, which is acted on when it goes on.
        return after, heard, more and verdict is None
    if verdict is None and not more:
        verdict = _out_of_time(after, observations)
    return (after if verdict is None else _judged(after, verdict, now_us)), heard, more


def _aged(run: ExperimentRun, now_us: int) -> ExperimentRun:
    """The next revision, older by the time since the last one, as far as it was running."""
    passed = min(max(now_us - (run.checked_at_us or now_us), 0), MOST_BETWEEN_US)
    running = run.status is ExperimentStatus.RUNNING
    return replace(run, revision=run.revision + 1, checked_at_us=now_us, ran_us=run.ran_us + (passed if running else 0))


def _judged(run: ExperimentRun, verdict: Verdict, now_us: int) -> ExperimentRun:
    return _ended(replace(run, status=verdict.status, note=verdict.note), now_us)


def _ended(run: ExperimentRun, now_us: int) -> ExperimentRun:
    return replace(run, ended_at_us=now_us) if run.status.over else run


def _out_of_time(run: ExperimentRun, observations: Observations) -> Verdict | None:
    experiment = run.experiment
    if run.ran_us < experiment.max_days * DAY_US:
        return None
    reading = observations.reading()
    told = (
        f"ran for its {experiment.max_days:g} days and did no harm that could be told, by {reading.treatment.outcomes} "
        f"treated and {reading.control.outcomes} control outcomes (e-value {reading.worse:.3g} of {reading.needed:.3g})"
    )
    if not experiment.promote:
        return Verdict(status=ExperimentStatus.COMPLETED, note=told)
    note = f"{told}; nor was it better (e-value {reading.better:.3g} of {reading.needed:.3g})"
    return Verdict(status=ExperimentStatus.INCONCLUSIVE, note=note)


async def _lag_s(store: Store, settings: Settings) -> float:
    """After so long the first attempt of a task is over, or its process is, and that is recorded."""
    targets = (*settings.targets.values(), *await store.targets())
    longest_ms = max((settings.attempts.timeout_ms, *(each.timeout_ms or 0 for each in targets)))
    return longest_ms / 1000 + settings.store.lease_s + AFTERWARDS_S
