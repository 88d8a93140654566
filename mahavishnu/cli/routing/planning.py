"""mahavishnu routing plan, frontier, hints, set-strategy and strategies: what to be good at, and for how much."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mahavishnu.cli.common import amounts, arguments
from mahavishnu.cli.common.arguments import bad, write
from mahavishnu.cli.common.columns import FRONTIER, PLAN, STRATEGIES
from mahavishnu.cli.common.completion import task_types
from mahavishnu.cli.common.filters import Filters
from mahavishnu.cli.common.flags import Force, Json, Wide, flags_of, with_store
from mahavishnu.cli.common.layout import Group
from mahavishnu.cli.common.objective_option import read_objective
from mahavishnu.cli.common.printing import emit, line, note, prose
from mahavishnu.cli.common.shapes import Shape
from mahavishnu.cli.routing import frontier_view
from mahavishnu.model import Period

if TYPE_CHECKING:
    from mahavishnu.jobs.planning import Planned
    from mahavishnu.jobs.publishing import Published
    from mahavishnu.model.plan import Frontier
    from mahavishnu.planning.hints import Hint
    from mahavishnu.planning.terms import Promise
    from mahavishnu.ports import Store

group = Group()

TaskType = Annotated[str, typer.Argument(metavar="TASK_TYPE", help="The task type.", autocompletion=task_types)]

_A_DAY = {Period.HOUR: 24.0, Period.DAY: 1.0, Period.WEEK: 1 / 7, Period.MONTH: 1 / 30}


@group.command("set-strategy")
def set_strategy(
    ctx: typer.Context,
    task_type: TaskType,
    objective: Annotated[
        str | None,
        typer.Argument(metavar="OBJECTIVE", help="One of latency, cost, success, quality, balanced, weighted."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="WEIGHTS", help="Weights instead of a word, such as success=0.6,cost=0.4.")
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Restore the previous strategy.")] = False,
    clear: Annotated[
        bool, typer.Option("--clear", help="Remove the strategy, so that the weights of the policy apply.")
    ] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Set the objective for a task type.

    The strategy is published as a snapshot, and every process uses it within two
    seconds. A task with its own objective is not affected. The words interactive,
    batch and critical stand for latency, cost and success.

    Example: mahavishnu routing set-strategy summarise weighted --weights success=0.6,cost=0.4
    """
    if sum((objective is not None or weights is not None, undo, clear)) != 1:
        raise bad("OBJECTIVE", "give an objective or --weights, or else --undo or --clear")
    given = weights if weights is not None else objective
    wanted = None if given is None else read_objective(given)
    settings = flags_of(ctx).settings()

    async def act(store: Store) -> Published:
        from mahavishnu.engine.clock import SystemClock
        from mahavishnu.jobs import strategies
        from mahavishnu.jobs.names import Kind, check_known

        if not force:
            await check_known(store, settings, [(Kind.TASK_TYPE, task_type)], forcible=True)
        if undo:
            return await strategies.undo_strategy(store, SystemClock(), task_type)
        return await strategies.set_strategy(store, SystemClock(), task_type, wanted)

    published = with_store(ctx, act)
    now = published.after.strategies.get(task_type)
    if as_json:
        shown = {"objective": None if now is None else str(now), "weights": None if now is None else dict(now.weights)}
        emit({"task_type": task_type, **shown, "version": published.after.version, "news": published.news})
        return
    for each in published.after.notes if published.news else ():
        line(each)
    prose(
        f"Published snapshot {published.after.version}."
        if published.news
        else "Nothing to change: this strategy is already set."
    )


@group.command()
def strategies(
    ctx: typer.Context,
    as_json: Json = False,
) -> None:
    """List the strategies that were set, by task type.

    Example: mahavishnu routing strategies
    """
    newest = with_store(ctx, lambda store: store.latest(), make=False)
    found = sorted(newest.strategies.items())
    if as_json:
        emit([{"task_type": kind, "objective": str(each), "weights": dict(each.weights)} for kind, each in found])
        return
    STRATEGIES.show([(kind, str(each)) for kind, each in found], empty="No strategy was set.")


