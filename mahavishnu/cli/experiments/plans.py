"""mahavishnu experiments power and simulate: what an experiment would take, before there is one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from mahavishnu.cli.common import arguments
from mahavishnu.cli.common.arguments import bad
from mahavishnu.cli.common.completion import task_types
from mahavishnu.cli.common.filters import Filters
from mahavishnu.cli.common.flags import Json, flags_of, with_store
from mahavishnu.cli.common.layout import Group
from mahavishnu.cli.common.printing import emit, line
from mahavishnu.cli.experiments.view import need_shape, prospect_shape, show_prospect, show_simulated, simulated_shape

if TYPE_CHECKING:
    from mahavishnu.jobs.experiments.prospects import Traffic
    from mahavishnu.ports import Store
    from mahavishnu.stats.power import Need

group = Group()

Share = Annotated[float, typer.Option(help="Share of the requests that get the treatment.")]
Power = Annotated[float, typer.Option(help="Probability that one test detects the fall.")]
Alpha = Annotated[float, typer.Option(help="Probability of a false alarm.")]
ADay = Annotated[float | None, typer.Option("--a-day", help="Requests in a day.")]
OfType = Annotated[
    str | None,
    typer.Option(
        "--task-type",
        "-t",
        help="Take the requests in a day from the last seven days of this task type.",
        autocompletion=task_types,
    ),
]


@group.command()
def power(
    ctx: typer.Context,
    baseline: Annotated[
        float | None, typer.Option(help="Success rate now. Default: that of the last seven days, or 0.9.")
    ] = None,
    detect: Annotated[float, typer.Option(help="The fall to detect, such as 0.05 for five points.")] = 0.05,
    margin: Annotated[float, typer.Option(help="Margin of the guardrail. The fall is detected beyond it.")] = 0.0,
    share: Share = 0.1,
    power: Power = 0.8,
    alpha: Alpha = 0.05,
    a_day: ADay = None,
    task_type: OfType = None,
    latency: Annotated[
        bool, typer.Option("--latency", help="Plan for latency or cost instead of success, with --sigma and --factor.")
    ] = False,
    sigma: Annotated[float, typer.Option(help="Standard deviation of its logarithm: about ln(p95/p50)/1.645.")] = 1.0,
    factor: Annotated[float, typer.Option(help="The factor by which it rises.")] = 1.2,
    as_json: Json = False,
) -> None:
    """Compute how many requests an experiment needs, and how long that takes.

    For an experiment that is checked continuously, and for a planned sample that
    is tested once (mahavishnu experiments compare).

    Example: mahavishnu experiments power --baseline 0.9 --detect 0.05 --share 0.1 --a-day 2000
    """
    if a_day is not None and not 0 < a_day < float("inf"):
        raise bad("--a-day", f"must be above 0, not {a_day}")
    known = None if task_type is None else _traffic(ctx, task_type)
    daily = a_day if a_day is not None or known is None else known.a_day or None
    try:
        if latency:
            _tell_times(sigma=sigma, factor=factor, share=share, power=power, alpha=alpha, a_day=daily, as_json=as_json)
            return
        from mahavishnu.jobs.experiments.prospects import BASELINE, prospect

        usual = baseline if baseline is not None or known is None else known.success
        found = prospect(
            baseline=BASELINE if usual is None else usual,
            detect=detect,
            share=share,
            margin=margin,
            power=power,
            alpha=alpha,
            a_day=daily,
        )
    except ValueError as problem:
        raise bad("power", str(problem)) from None
    if as_json:
        emit({**prospect_shape(found), "margin": margin, "power": power, "alpha": alpha})
        return
    show_prospect(found)


@group.command()
def simulate(
    baseline: Annotated[float, typer.Option(help="Success rate of the control.")] = 0.9,
    effect: Annotated[
        float, typer.Option(help="Success rate of the treatment minus that of the control; 0 means no effect.")
    ] = -0.05,
    share: Share = 0.1,
    candidates: Annotated[int, typer.Option(help="Treatment outcomes in each simulated run.")] = 10_000,
    runs: Annotated[int, typer.Option(help="How many runs to simulate.")] = 1_000,
    min_evidence: Annotated[int, typer.Option(help="Evaluated once the treatment has this many outcomes.")] = 100,
    margin: Annotated[float, typer.Option(help="How far the success rate may fall, in points.")] = 0.0,
    alpha: Alpha = 0.05,
    delay: Annotated[float, typer.Option(help="Average delay of an outcome, in tasks.")] = 0.0,
    missing: Annotated[float, typer.Option(help="Share of outcomes that never arrive.")] = 0.0,
    seed: Annotated[int | None, typer.Option(help="Seed of the simulation.")] = None,
    as_json: Json = False,
) -> None:
    """Simulate an experiment with your own rates, 1,000 times.

    Reports how often the experiment is rolled back without cause or, if the
    treatment is worse than its margin allows, how often and how soon.

    Example: mahavishnu experiments simulate --baseline 0.95 --effect -0.03 --share 0.2
    """
    from mahavishnu.jobs.experiments import simulation

    scenario = simulation.Scenario(
        baseline=baseline,
        effect=effect,
        share=share,
        candidates=candidates,
        min_evidence=min_evidence,
        margin=margin,
        alpha=alpha,
        delay=delay,
        missing=missing,
    )
    drawn_by = arguments.seed(seed)
    with _bar(runs) as progress:
        found = simulation.simulate(scenario, runs=runs, seed=1 if drawn_by is None else drawn_by, progress=progress)
    if as_json:
        emit(simulated_shape(found))
        return
    show_simulated(found)


def _traffic(ctx: typer.Context, task_type: str) -> Traffic:
    settings = flags_of(ctx).settings()

    async def ask(store: Store) -> Traffic:
        from mahavishnu.engine.clock import SystemClock
        from mahavishnu.jobs.experiments.prospects import traffic

        found = await traffic(store, SystemClock(), {task_type})
        if not found.a_day:
            await Filters(task_type=task_type).check(store, settings)
        return found

    return with_store(ctx, ask, make=False)


def _tell_times(
    *, sigma: float, factor: float, share: float, power: float, alpha: float, a_day: float | None, as_json: bool
) -> None:
    from mahavishnu.stats.power import needed_for_times

    need: Need = needed_for_times(sigma=sigma, factor=factor, share=share, power=power, alpha=alpha)
    days = None if a_day is None else need.days(a_day)
    if as_json:
        planned = need_shape(need, days)
        emit({"sigma": sigma, "factor": factor, "share": share, "power": power, "alpha": alpha, "planned": planned})
        return
    lasting = "" if days is None else f", {days:.1f} days at {a_day:,.0f} a day"
    line(
        f"One look at {need.requests:,} requests ({need.treated:,} treated{lasting}) finds latencies or costs that are "
        f"{factor:g} times as high in {100 * power:g} % of cases."
    )


@contextmanager
def _bar(runs: int) -> Iterator[Callable[[int], None] | None]:
    """A bar on stderr that grows with the runs, where somebody is looking."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Drawing …", total=runs)
        yield lambda done: progress.update(task, completed=done)
