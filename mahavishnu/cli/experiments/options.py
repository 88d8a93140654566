"""An experiment as it is typed: its options, and its file, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mahavishnu.cli.common import amounts
from mahavishnu.cli.common.arguments import bad, pairs
from mahavishnu.cli.common.completion import objectives, target_names, task_types
from mahavishnu.cli.common.objective_option import read_objective
from mahavishnu.errors import did_you_mean, nearest_name
from mahavishnu.model.experiment import Change, Experiment, Guardrail, Measure, Step
from mahavishnu.model.objective import objective_of

ORDERED_BY = "statistical"
"""The policy that goes by an order where nobody names another one."""

TaskTypes = Annotated[
    list[str] | None,
    typer.Option(
        "--task-type",
        "-t",
        help="Only tasks of this type take part. Default: all types. Repeatable.",
        autocompletion=task_types,
    ),
]
Order = Annotated[str | None, typer.Option(metavar="A,B,C", help="Preference order of the treatment.")]
PolicyName = Annotated[str | None, typer.Option(metavar="POLICY", help="Policy of the treatment.")]
ForObjective = Annotated[
    str | None,
    typer.Option(metavar="WORD|WEIGHTS", help="Objective of the treatment.", autocompletion=objectives),
]
Weights = Annotated[
    str | None,
    typer.Option(metavar="WEIGHTS", help="Objective of the treatment as weights, such as success=0.6,cost=0.4."),
]
Swap = Annotated[
    list[str] | None,
    typer.Option(
        metavar="A=B", help="The treatment uses target B in place of target A. Repeatable.", autocompletion=target_names
    ),
]
ControlOrder = Annotated[str | None, typer.Option(metavar="A,B,C", help="The control's, if not what is published.")]
ControlPolicy = Annotated[str | None, typer.Option(metavar="POLICY", help="The control's, if not what is published.")]
ControlObjective = Annotated[
    str | None, typer.Option(metavar="WORD|WEIGHTS", help="The control's, if not what is published.")
]
ControlSwap = Annotated[list[str] | None, typer.Option(metavar="A=B", help="The control's. Repeatable.")]
Share = Annotated[float | None, typer.Option(help="Share of the units that get the treatment. Default: 0.1.")]
Ramp = Annotated[
    str | None,
    typer.Option(
        metavar="AFTER=SHARE,…", help="How the share grows, such as 1h=.2,1d=.5: 20 % after an hour, 50 % after a day."
    ),
]
Unit = Annotated[
    str | None,
    typer.Option(metavar="task|TAG", help="The unit that is assigned: each task, or the value of a tag such as user."),
]
Layer = Annotated[str | None, typer.Option(help="Experiments in the same layer never share a unit.")]
OfTraffic = Annotated[
    float | None, typer.Option("--traffic", help="Share of its layer that takes part, up to 1. Default: all of it.")
]
Primary = Annotated[
    str | None, typer.Option(metavar="MEASURE", help="The measure that is to improve. Default: success.")
]
Guardrails = Annotated[
    list[str] | None,
    typer.Option(
        "--guardrail",
        metavar="MEASURE[:MARGIN[:LIMIT]]",
        help="A measure that must not get worse by more than MARGIN: points of success or quality "
        "(0.02), or a share of latency or cost (0.2). LIMIT is an upper bound in ms or "
        "dollars. Repeatable.",
    ),
]
Promote = Annotated[
    bool | None, typer.Option("--promote/--no-promote", help="Publish the treatment when it is proven better.")
]
Alpha = Annotated[float | None, typer.Option(help="Highest probability of a rollback without cause. Default: 0.05.")]
MinEvidence = Annotated[
    int | None, typer.Option(help="Evaluated once the treatment has this many outcomes. Default: 100.")
]
MaxDays = Annotated[float | None, typer.Option(help="Longest run time in days. Default: 28.")]
Owner = Annotated[str | None, typer.Option(help="The person or team that is told how it ends.")]
Hypothesis = Annotated[str | None, typer.Option(metavar="TEXT", help="What you expect, and why.")]
File = Annotated[
    Path | None,
    typer.Option(
        "--file", metavar="FILE", help="A TOML file with the experiment. Options on the command line override it."
    ),
]


def read_experiment(name: str, file: Path | None, typed: Mapping[str, Any]) -> Experiment:
    """What stands in the file, if there is one, and over it what was typed. Raises a usage error, or InvalidExperiment.

    `typed` are the options by their names here, those of the control with `control_` before them.
    """
    written = _written(file)
    given = {field: value for field, value in typed.items() if value not in (None, [])}
    wanted = {
        field: given.get(field, written.get(field))
        for field in (
            "share",
            "unit",
            "layer",
            "traffic",
            "promote",
            "alpha",
            "min_evidence",
            "max_days",
            "owner",
            "hypothesis",
        )
    }
    wanted["task_types"] = _set(given.get("task_types", written.get("task_types")))
    wanted["ramp"] = _ramp(given["ramp"]) if "ramp" in given else _steps(written.get("ramp"))
    primary = given.get("primary", written.get("primary"))
    wanted["primary"] = None if primary is None else _measure(primary, "--primary")
    rails = [_guardrail(each) for each in given.get("guardrails", ())] or [
        Guardrail(**{**each, "measure": _measure(each["measure"], "--file")}) for each in written.get("guardrails", ())
    ]
    wanted["guardrails"] = _guardrails(rails, wanted["primary"] or Measure.SUCCESS)
    return Experiment(
        name=name,
        treatment=_change(written.get("treatment", {}), given, ""),
        control=_change(written.get("control", {}), given, "control_"),
        **{field: value for field, value in wanted.items() if value is not None},
    )


def _written(file: Path | None) -> Mapping[str, Any]:
    if file is None:
        return {}
    # Slow to import, and only needed here.
    from mahavishnu.cli.experiments.experiment_file import read_file

    return read_file(file)


def _change(table: Mapping[str, Any], given: Mapping[str, Any], whose: str) -> Change:
    order, weights = given.get(f"{whose}order"), given.get(f"{whose}weights")
    objective = given.get(f"{whose}objective")
    if objective is not None and weights is not None:
        raise bad("--weights", "give either --objective or --weights")
    named = tuple(each.strip() for each in order.split(",")) if order is not None else table.get("order")
    if named is not None and not all(named):
        raise bad(f"--{whose.replace('_', '-')}order", f"must be names with commas between them, not {order!s:.80}")
    policy = given.get(f"{whose}policy", table.get("policy"))
    typed = weights if weights is not None else objective
    written = None if table.get("objective") is None else objective_of(table["objective"])
    swaps = _swaps(given.get(f"{whose}swap"), f"--{whose.replace('_', '-')}swap") or table.get("instead", {})
    return Change(
        order=None if named is None else tuple(named),
        policy=ORDERED_BY if policy is None and named is not None else policy,
        objective=written if typed is None else read_objective(typed),
        instead=tuple(swaps.items()),
    )


def _swaps(given: Sequence[str] | None, argument: str) -> Mapping[str, str]:
    if odd := [each for each in given or () if not all(each.partition("="))]:
        raise bad(argument, f"must look like a=b, for b to be tried where a is, not {odd[0]:.80}")
    return pairs(given, argument)


def _set(given: Sequence[str] | None) -> frozenset[str] | None:
    return None if given is None else frozenset(given)


def _ramp(given: str) -> tuple[Step, ...]:
    """The steps of `1h=.2,1d=.5`.

    >>> _ramp("1h=.2, 1d=.5")
    (Step(after_s=3600.0, share=0.2), Step(after_s=86400.0, share=0.5))
    """
    steps: dict[str, float] = {}
    for after, share in pairs([each.strip() for each in given.split(",")], "--ramp").items():
        steps[after] = _number(share, "--ramp")
    return _steps(steps) or ()


def _steps(ramp: Mapping[str, float] | None) -> tuple[Step, ...] | None:
    if ramp is None:
        return None
    return tuple(Step(after_s=float(amounts.seconds(after, "--ramp")), share=share) for after, share in ramp.items())


def _guardrail(given: str) -> Guardrail:
    """
    >>> _guardrail("latency:0.2:2000") == Guardrail(measure=Measure.LATENCY, margin=0.2, limit=2000.0)
    True
    """
    name, *numbers = given.split(":")
    if len(numbers) > 2:
        raise bad("--guardrail", f"must look like measure, measure:margin or measure:margin:limit, not {given:.80}")
    margin, limit = ([_number(each, "--guardrail") for each in numbers] + [None, None])[:2]
    return Guardrail(measure=_measure(name, "--guardrail"), margin=margin or 0.0, limit=limit)


def _guardrails(given: Sequence[Guardrail], primary: Measure) -> tuple[Guardrail, ...]:
    """The primary measure is watched, whether or not somebody says so."""
    found = tuple(given)
    return found if any(each.measure is primary for each in found) else (Guardrail(measure=primary), *found)


def _measure(given: str, argument: str) -> Measure:
    try:
        return Measure(given.strip().lower())
    except ValueError:
        nearest = nearest_name(given, Measure)
        known = ", ".join(Measure)
        raise bad(argument, f'"{given:.80}" is none of {known}{did_you_mean(nearest)}') from None


def _number(given: str, argument: str) -> float:
    try:
        return float(given)
    except ValueError:
        raise bad(argument, f"must have numbers such as 0.02 in it, not {given:.40}") from None