@group.command()
def frontier(
    ctx: typer.Context,
    task_type: Annotated[str, typer.Option("--task-type", "-t", help="The task type.", autocompletion=task_types)],
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the frontier into this file.")] = None,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """Show the targets that no other target beats in success, cost and latency at once.

    Uses the frontier of the last recalculation; before the first one, the present
    evidence.

    Example: mahavishnu routing frontier --task-type summarise --svg frontier.svg
    """
    settings = flags_of(ctx).settings()

    async def act(store: Store) -> Frontier:
        from mahavishnu.engine.clock import SystemClock
        from mahavishnu.jobs import scores

        published = (await store.latest()).frontiers.get(task_type)
        if published is not None:
            return published
        cards = await scores.scorecards_of(store, SystemClock(), settings.evidence)
        found = scores.frontiers(cards).get(task_type, ())
        if not found:
            await Filters(task_type=task_type).check(store, settings)
        return found

    found = with_store(ctx, act, make=False)
    if svg is not None:
        write(svg, frontier_view.drawing(task_type, found), "--svg")
    if as_json:
        emit([{**asdict(each), "on_frontier": each.on_frontier} for each in found])
        return
    if not found:
        prose(f"No target has been run for task type {task_type} yet.")
        return
    FRONTIER.show([frontier_view.row(each) for each in found], wide=wide)
    line()
    for each in frontier_view.plot(found):
        line(each)
    if svg is not None:
        note(f"Drawn into {svg}.")


@group.command()
def hints(
    ctx: typer.Context,
    as_json: Json = False,
) -> None:
    """Show where a cheaper target would do, what it saves, and how much longer it takes.

    Based on the traffic of the last seven days. Shows only pairs of targets with
    enough evidence, of which one certainly costs less and is not worse.

    Example: mahavishnu routing hints
    """
    settings = flags_of(ctx).settings()

    async def act(store: Store) -> Sequence[Hint]:
        from mahavishnu.engine.clock import SystemClock
        from mahavishnu.jobs import planning

        return await planning.hints_now(store, SystemClock(), settings)

    found = with_store(ctx, act, make=False)
    if as_json:
        emit([_hint_shape(each) for each in found])
        return
    for each in found:
        line(str(each))
    if not found:
        prose("No cheaper target is known to be as good.")


@group.command()
def plan(
    ctx: typer.Context,
    budget: Annotated[
        str | None,
        typer.Option(metavar="USD/PERIOD", help="A limit for all tasks together, such as 25/day or 600/month."),
    ] = None,
    what_if: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=USD", help="Assume that this budget allows so many dollars a day. Repeatable."),
    ] = None,
    volume: Annotated[
        list[str] | None,
        typer.Option(metavar="TASK_TYPE=RUNS", help="Runs in a day, instead of the usual number. Repeatable."),
    ] = None,
    capacity: Annotated[
        list[str] | None,
        typer.Option(metavar="TARGET=RUNS", help="The most runs that a target can do in a day. Repeatable."),
    ] = None,
    max_latency_ms: Annotated[
        list[str] | None,
        typer.Option(metavar="TASK_TYPE=MS", help="Only targets whose 95th percentile is below. Repeatable."),
    ] = None,
    min_success_rate: Annotated[
        list[str] | None, typer.Option(metavar="TASK_TYPE=RATE", help="The average success rate to reach. Repeatable.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compute the mix of targets with the most successes in a day, under present or assumed budgets.

    Uses the lower bound of each success rate, and the traffic of the last seven
    days. Says what one more dollar or run would buy. If no mix fits, names the
    smallest change that would make one fit.

    Example: mahavishnu routing plan --budget 25/day --volume summarise=2000
    """
    from mahavishnu.jobs.planning import Wanted

    wanted = Wanted(
        usd={**_budget(budget), **_numbers(what_if, "--what-if")},
        volumes=_numbers(volume, "--volume"),
        capacities=_numbers(capacity, "--capacity"),
        promises=_promises(
            _numbers(max_latency_ms, "--max-latency-ms"), _numbers(min_success_rate, "--min-success-rate")
        ),
    )
    settings = flags_of(ctx).settings()

    async def act(store: Store) -> Planned:
        from mahavishnu.engine.clock import SystemClock
        from mahavishnu.jobs import planning
        from mahavishnu.jobs.names import check_known

        await check_known(store, settings, planning.names_in(wanted))
        return await planning.plan(store, SystemClock(), settings, wanted)

    found = with_store(ctx, act, make=False)
    if as_json:
        emit(_plan_shape(found))
    else:
        _show_plan(found)
    if not found.feasible:
        raise typer.Exit(1)


def _show_plan(found: Planned) -> None:
    from mahavishnu.planning.terms import Impossible

    if isinstance(found.plan, Impossible):
        prose(f"No plan fits: {found.plan}.")
        return
    if not found.plan.shares:
        prose("There is no traffic to plan for yet; say what to expect with --volume.")
        return
    volumes = found.problem.volumes
    rows = [
        (kind, target, f"{100 * share:.1f} %", f"{share * volumes[kind]:.0f}")
        for kind, shares in sorted(found.plan.shares.items())
        for target, share in sorted(shares.items(), key=lambda each: -each[1])
    ]
    PLAN.show(rows)
    line()
    total = sum(volumes.values())
    prose(f"{found.plan.successes:.0f} of {total:.0f} tasks a day succeed, at least, for ${found.plan.cost_usd:.2f}.")
    for each in found.worths:
        line(str(each))


def _plan_shape(found: Planned) -> Shape:
    from mahavishnu.planning.terms import Impossible

    shape: Shape = {"period": found.problem.period, "volumes": dict(found.problem.volumes)}
    if isinstance(found.plan, Impossible):
        gives = [{"bound": each.bound.name, "is": each.bound.value, "needed": each.needed} for each in found.plan.gives]
        why = {"binding": list(found.plan.binding), "relaxation": gives, "missing": list(found.plan.missing)}
        return {**shape, "feasible": False, "reason": str(found.plan), **why}
    worths = [
        {
            "bound": each.bound.name,
            "unit": each.bound.unit,
            "one_more_buys": each.looser,
            "one_less_costs": None if each.tighter == float("inf") else each.tighter,
            "words": str(each),
        }
        for each in found.worths
    ]
    shares = {kind: dict(each) for kind, each in found.plan.shares.items()}
    return {
        **shape,
        "feasible": True,
        "shares": shares,
        "successes": found.plan.successes,
        "cost_usd": found.plan.cost_usd,
        "prices": worths,
        "duality_gap": found.plan.gap,
    }


def _hint_shape(hint: Hint) -> Shape:
    figures = {
        name: {"value": figure.value, "lo": figure.lo, "hi": figure.hi}
        for name, figure in (
            ("saved_usd_per_hour", hint.saved_usd),
            ("added_minutes_per_hour", hint.added_minutes),
            ("added_success_rate", hint.added_success),
        )
    }
    named = {"task_type": hint.task_type, "instead_of": hint.instead_of, "target": hint.target}
    return {**named, "runs_per_hour": hint.runs_per_hour, **figures, "words": str(hint)}


def _budget(given: str | None) -> dict[str, float]:
    """What `25/day` allows in a day, as a budget over everything.

    >>> _budget("70/week")
    {'--budget': 10.0}
    """
    if given is None:
        return {}
    found = re.fullmatch(r"\s*([^/]+)/\s*(hour|day|week|month)\s*", given)
    if found is None:
        raise bad("--budget", f"must be dollars and a period, such as 25/day or 600/month, not {given:.40}")
    from mahavishnu.jobs.planning import OVERALL

    return {OVERALL: amounts.micros(found[1], "--budget") / 1e6 * _A_DAY[Period(found[2])]}


def _numbers(given: Sequence[str] | None, argument: str) -> dict[str, float]:
    """`name=number`, as often as it is given."""
    numbers: dict[str, float] = {}
    for name, text in arguments.pairs(given, argument).items():
        try:
            numbers[name] = float(text)
        except ValueError:
            raise bad(argument, f"{name} must be a number, not {text:.40}") from None
        if not 0 <= numbers[name] < float("inf"):
            raise bad(argument, f"{name} must be 0 or more, not {text:.40}")
    return numbers


def _promises(latencies: Mapping[str, float], rates: Mapping[str, float]) -> list[Promise]:
    from mahavishnu.planning.terms import Promise

    if too_much := [name for name, rate in rates.items() if rate > 1]:
        raise bad("--min-success-rate", f"{too_much[0]} must lie between 0 and 1")
    return [
        Promise(task_type=kind, max_latency_ms=latencies.get(kind), min_success_rate=rates.get(kind))
        for kind in sorted({*latencies, *rates})
    ]
