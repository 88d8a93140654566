"""mahavishnu routing: what is known of the targets, who comes before whom by it, and going back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from mahavishnu.cli.common.arguments import bad
from mahavishnu.cli.common.columns import ORDERS, SNAPSHOTS, STATS
from mahavishnu.cli.common.completion import target_names, task_types
from mahavishnu.cli.common.filters import Filters
from mahavishnu.cli.common.flags import Json, Wide, flags_of, with_app, with_store
from mahavishnu.cli.common.layout import Group
from mahavishnu.cli.common.printing import emit, line, moment, prose, waiting
from mahavishnu.cli.common.shapes import Shape, stat_shape

if TYPE_CHECKING:
    from mahavishnu.app import App
    from mahavishnu.jobs.publishing import Published
    from mahavishnu.model import Snapshot
    from mahavishnu.ports import Store

group = Group(help="Show and publish what routing has learnt; set strategies; plan under budgets.")

OfType = Annotated[str | None, typer.Option("--task-type", "-t", help="Only these.", autocompletion=task_types)]
OfTarget = Annotated[str | None, typer.Option("--target", help="Only its.", autocompletion=target_names)]

_LONGEST_WINDOW_DAYS = 3650


@group.command()
def stats(
    ctx: typer.Context,
    task_type: OfType = None,
    target: OfTarget = None,
    window: Annotated[
        str | None, typer.Option(metavar="DAYS", help="Only the last days, such as 7d, each counted in full.")
    ] = None,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """Show the statistics of each target for each task type.

    Older evidence counts less. With --window, each day in the window counts in
    full and earlier days do not count.

    Example: mahavishnu routing stats --task-type summarise --window 7d
    """
    days = None if window is None else _days(window)
    filters = Filters(task_type=task_type, target=target)

    async def look(app: App) -> list[Shape]:
        found = app.orchestrator.stats() if days is None else await app.stats_of_last(days)
        wanted = [each for each in found if task_type in (None, each.task_type) and target in (None, each.target)]
        if not wanted:
            await filters.check(app.store, app.settings, [each.target for each in app.orchestrator.standings()])
        return [stat_shape(each) for each in wanted]

    shapes = with_app(ctx, look, make=False)
    if as_json:
        emit(shapes)
        return
    since = "yet" if days is None else "today" if days == 1 else f"in the last {days} days"
    STATS.show_shapes(shapes, empty=f"Nothing has been run{filters} {since}.", wide=wide)


@group.command()
def orders(
    ctx: typer.Context,
    task_type: OfType = None,
    as_json: Json = False,
) -> None:
    """Show the preference order of the targets for each task type, as published last.

    Example: mahavishnu routing orders --task-type summarise
    """
    filters = Filters(task_type=task_type)
    settings = flags_of(ctx).settings()

    async def look(store: Store) -> Snapshot:
        newest = await store.latest()
        if task_type not in newest.orders:
            await filters.check(store, settings)
        return newest

    newest = with_store(ctx, look, make=False)
    shapes: list[Shape] = [
        {"task_type": kind, "order": list(order), "version": newest.version}
        for kind, order in sorted(newest.orders.items())
        if task_type in (None, kind)
    ]
    if as_json:
        emit(shapes)
        return
    rows = [(each["task_type"], " → ".join(each["order"]), each["version"]) for each in shapes]
    ORDERS.show(rows, empty=f"No order{filters} yet; run: mahavishnu routing recalculate")


@group.command()
def snapshots(
    ctx: typer.Context,
    last: Annotated[int, typer.Option(min=1, max=10_000, help="How many to show, the newest first.")] = 20,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """List published snapshots, and what each one changed.

    Example: mahavishnu routing snapshots --last 5
    """
    shapes = [_snapshot_shape(each) for each in with_store(ctx, lambda store: store.snapshots(last), make=False)]
    if as_json:
        emit(shapes)
        return
    rows = [(each["version"], each["kind"], each["published_at"], "; ".join(each["notes"])) for each in shapes]
    SNAPSHOTS.show(rows, empty="Nothing was published yet.", wide=wide)


@group.command()
def recalculate(
    ctx: typer.Context,
    full: Annotated[bool, typer.Option("--full", help="Recompute all days from the recorded facts.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and publish nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Publish scores and preference orders from the present evidence.

    Every running process uses them within two seconds.

    Example: mahavishnu routing recalculate --dry-run
    """
    settings = flags_of(ctx).settings()

    async def act(store: Store) -> Published:
        from mahavishnu.engine.clock import SystemClock
        from mahavishnu.jobs import scores

        return await scores.recalculate(store, SystemClock(), settings, full=full, dry_run=dry_run)

    with waiting("Recalculating …"):
        published = with_store(ctx, act, make=not dry_run)
    tell(published, as_json=as_json, would=dry_run)


@group.command()
def rollback(
    ctx: typer.Context,
    version: Annotated[int, typer.Argument(min=1, help="The snapshot to go back to.")],
    release: Annotated[
        bool, typer.Option("--release", help="Also release the targets that harm has put aside since.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Go back to the scores and orders of an earlier snapshot, until the next recalculation.

    A target that an experiment has put aside for harm since then stays put
    aside and is named; --release lifts that too.

    Example: mahavishnu routing rollback 12
    """

    async def act(store: Store) -> Published:
        from mahavishnu.engine.clock import SystemClock
        from mahavishnu.jobs import scores

        return await scores.roll_back(store, SystemClock(), version, release=release)

    tell(with_store(ctx, act, make=False), as_json=as_json)


def tell(published: Published, *, as_json: bool, would: bool = False) -> None:
    if as_json:
        emit({**_snapshot_shape(published.after), "news": published.news, "dry_run": would})
        return
    if not published.news:
        prose(f"Nothing has changed since snapshot {published.before.version}.")
        return
    for each in published.after.notes:
        line(each)
    prose(f"{'Would publish' if would else 'Published'} snapshot {published.after.version}.")


def _snapshot_shape(snapshot: Snapshot) -> Shape:
    return {
        "version": snapshot.version,
        "kind": snapshot.kind.value,
        "published_at": moment(snapshot.published_at_us or None),
        "cursor": snapshot.cursor,
        "scorecards": len(snapshot.scorecards),
        "orders": {kind: list(order) for kind, order in snapshot.orders.items()},
        "notes": list(snapshot.notes),
        "restored": snapshot.restored,
    }


def _days(window: str) -> int:
    found = re.fullmatch(r"(\d{1,4})\s*d?", window.strip())
    days = int(found[1]) if found else 0
    if not 1 <= days <= _LONGEST_WINDOW_DAYS:
        raise bad("--window", f"must be a number of days such as 7d, at most {_LONGEST_WINDOW_DAYS}, not {window:.40}")
    return days
