"""mahavishnu costs: what was spent, by whatever it is to be looked at."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mahavishnu.cli.common import amounts, answer
from mahavishnu.cli.common.amounts import DAY_S, usd_text
from mahavishnu.cli.common.arguments import bad
from mahavishnu.cli.common.flags import Json, flags_of, with_store
from mahavishnu.cli.common.layout import options_of
from mahavishnu.cli.common.printing import emit, line, moment, prose, table
from mahavishnu.cli.common.shapes import Shape
from mahavishnu.cli.common.times import read_between
from mahavishnu.errors import did_you_mean, nearest_name
from mahavishnu.ports import EVER, Between

if TYPE_CHECKING:
    from mahavishnu.ports import Cost, Store

TAG = "tag:"
DIMENSIONS = ("target", "adapter", "task_type", "day")


@options_of(read_between, "within")
def costs(
    ctx: typer.Context,
    within: Between,
    by: Annotated[
        str,
        typer.Option(
            metavar="WHAT,…", help="What to group by: target, adapter, task-type, day or tag:NAME, separated by commas."
        ),
    ] = "target",
    window: Annotated[
        str | None,
        typer.Option(
            metavar="AGE",
            help="Whole days: 30d means 30 days in UTC including today; 12h the last twelve hours. Default: 30d.",
        ),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, without the total.")] = False,
    as_json: Json = False,
) -> None:
    """Show what was spent, to the micro-dollar: charges, and their corrections by late bills.

    A run that costs nothing and that no budget covers has no entry in the ledger
    and is not counted.

    Example: mahavishnu costs --by target,task-type --window 30d
    """
    from mahavishnu.engine.clock import SystemClock

    if as_csv and as_json:
        raise bad("--csv", "and --json exclude each other; give one")
    dimensions = read_dimensions(by)
    if window is not None and within != EVER:
        raise bad("--window", "and --since or --until exclude each other; give one")
    since_us, until_us = within.since_us or 0, within.until_us
    if within == EVER:
        since_us = since(window or "30d", SystemClock().now_us())
    settings = flags_of(ctx).settings()

    async def look(store: Store) -> Sequence[Cost]:
        found = await store.costs(dimensions, since_us, until_us)
        tags = [each for each in dimensions if each.startswith(TAG) and not any(cost.by[each] for cost in found)]
        if tags:
            from mahavishnu.jobs.names import Kind, check_known

            await check_known(store, settings, [(Kind.LABEL, tag.removeprefix(TAG)) for tag in tags])
        return found

    found = with_store(ctx, look, make=False)
    total = {
        "executions": sum(each.executions for each in found),
        "cost_usd": usd_text(sum(each.micros for each in found)),
    }
    if as_json:
        shapes = [_shape(each, dimensions) for each in found]
        when = {"since": moment(since_us), "until": moment(until_us)}
        emit({"by": list(dimensions), **when, "costs": shapes, "total": total})
        return
    columns = (*dimensions, "executions", "cost_usd")
    rows = [list(_shape(each, dimensions).values()) for each in found]
    if as_csv:
        writer = csv.writer(answer.stream(), lineterminator="\n")
        writer.writerows([columns, *rows])
        return
    table(columns, rows, empty="Nothing was spent in that time.")
    if rows:
        line()
        runs = "1 execution" if total["executions"] == 1 else f"{total['executions']} executions"
        prose(f"In all: {runs}, ${total['cost_usd']}.")


def read_dimensions(by: str) -> tuple[str, ...]:
    """The dimensions that a list of words names.

    >>> read_dimensions("target, task-type,tag:team")
    ('target', 'task_type', 'tag:team')
    """
    words = [each.strip() for each in by.split(",")]
    dimensions = [each if each.startswith(TAG) else each.replace("-", "_") for each in words]
    for given, each in zip(words, dimensions, strict=True):
        if each not in DIMENSIONS and not (each.startswith(TAG) and each != TAG):
            hint = did_you_mean(nearest_name(each, DIMENSIONS)) or f"; take of {', '.join(DIMENSIONS)}, {TAG}NAME"
            raise bad("--by", f'knows no "{given:.40}"{hint}')
    if len(set(dimensions)) < len(dimensions):
        raise bad("--by", f"names one twice: {by:.80}")
    return tuple(dimensions)


def since(window: str, now_us: int) -> int:
    """When a window began.

    >>> since("1d", 90_000_000_000), since("1h", 90_000_000_000)
    (86400000000, 86400000000)
    """
    length_s = amounts.seconds(window, "--window")
    if not window.strip().endswith("d"):
        return now_us - length_s * 1_000_000
    today = now_us // 1_000_000 // DAY_S
    return (today - length_s // DAY_S + 1) * DAY_S * 1_000_000


def _shape(cost: Cost, dimensions: Sequence[str]) -> Shape:
    by = {each: cost.by.get(each, "") for each in dimensions}
    return {**by, "executions": cost.executions, "cost_usd": usd_text(cost.micros)}
