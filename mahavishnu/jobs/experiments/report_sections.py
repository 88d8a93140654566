"""What there is to say of an experiment, in words and tables, whatever it is shown in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mahavishnu.jobs.experiments.plots import evidence_plot, guardrails_plot, shares_plot
from mahavishnu.model import DAY_US
from mahavishnu.model.experiment import (
    BY_TASK,
    EVERY_TYPE,
    Change,
    Experiment,
    ExperimentRun,
    ExperimentStatus,
    Measure,
)
from mahavishnu.model.reading import Arm, GuardrailReading, Reading
from mahavishnu.storage.sql.experiments.recount import recount_query

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

STATUS_WORDS = {
    ExperimentStatus.DRAFT: "It has not been started.",
    ExperimentStatus.RUNNING: "It is running. Nothing has been decided.",
    ExperimentStatus.PAUSED: "It is paused: all units get the control. Outcomes of earlier assignments are still read.",
    ExperimentStatus.ROLLED_BACK: "It was rolled back: the treatment did harm, and no task gets it any more.",
    ExperimentStatus.PROMOTED: "It was promoted: the treatment is published, and all tasks get it.",
    ExperimentStatus.COMPLETED: "It was stopped. It changed nothing that is published.",
    ExperimentStatus.INCONCLUSIVE: "It ran its full time without a result. It changed nothing that is published.",
    ExperimentStatus.BROKEN: "It is broken: units were not assigned or not recorded as planned, so that its outcomes "
    "prove nothing. No task gets the treatment any more.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading, sentences, and what is shown below them. `plots` are SVG; `code` is to be typed as it stands."""

    title: str
    words: tuple[str, ...] = ()
    table: Table | None = None
    plots: tuple[str, ...] = ()
    code: tuple[str, ...] = ()


def title_of(run: ExperimentRun) -> str:
    return f"Experiment {run.name}: {run.status.value.replace('_', ' ')}"


def sections(run: ExperimentRun, reading: Reading | None) -> tuple[Section, ...]:
    """All sections of a report. Without a reading, no outcome has arrived yet."""
    experiment = run.experiment
    found = [
        Section(title="Result", words=tuple(_done(run))),
        Section(title="Plan", words=tuple(_tried(experiment)), table=_changes(experiment)),
    ]
    if reading is None:
        return tuple(found)
    seen = Section(title="Outcomes", words=tuple(_seen(reading)), table=arms_table(reading))
    evidence = Section(
        title="Evidence",
        words=tuple(_proven(experiment, reading)),
        table=guardrails_table(reading.guardrails),
        plots=(evidence_plot(reading), guardrails_plot(reading.guardrails)) if reading.path else (),
    )
    shares = Section(
        title="Assignment",
        words=tuple(_filled(reading)),
        plots=(shares_plot(reading),) if reading.path else (),
    )
    return (found[0], seen, evidence, shares, found[1], _again(run))


def change_words(change: Change) -> str:
    """What is different, in a line.

    >>> change_words(Change(policy="statistical", order=("b", "a"), instead=(("c", "d"),)))
    'policy statistical; order b → a; d instead of c'
    >>> change_words(Change())
    'what is published'
    """
    parts = []
    if change.policy is not None:
        parts.append(f"policy {change.policy}")
    if change.order is not None:
        parts.append(f"order {' → '.join(change.order)}")
    if change.objective is not None:
        parts.append(f"objective {change.objective}")
    parts += [f"{after} instead of {before}" for before, after in change.instead]
    return "; ".join(parts) or "what is published"


def units_words(experiment: Experiment) -> str:
    """Which units are assigned, in a line."""
    unit = (
        "each task"
        if experiment.unit == BY_TASK
        else f"each value of the tag {experiment.unit}, which stays in one arm"
    )
    types = "" if EVERY_TYPE in experiment.task_types else f" of {', '.join(sorted(experiment.task_types))}"
    return f"{share_words(experiment)} of tasks{types} get the treatment; the unit of assignment is {unit}"


def share_words(experiment: Experiment) -> str:
    """
    >>> share_words(Experiment(name="e", treatment=Change(policy="adaptive")))
    '10 %'
    """
    steps = [f"{_percent(each.share)} after {lasting(each.after_s * 1e6)}" for each in experiment.ramp]
    return ", then ".join([_percent(experiment.share), *steps])


def arms_table(reading: Reading) -> Table:
    rows = tuple(_arm(name, arm) for name, arm in (("treatment", reading.treatment), ("control", reading.control)))
    columns = ("arm", "assigned", "outcomes", "successes", "success", "latency_ms", "cost_usd", "quality")
    return Table(columns=columns, rows=rows)


def guardrails_table(guardrails: Sequence[GuardrailReading]) -> Table:
    rows = tuple(
        (each.measure.value, margin_words(each.measure, each.margin), e_words(each.worse), e_words(each.better),
         between(each.lo, each.hi))
        for each in guardrails
    )  # fmt: skip
    return Table(columns=("measure", "margin", "e-value worse", "e-value better", "difference"), rows=rows)


def margin_words(measure: Measure, margin: float) -> str:
    """
    >>> margin_words(Measure.SUCCESS, 0.02), margin_words(Measure.COST, 0.2), margin_words(Measure.COST, 0)
    ('2 points', '20 %', 'none')
    """
    if not margin:
        return "none"
    return f"{100 * margin:.4g} points" if measure.of_rates else _percent(margin)


def e_words(e_value: float) -> str:
    """
    >>> e_words(20.04), e_words(0.00123), e_words(1e12)
    ('20', '0.00123', '1e+12')
    """
    return f"{e_value:.3g}"


