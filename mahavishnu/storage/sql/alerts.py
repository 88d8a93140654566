"""Alerts, and how far the watching for them has come."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from mahavishnu.errors import UnknownName
from mahavishnu.model.alert import Alert, AlertKind, AlertStatus, Condition, Severity, Watch
from mahavishnu.model.unreadable import Rows
from mahavishnu.ports import EVER, Between
from mahavishnu.storage.sql.connection.columns import between
from mahavishnu.storage.sql.connection.tables import alerts, watch
from mahavishnu.storage.sql.connection.transaction import Transaction
from mahavishnu.storage.sql.facts.fact_rows import escaped, unescaped
from mahavishnu.storage.sql.store_part import SqlPart
from mahavishnu.storage.unreadable import read_each, read_one

_NEWEST = select(alerts).order_by(alerts.c.opened_at_us.desc(), alerts.c.id.desc())
_UNRESOLVED = alerts.c.status != AlertStatus.RESOLVED.value
_ALERT = select(alerts).where(alerts.c.id == bindparam("alert"))
_ADD = insert(alerts)
# What has been resolved stays as it was.
_CHANGE = update(alerts).where(alerts.c.id == bindparam("alert"), _UNRESOLVED)
_ACKNOWLEDGE = _CHANGE.where(alerts.c.status == AlertStatus.OPEN.value)
_TOLD = update(alerts).where(alerts.c.id == bindparam("alert"))
_MAYBE_UNTOLD = _NEWEST.where(_UNRESOLVED | (alerts.c.told.is_not(None) & (alerts.c.told != "resolved")))
_GO_ON = update(watch).where(watch.c.revision == bindparam("before"))
_BEGIN = insert(watch)


def unknown_alert(alert_id: str) -> UnknownName:
    return UnknownName(kind="alert", name=alert_id, see="mahavishnu alerts list")


class SqlAlerts(SqlPart):
    """The part of the store in a database that keeps alerts."""

    async def watch(self) -> Watch:
        return await self._read(_newest_watch)

    async def keep_watch(self, before: Watch, after: Watch, alerts: Sequence[Alert]) -> bool:
        return await self._write(partial(_keep_watch, before=before, after=after, found=tuple(alerts)))

    async def alerts(self, last: int | None = None, *, unresolved: bool = False, within: Between = EVER) -> Rows[Alert]:
        return await self._read(partial(_alerts, last=last, unresolved=unresolved, within=within))

    async def acknowledge_alert(self, alert_id: str, at_us: int) -> Alert:
        change = {"status": AlertStatus.ACKNOWLEDGED.value, "acknowledged_at_us": at_us}
        return await self._write(partial(_change, statement=_ACKNOWLEDGE, alert_id=alert_id, change=change))

    async def resolve_alert(self, alert_id: str, at_us: int) -> Alert:
        change = {"status": AlertStatus.RESOLVED.value, "resolved_at_us": at_us}
        return await self._write(partial(_change, statement=_CHANGE, alert_id=alert_id, change=change))

    async def untold_alerts(self) -> Rows[Alert]:
        return await self._read(_untold)

    async def alert_told(self, alert_id: str, news: str) -> None:
        await self._write(partial(_change, statement=_TOLD, alert_id=alert_id, change={"told": news}))


def _newest_watch(connection: Connection) -> Watch:
    row = connection.execute(select(watch)).first()
    return Watch() if row is None else Watch(revision=row.revision, cursor=row.cursor, state=row.state)


def _keep_watch(transaction: Transaction, before: Watch, after: Watch, found: Sequence[Alert]) -> bool:
    row = {"revision": after.revision, "cursor": after.cursor, "state": after.state}
    if transaction.find(select(watch.c.revision)):
        if not transaction.change(_GO_ON, {"before": before.revision, **row}):
            return False
    elif before.revision:
        return False
    else:
        transaction.change(_BEGIN, row)
    for alert in found:
        if transaction.find(_ALERT, {"alert": alert.id}):
            transaction.change(_CHANGE, {"alert": alert.id, **_news(alert)})
        else:
            transaction.change(_ADD, _row(alert))
    return True


def _alerts(connection: Connection, last: int | None, unresolved: bool, within: Between) -> Rows[Alert]:
    statement = _NEWEST.where(*between(alerts.c.opened_at_us, within))
    if unresolved:
        statement = statement.where(_UNRESOLVED)
    if last is not None:
        statement = statement.limit(max(last, 0))
    return _read(connection.execute(statement))


def _untold(connection: Connection) -> Rows[Alert]:
    found = _read(connection.execute(_MAYBE_UNTOLD))
    untold = Rows(alert for alert in reversed(found) if alert.untold)
    untold.unreadable = found.unreadable
    return untold


def _read(rows: Iterable[Row[Any]]) -> Rows[Alert]:
    return read_each("alert", rows, lambda row: str(row.id), _alert_of)


def _change(transaction: Transaction, statement: Any, alert_id: str, change: Mapping[str, Any]) -> Alert:
    transaction.change(statement, {"alert": alert_id, **change})
    rows = transaction.find(_ALERT, {"alert": alert_id})
    if not rows:
        raise unknown_alert(alert_id)
    return read_one("alert", alert_id, lambda: _alert_of(rows[0]))


def _news(alert: Alert) -> dict[str, Any]:
    """What a check may change of an alert that is there; that somebody has acknowledged it is none of its business."""
    news: dict[str, Any] = {
        "severity": alert.severity.value,
        "summary": escaped(alert.summary),
        "detail": json.dumps(dict(alert.detail)),
    }
    if alert.resolved:
        news |= {"status": alert.status.value, "resolved_at_us": alert.resolved_at_us}
    return news


def _row(alert: Alert) -> dict[str, Any]:
    condition = alert.condition
    return {
        "id": alert.id,
        "kind": condition.kind.value,
        "task_type": None if condition.task_type is None else escaped(condition.task_type),
        "target": None if condition.target is None else escaped(condition.target),
        "about": condition.about,
        "severity": alert.severity.value,
        "status": alert.status.value,
        "summary": escaped(alert.summary),
        "detail": json.dumps(dict(alert.detail)),
        "opened_at_us": alert.opened_at_us,
        "acknowledged_at_us": alert.acknowledged_at_us,
        "resolved_at_us": alert.resolved_at_us,
        "told": alert.told,
    }


def _alert_of(row: Row[Any]) -> Alert:
    return Alert(
        id=row.id,
        condition=Condition(
            kind=AlertKind(row.kind),
            task_type=None if row.task_type is None else unescaped(row.task_type),
            target=None if row.target is None else unescaped(row.target),
            about=row.about,
        ),
        severity=Severity(row.severity),
        status=AlertStatus(row.status),
        summary=unescaped(row.summary),
        detail=json.loads(row.detail),
        opened_at_us=row.opened_at_us,
        acknowledged_at_us=row.acknowledged_at_us,
        resolved_at_us=row.resolved_at_us,
        told=row.told,
    )
