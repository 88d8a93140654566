"""Alerts of the store in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mahavishnu.model.alert import Alert, AlertStatus, Watch
from mahavishnu.model.unreadable import Rows
from mahavishnu.ports import EVER, Between
from mahavishnu.storage.sql.alerts import unknown_alert


@dataclass(slots=True)
class AlertMemory:
    watch: Watch = field(default_factory=Watch)
    alerts: dict[str, Alert] = field(default_factory=dict)


class MemoryAlerts(ABC):
    """The part of the store in memory that keeps alerts."""

    @abstractmethod
    def _kept_alerts(self) -> AlertMemory: ...

    async def watch(self) -> Watch:
        return self._kept_alerts().watch

    async def keep_watch(self, before: Watch, after: Watch, alerts: Sequence[Alert]) -> bool:
        kept = self._kept_alerts()
        if kept.watch.revision != before.revision:
            return False
        kept.watch = after
        for alert in alerts:
            found = kept.alerts.get(alert.id)
            if found is None:
                kept.alerts[alert.id] = replace(alert, detail=dict(alert.detail))
            elif not found.resolved:
                kept.alerts[alert.id] = _with_news(found, alert)
        return True

    async def alerts(self, last: int | None = None, *, unresolved: bool = False, within: Between = EVER) -> Rows[Alert]:
        known = [alert for alert in self._kept_alerts().alerts.values() if alert.opened_at_us in within]
        found = [alert for alert in known if not (unresolved and alert.resolved)]
        found.sort(key=lambda each: (each.opened_at_us, each.id), reverse=True)
        return Rows(found if last is None else found[: max(last, 0)])

    async def acknowledge_alert(self, alert_id: str, at_us: int) -> Alert:
        found = self._alert(alert_id)
        if found.status is AlertStatus.OPEN:
            found = replace(found, status=AlertStatus.ACKNOWLEDGED, acknowledged_at_us=at_us)
        return self._keep(found)

    async def resolve_alert(self, alert_id: str, at_us: int) -> Alert:
        found = self._alert(alert_id)
        if not found.resolved:
            found = replace(found, status=AlertStatus.RESOLVED, resolved_at_us=at_us)
        return self._keep(found)

    async def untold_alerts(self) -> Rows[Alert]:
        return Rows(each for each in reversed(await self.alerts()) if each.untold)

    async def alert_told(self, alert_id: str, news: str) -> None:
        self._keep(replace(self._alert(alert_id), told=news))

    def _alert(self, alert_id: str) -> Alert:
        found = self._kept_alerts().alerts.get(alert_id)
        if found is None:
            raise unknown_alert(alert_id)
        return found

    def _keep(self, alert: Alert) -> Alert:
        self._kept_alerts().alerts[alert.id] = alert
        return alert


def _with_news(found: Alert, news: Alert) -> Alert:
    """What a check may change of an alert that is there; that somebody has acknowledged it is none of its business."""
    changed = replace(found, severity=news.severity, summary=news.summary, detail=dict(news.detail))
    return replace(changed, status=news.status, resolved_at_us=news.resolved_at_us) if news.resolved else changed
