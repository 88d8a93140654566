"""mahavishnu experiments start, pause, resume, stop and check: a change tried on a share of the tasks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from mahavishnu.cli.common.arguments import bad
from mahavishnu.cli.common.completion import experiment_names
from mahavishnu.cli.common.flags import Force, Json, flags_of, with_store
from mahavishnu.cli.common.layout import Group
from mahavishnu.cli.common.printing import emit, line, prose, waiting
from mahavishnu.cli.experiments import options as options
from mahavishnu.cli.experiments.view import (
    prospect_shape,
    run_shape,
    show_prospect,
)
from mahavishnu.model.experiment import ExperimentRun, ExperimentStatus

if TYPE_CHECKING:
    from mahavishnu.jobs.experiments import Checked
    from mahavishnu.jobs.experiments.prospects import Prospect
    from mahavishnu.ports import Clock, Store

group = Group(help="Compare a change with what is published, on a share of the tasks.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name.", autocompletion=experiment_names)]


@group.command()
def start(
    ctx: typer.Context,
    name: Name,
    task_type: options.TaskTypes = None,
    order: options.Order = None,
    policy: options.PolicyName = None,
    objective: options.ForObjective = None,
    weights: options.Weights = None,
    swap: options.Swap = None,
    control_order: options.ControlOrder = None,
    control_policy: options.ControlPolicy = None,
    control_objective: options.ControlObjective = None,
    control_swap: options.ControlSwap = None,
    share: options.Share = None,
    ramp: options.Ramp = None,
    unit: options.Unit = None,
    layer: options.Layer = None,
    traffic: options.OfTraffic = None,
    primary: options.Primary = None,
    guardrail: options.Guardrails = None,
    promote: options.Promote = None,
    alpha: options.Alpha = None,
    min_evidence: options.MinEvidence = None,
    max_days: options.MaxDays = None,
    owner: options.Owner = None,
    hypothesis: options.Hypothesis = None,
    file: options.File = None,
    detect: Annotated[
        float | None, typer.Option(help="The fall of the success rate to plan for. Default: 0.05.")
    ] = None,
    draft: Annotated[bool, typer.Option("--draft", help="Save it without starting it.")] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Start an experiment, or start a draft by its name.

    The treatment changes the order, the policy, the objective, or replaces one
    target by another. The control uses what is published. A share of the units is
    assigned to the treatment at random and stays there. If the treatment harms
    success, or another guarded measure, the experiment rolls back by itself.

    Example: mahavishnu experiments start try-b -t summarise --swap a=b --share 0.1 --guardrail latency:0.2
    """
    typed = {
        "task_types": task_type,
        "order": order,
        "policy": policy,
        "objective": objective,
        "weights": weights,
        "swap": swap,
        "control_order": control_order,
        "control_policy": control_policy,
        "control_objective": control_objective,
        "control_swap": control_swap,
        "share": share,
        "ramp": ramp,
        "unit": unit,
        "layer": layer,
        "traffic": traffic,
        "primary": primary,
        "guardrails": guardrail,
        "promote": promote,
        "alpha": alpha,
        "min_evidence": min_evidence,
        "max_days": max_days,
        "owner": owner,
        "hypothesis": hypothesis,
    }
    anything = file is not None or any(value not in (None, []) for value in typed.values())
    wanted = options.read_experiment(name, file, typed) if anything else None
    if wanted is None and draft:
        raise bad("--draft", "say what the treatment changes: --order, --policy, --objective or --swap")
    settings = flags_of(ctx).settings()

    async def act(store: Store) -> tuple[ExperimentRun, Prospect]:
        from mahavishnu.engine.clock import SystemClock
        from mahavishnu.jobs import experiments
        from mahavishnu.jobs.experiments.prospects import prospect_of

        clock = SystemClock()
        experiment = wanted if wanted is not None else (await known(store, name)).experiment
        expected = await prospect_of(store, clock, experiment, detect)
        if wanted is not None:
            # A name is never used again: what cannot start must not take one.
            await experiments.check_names(store, settings, wanted, force=force)
            if not draft:
                await experiments.check_layer(store, wanted)
            made = await experiments.create(store, clock, wanted)
        if not as_json:
            show_prospect(expected)
        if wanted is not None and draft:
            return made, expected
        return await experiments.start(store, clock, settings, name, force=force), expected

    run, expected = with_store(ctx, act)
    if as_json:
        emit({**run_shape(run), "prospect": prospect_shape(expected)})
        return
    line()
    prose(f"Experiment {run.name} is {'saved as a draft' if run.status is ExperimentStatus.DRAFT else 'running'}.")


@group.command()
def pause(
    ctx: typer.Context,
    name: Name,
    as_json: Json = False,
) -> None:
    """Pause an experiment: all units get the control until it is resumed.

    Example: mahavishnu experiments pause try-b
    """

    from mahavishnu.jobs import experiments

    _move(ctx, lambda store, clock: experiments.pause(store, clock, name), as_json=as_json)


@group.command()
def resume(
    ctx: typer.Context,
    name: Name,
    as_json: Json = False,
) -> None:
    """Resume a paused experiment. Each unit keeps the arm that it had.

    Example: mahavishnu experiments resume try-b
    """

    from mahavishnu.jobs import experiments

    _move(ctx, lambda store, clock: experiments.resume(store, clock, name), as_json=as_json)


@group.command()
def stop(
    ctx: typer.Context,
    name: Name,
    why: Annotated[str, typer.Option("--note", help="The reason, for the report.")] = "",
    as_json: Json = False,
) -> None:
    """End an experiment. Nothing of its treatment is published.

    Example: mahavishnu experiments stop try-b --note "we know enough"
    """

    from mahavishnu.jobs import experiments

    _move(ctx, lambda store, clock: experiments.stop(store, clock, name, why), as_json=as_json)


@group.command()
def check(
    ctx: typer.Context,
    as_json: Json = False,
) -> None:
    """Read the outcomes since the last check, and act on what they prove.

    The schedule does this every minute (mahavishnu schedule serve).

    Example: mahavishnu experiments check
    """
    settings = flags_of(ctx).settings()

    async def act(store: Store) -> Checked:
        from mahavishnu.engine.clock import SystemClock
        from mahavishnu.jobs import experiments

        return await experiments.check(store, SystemClock(), settings)

    with waiting("Reading …"):
        found = with_store(ctx, act)
    if as_json:
        runs, ended = ([run_shape(each) for each in some] for some in (found.runs, found.ended))
        version = found.published.after.version
        emit({"outcomes": found.outcomes, "experiments": runs, "ended": ended, "version": version})
        return
    read = _counted(found.outcomes, "outcome")
    prose(f"Read {read} of {_counted(len(found.runs), 'experiment')}; {len(found.ended)} ended.")
    for each in found.ended:
        prose(f"{each.name} is {each.status.value.replace('_', ' ')}: {each.note}.")
    if found.published.news:
        prose(f"Published snapshot {found.published.after.version}.")


async def known(store: Store, name: str) -> ExperimentRun:
    """Raises UnknownName."""
    from mahavishnu.jobs.experiments import run_of

    return await run_of(store, name)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _move(ctx: typer.Context, move: Callable[[Store, Clock], Awaitable[ExperimentRun]], *, as_json: bool) -> None:
    """Have it go where it is to go, and say where it is then."""

    async def act(store: Store) -> ExperimentRun:
        from mahavishnu.engine.clock import SystemClock

        return await move(store, SystemClock())

    run = with_store(ctx, act, make=False)
    if as_json:
        emit(run_shape(run))
        return
    prose(f"Experiment {run.name} is {run.status.value.replace('_', ' ')}.")