def between(lo: float | None, hi: float | None) -> str:
    """
    >>> between(-0.1, 0.005)
    '-10 to +0.5 points'
    """
    if lo is None or hi is None:
        return "–"
    return f"{100 * lo:+.3g} to {100 * hi:+.3g} points"


def _done(run: ExperimentRun) -> Iterator[str]:
    yield STATUS_WORDS[run.status]
    if run.note:
        yield f"Reason: {run.note.rstrip('.')}."
    if run.started_at_us is not None:
        ended = "" if run.ended_at_us is None else f", ended {_at(run.ended_at_us)}"
        yield f"Started {_at(run.started_at_us)}{ended}; it ran for {lasting(run.ran_us)}."
    if run.experiment.owner:
        yield f"Owner: {run.experiment.owner}."


def _tried(experiment: Experiment) -> Iterator[str]:
    if experiment.hypothesis:
        yield f"Hypothesis: {experiment.hypothesis}"
    yield f"{units_words(experiment)}."
    layer = f"It takes {_percent(experiment.traffic)} of the layer {experiment.layer}."
    yield layer if experiment.traffic < 1 else f"It takes the whole layer {experiment.layer}."
    end = "is promoted when it is proven better" if experiment.promote else "is never promoted automatically"
    yield (
        f"Evaluated once the treatment has {experiment.min_evidence} outcomes, at alpha {experiment.alpha:g}, for at "
        f"most {experiment.max_days:g} days. The treatment {end}. The primary measure is {experiment.primary.value}."
    )
    for each in experiment.guardrails:
        if each.limit is not None:
            limit = f"{each.limit:g} ms" if each.measure is Measure.LATENCY else f"${each.limit:g}"
            yield f"Also guarded: how often {each.measure.value} is above {limit}."


def _changes(experiment: Experiment) -> Table:
    rows = (("treatment", change_words(experiment.treatment)), ("control", change_words(experiment.control)))
    return Table(columns=("arm", "uses"), rows=rows)


def _seen(reading: Reading) -> Iterator[str]:
    heard = reading.treatment.outcomes + reading.control.outcomes
    yield f"Read {_counted(heard, 'first outcome')}, {reading.treatment.outcomes:,} of the treatment."
    treated, control = reading.treatment.success, reading.control.success
    if treated is not None and control is not None:
        yield (
            f"Success rate: {_rate(treated)} with the treatment, {_rate(control)} with the control; a difference of "
            f"{100 * (treated - control):+.3g} points."
        )
    if reading.repeated:
        yield f"Not read: {_counted(reading.repeated, 'further outcome')} of units whose first outcome was read before."
    yield (
        "Latency is that of successful outcomes. Cost and quality are those of all outcomes that have them. The column "
        "assigned counts units whose first attempt should have ended by now."
    )


def _proven(experiment: Experiment, reading: Reading) -> Iterator[str]:
    yield (
        f'E-value for "a guarded measure is worse than its margin": {e_words(reading.worse)}. The treatment is rolled '
        f"back at {e_words(reading.needed)}. The e-value may be read at any time and as often as you like: it reaches "
        f"that value without cause with a probability of at most {_percent(experiment.alpha)}."
    )
    acts = experiment.promote
    end = f"Promoted at {e_words(reading.needed)}" if acts else "Informational; no action depends on it"
    yield (f'E-value for "{experiment.primary.value} is not worse than the margin": {e_words(reading.better)}. {end}.')
    if any(each.lo is not None for each in reading.guardrails):
        yield (
            "The difference is treatment minus control. Each end of its interval is wrong, at any time, with a "
            f"probability of at most {_percent(experiment.alpha)}."
        )


def _filled(reading: Reading) -> Iterator[str]:
    if reading.share is not None and reading.expected_share is not None:
        yield (
            f"The treatment has {_rate(reading.share)} of the units with an outcome; the plan is "
            f"{_rate(reading.expected_share)}."
        )
    yield (
        f'E-value for "units were assigned wrongly, or an arm lost records": {e_words(reading.ratio)}. The experiment '
        f"is broken at {e_words(reading.ratio_needed)}."
    )


def _again(run: ExperimentRun) -> Section:
    return Section(
        title="How to recompute this report",
        words=(
            "The query returns every count, rate and mean of the arms, in SQLite and in PostgreSQL. The command "
            "recomputes the e-values from the recorded facts, and says whether they are equal to the last bit.",
        ),
        code=(recount_query(run), f"mahavishnu experiments report {run.name} --recompute"),
    )


def _arm(name: str, arm: Arm) -> tuple[str, ...]:
    return (
        name,
        f"{arm.assigned:,}",
        f"{arm.outcomes:,}",
        f"{arm.successes:,}",
        "–" if arm.success is None else _rate(arm.success),
        "–" if arm.latency_ms is None else f"{arm.latency_ms:.4g}",
        "–" if arm.cost_usd is None else f"{arm.cost_usd:.4g}",
        "–" if arm.quality is None else f"{arm.quality:.4g}",
    )


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _rate(rate: float) -> str:
    return f"{100 * rate:.2f} %"


def _at(at_us: int) -> str:
    return f"{_EPOCH + timedelta(microseconds=at_us):%Y-%m-%d %H:%M:%S} UTC"


def lasting(us: float) -> str:
    """
    >>> lasting(86_400e6), lasting(5_400e6), lasting(90e6)
    ('1 day', '1.5 hours', '1.5 minutes')
    """
    units = (("day", DAY_US), ("hour", DAY_US / 24), ("minute", DAY_US / 1440))
    name, size = next((unit for unit in units if us >= unit[1]), ("second", 1e6))
    number = f"{us / size:.3g}"
    return f"{number} {name}" if number == "1" else f"{number} {name}s"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
