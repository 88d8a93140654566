"""mahavishnu alerts: what is out of the ordinary, and what people made of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mahavishnu.cli.common.columns import ALERTS
from mahavishnu.cli.common.flags import Json, Wide, flags_of, with_store
from mahavishnu.cli.common.ids import AlertId
from mahavishnu.cli.common.layout import Group, options_of
from mahavishnu.cli.common.printing import emit, line, moment, note, prose
from mahavishnu.cli.common.shapes import Shape
from mahavishnu.cli.common.times import read_between
from mahavishnu.ports import EVER, Between

if TYPE_CHECKING:
    from mahavishnu.jobs.monitoring.alerts import Checked
    from mahavishnu.model.alert import Alert
    from mahavishnu.ports import Store

group = Group(help="List, acknowledge and resolve alerts.")


@group.command("list")
@options_of(read_between, "within")
def list_alerts(
    ctx: typer.Context,
    within: Between,
    everything: Annotated[bool, typer.Option("--all", help="Also show resolved alerts.")] = False,
    last: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many to show, the newest first.")] = 20,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """List the alerts that are open or acknowledged. A condition has at most one.

    --since and --until are about when they opened.

    Example: mahavishnu alerts list --all --json
    """
    found = with_store(ctx, lambda store: store.alerts(last, unresolved=not everything, within=within), make=False)
    if as_json:
        emit([_shape(each) for each in found])
        return
    empty = "No alert yet." if everything else "No alert is open."
    _table(found, empty=empty if within == EVER else "No such alert opened in that time.", wide=wide)


@group.command()
def check(
    ctx: typer.Context,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """Evaluate what was recorded since the last check: open and close alerts, and notify the webhook.

    The schedule does this every minute (mahavishnu schedule serve). A notification
    that the webhook did not accept is sent again with the next check.

    Example: mahavishnu alerts check
    """
    from mahavishnu.engine.clock import SystemClock
    from mahavishnu.jobs.monitoring.alerts import check as look

    settings = flags_of(ctx).settings().alerts

    async def act(store: Store) -> Checked:
        return await look(store, SystemClock(), settings)

    found = with_store(ctx, act)
    if found.untold is not None:
        note(f"The webhook was not notified: {found.untold}.")
    if as_json:
        opened, closed = ([_shape(each) for each in some] for some in (found.opened, found.closed))
        emit({"facts": found.facts, "opened": opened, "closed": closed, "untold": found.untold})
        return
    prose(f"Read {_facts(found.facts)} since the last check; {len(found.opened)} opened, {len(found.closed)} closed.")
    if found.opened or found.closed:
        line()
        _table([*found.opened, *(each for each in found.closed if each not in found.opened)], wide=wide)


@group.command()
def ack(
    ctx: typer.Context,
    alert: AlertId,
    as_json: Json = False,
) -> None:
    """Acknowledge an alert. It stays until its condition ends.

    Example: mahavishnu alerts ack 01KB2Q7YV0S3J4N5P6R7T8V9WX
    """
    from mahavishnu.engine.clock import SystemClock

    now_us = SystemClock().now_us()
    _say(with_store(ctx, lambda store: store.acknowledge_alert(alert, now_us), make=False), as_json=as_json)


@group.command()
def resolve(
    ctx: typer.Context,
    alert: AlertId,
    as_json: Json = False,
) -> None:
    """Resolve an alert, or accept the new values as normal.

    Monitoring starts again: a price that has risen for good becomes normal, and
    a target that still fails opens another alert.

    Example: mahavishnu alerts resolve 01KB2Q7YV0S3J4N5P6R7T8V9WX
    """
    from mahavishnu.engine.clock import SystemClock

    now_us = SystemClock().now_us()
    _say(with_store(ctx, lambda store: store.resolve_alert(alert, now_us), make=False), as_json=as_json)


def _say(alert: Alert, *, as_json: bool) -> None:
    if as_json:
        emit(_shape(alert))
    else:
        prose(f"Alert {alert.id} ({alert.condition}) is {alert.status.value}.")


def _table(found: Iterable[Alert], *, empty: str = "", wide: bool) -> None:
    rows = [
        (moment(each.opened_at_us), each.id, each.status.value, each.severity.value, str(each.condition), each.summary)
        for each in found
    ]
    ALERTS.show(rows, empty=empty, wide=wide)


def _shape(alert: Alert) -> Shape:
    condition = alert.condition
    return {
        "alert_id": alert.id,
        "condition": str(condition),
        "kind": condition.kind.value,
        "task_type": condition.task_type,
        "target": condition.target,
        "about": condition.about,
        "severity": alert.severity.value,
        "status": alert.status.value,
        "summary": alert.summary,
        "detail": dict(_detail(alert.detail)),
        "opened_at": moment(alert.opened_at_us),
        "acknowledged_at": moment(alert.acknowledged_at_us),
        "resolved_at": moment(alert.resolved_at_us),
    }


def _detail(detail: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Its times as all other times are told: as ISO 8601, and not in microseconds."""
    for name, value in detail.items():
        if name.endswith("_at_us"):
            yield name.removesuffix("_us"), moment(value)
        else:
            yield name, value


def _facts(count: int) -> str:
    return "1 fact" if count == 1 else f"{count} facts"
