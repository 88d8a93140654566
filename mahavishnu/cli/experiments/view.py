"""Experiments as JSON, as rows, and as lines for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from mahavishnu.cli.common.columns import COMPARISONS, NEEDS
from mahavishnu.cli.common.printing import line, moment, prose, table
from mahavishnu.cli.common.shapes import Shape
from mahavishnu.model.experiment import Change, Experiment, ExperimentRun
from mahavishnu.model.reading import Reading

if TYPE_CHECKING:
    from mahavishnu.jobs.experiments.fixed_sample import Looked
    from mahavishnu.jobs.experiments.prospects import Prospect
    from mahavishnu.jobs.experiments.report_sections import Table
    from mahavishnu.jobs.experiments.simulation import Simulated
    from mahavishnu.stats.fixed import Finding
    from mahavishnu.stats.power import Need


def run_shape(run: ExperimentRun) -> Shape:
    """How it stands, without what the evidence says."""
    return {
        "name": run.name,
        "status": run.status.value,
        "over": run.status.over,
        "note": run.note,
        "created_at": moment(run.created_at_us),
        "started_at": moment(run.started_at_us),
        "ended_at": moment(run.ended_at_us),
        "checked_at": moment(run.checked_at_us),
        "ran_s": run.ran_us / 1e6,
        "revision": run.revision,
        "offset": run.offset,
        "cursor": run.cursor,
        "assigned_cursor": run.assigned_cursor,
        "experiment": experiment_shape(run.experiment),
    }


def experiment_shape(experiment: Experiment) -> Shape:
    return {
        "name": experiment.name,
        "hypothesis": experiment.hypothesis,
        "owner": experiment.owner,
        "unit": experiment.unit,
        "layer": experiment.layer,
        "traffic": experiment.traffic,
        "share": experiment.share,
        "ramp": [asdict(step) for step in experiment.ramp],
        "task_types": sorted(experiment.task_types),
        "treatment": _change_shape(experiment.treatment),
        "control": _change_shape(experiment.control),
        "primary": experiment.primary.value,
        "guardrails": [{**asdict(each), "measure": each.measure.value} for each in experiment.guardrails],
        "promote": experiment.promote,
        "alpha": experiment.alpha,
        "min_evidence": experiment.min_evidence,
        "max_days": experiment.max_days,
    }


def reading_shape(reading: Reading | None, *, path: bool = False) -> Shape | None:
    """What the evidence says; with its `path`, if that is asked for."""
    if reading is None:
        return None
    shape = asdict(reading)
    shape["guardrails"] = [{**asdict(each), "measure": each.measure.value} for each in reading.guardrails]
    if not path:
        del shape["path"]
    return shape


def prospect_shape(found: Prospect) -> Shape:
    return {
        "baseline": found.baseline,
        "detect": found.detect,
        "share": found.share,
        "requests_a_day": found.a_day,
        "watched": need_shape(found.watched, found.days(found.watched)),
        "planned": need_shape(found.planned, found.days(found.planned)),
    }


def need_shape(need: Need, days: float | None) -> Shape:
    return {"treated": need.treated, "requests": need.requests, "days": days}


def looked_shape(found: Looked) -> Shape:
    findings: Mapping[str, Finding | None] = {
        "success": found.success,
        "latency": found.latency,
        "cost": found.cost,
        "quality": found.quality,
    }
    return {
        "treated": found.treated,
        "controls": found.controls,
        **{name: None if each is None else asdict(each) for name, each in findings.items()},
    }


def simulated_shape(found: Simulated) -> Shape:
    return {
        **asdict(found.scenario),
        "runs": found.runs,
        "seed": found.seed,
        "rolled_back": found.rolled_back,
        "rate": found.rate,
        "rate_interval": [found.lo, found.hi],
        "median": found.median,
        "p90": found.p90,
    }


def show_prospect(found: Prospect) -> None:
    prose(
        f"To detect that a success rate of {100 * found.baseline:.3g} % falls by {100 * found.detect:.3g} points, with "
        f"{100 * found.share:.3g} % of the requests in the treatment:"
    )
    line()
    rows = [
        ("checked continuously, detected in half of the cases", *_need_row(found.watched, found.days(found.watched))),
        ("one test of a planned sample", *_need_row(found.planned, found.days(found.planned))),
    ]
    NEEDS.show(rows)
    if found.a_day is None:
        prose("No recent traffic says how long that takes.")
    else:
        prose(f"At {found.a_day:,.4g} requests a day.")


def show_looked(found: Looked, alpha: float) -> None:
    findings = (("success", found.success), ("latency (ln)", found.latency), ("cost (ln)", found.cost))
    rows = [
        (name, each.test, each.difference, each.lo, each.hi, each.p)
        for name, each in (*findings, ("quality", found.quality))
        if each is not None
    ]
    COMPARISONS.show(rows, empty="There are too few outcomes to compare.")
    line()
    prose(
        f"{found.treated:,} treatment and {found.controls:,} control outcomes; intervals at {100 * (1 - alpha):g} %. "
        "These tests are valid once, when a planned sample is complete (mahavishnu experiments power). Repeated "
        "tests raise false alarms; for continuous checks read mahavishnu experiments status."
    )


def show_simulated(found: Simulated) -> None:
    scenario = found.scenario
    rate = f"{100 * found.rate:.1f} % ({100 * found.lo:.1f} to {100 * found.hi:.1f} %)"
    within = f"of {found.runs:,} runs with {scenario.candidates:,} treatment outcomes each"
    if not scenario.harmful:
        prose(f"Rolled back without cause: {rate} {within}.")
        prose(f"Allowed: {100 * scenario.alpha:g} %.")
        return
    prose(f"Rolled back, as intended: {rate} {within}.")
    prose(f"Treatment outcomes until then: median {_level(found.median)}, 90th percentile {_level(found.p90)}.")


def show_table(found: Table) -> None:
    line()
    table(found.columns, found.rows, empty="")


def _level(value: float | None) -> str:
    return "more than were simulated" if value is None else f"{value:,.0f}"


def _change_shape(change: Change) -> Shape:
    return {
        "order": None if change.order is None else list(change.order),
        "policy": change.policy,
        "objective": None if change.objective is None else str(change.objective),
        "instead": dict(change.instead),
    }


def _need_row(need: Need, days: float | None) -> tuple[object, ...]:
    return need.treated, need.requests, None if days is None else round(days, 1)
