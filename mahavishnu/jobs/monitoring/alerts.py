"""Alerts: what is out of the ordinary now, opened, kept, closed, and told."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import httpx

from mahavishnu.jobs.monitoring.rules import Finding, Watcher
from mahavishnu.jobs.monitoring.state import State, state_json, state_of
from mahavishnu.model import DAY_US, Balance, Status
from mahavishnu.model.alert import Alert, AlertKind, AlertStatus, Condition, Severity, Watch
from mahavishnu.model.experiment import ExperimentRun, ExperimentStatus
from mahavishnu.model.money import to_usd
from mahavishnu.model.unreadable import Unreadable
from mahavishnu.ports import Clock, ExecutionQuery, Store
from mahavishnu.settings import AlertSettings
from mahavishnu.storage.unreadable import problem_of

log = logging.getLogger("mahavishnu.alerts")

RECALCULATION = "recalculate"
"""The job whose absence is an alert."""

AT_ONCE = 50_000
"""Facts taken in between two writings: what a check that is killed has to read again."""

PATIENCE_S = 10.0
"""How long the webhook may take; what it did not take the next check tells it again."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What one check found. `untold` says why the webhook was not told, where it was to be; `left_out` are sentences
    about rows that this version cannot read.
    """

    facts: int
    opened: Sequence[Alert] = ()
    closed: Sequence[Alert] = ()
    untold: str | None = None
    left_out: Sequence[str] = ()


async def check(
    store: Store,
    clock: Clock,
    settings: AlertSettings,
    *,
    environ: Mapping[str, str] | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Checked:
    """Take in every fact since the last check, open and close alerts by it, and tell of them.

    What was taken in and what was opened by it are one transaction: killed anywhere, or done twice at once, no fact
    counts twice and no alert is lost.
    """
    facts = 0
    opened: list[Alert] = []
    closed: list[Alert] = []
    while True:
        step = await _step(store, clock, settings)
        facts += step.facts
        opened += step.opened
        closed += step.closed
        if step.facts < AT_ONCE:
            break
    _log(opened, closed)
    for sentence in step.left_out:
        log.error("%s", sentence)
    untold = await _tell(store, settings, environ if environ is not None else os.environ, transport)
    return Checked(facts, opened, closed, untold, step.left_out)


async def _step(store: Store, clock: Clock, settings: AlertSettings) -> Checked:
    """One transaction's worth; nothing where another process was faster: it has seen the same."""
    before = await store.watch()
    unresolved = await store.alerts(unresolved=True)
    standing = {each.condition: each for each in unresolved}
    left_out = [*map(str, unresolved.unreadable)]
    try:
        watcher = Watcher(state_of(before.state), settings)
    except ValueError as error:
        why = Unreadable("state of", "the watching", problem_of(error))
        left_out.append(f"{why}; until then only what needs no memory is watched, and no alert is closed")
        return await _without_memory(store, clock, settings, before, standing, left_out)
    if not unresolved.unreadable:
        _accept(watcher, standing)
    register = Register(standing, clock)
    cursor, facts = before.cursor, 0
    newest = await store.newest()
    async for position, fact in store.facts(before.cursor, newest):
        register.enter(watcher.take(fact))
        cursor, facts = position, facts + 1
        if facts == AT_ONCE:
            break
    else:
        cursor = newest
    holding = [*watcher.alarmed(), *await _present(store, watcher.state, settings, clock.now_us())]
    register.enter(holding)
    register.close_all_but({each.condition for each in holding})
    after = Watch(revision=before.revision + 1, cursor=cursor, state=state_json(watcher.state))
    if not await store.keep_watch(before, after, list(register.changed.values())):
        return Checked(0, left_out=left_out)
    return Checked(facts, register.opened(), register.closed(), left_out=left_out)


async def _without_memory(
    store: Store,
    clock: Clock,
    settings: AlertSettings,
    before: Watch,
    standing: Mapping[Condition, Alert],
    left_out: Sequence[str],
) -> Checked:
    """Facts wait until the state can be read again, which stays as it is; conditions that need no detector go on."""
    register = Register(standing, clock)
    register.enter(await _present(store, State(), settings, clock.now_us()))
    after = replace(before, revision=before.revision + 1)
    kept = await store.keep_watch(before, after, list(register.changed.values()))
    return Checked(0, register.opened() if kept else (), left_out=left_out)


class Register:
    """The alerts as they stand while findings come in: at most one that is not resolved for each condition."""

    def __init__(self, standing: Mapping[Condition, Alert], clock: Clock) -> None:
        self._standing = dict(standing)
        self._known = {each.id for each in standing.values()}
        self._clock = clock
        self.changed: dict[str, Alert] = {}

    def enter(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            alert = self._standing.get(finding.condition)
            if finding.over:
                self._resolve(alert)
            elif alert is None:
                self._keep(
                    Alert(
                        id=self._clock.new_id(),
                        condition=finding.condition,
                        severity=finding.severity,
                        summary=finding.summary,
                        detail=finding.detail,
                        opened_at_us=self._clock.now_us(),
                    )
                )
            elif alert.severity is Severity.WARNING and finding.severity is Severity.CRITICAL:
                # It may get worse; that it got better is said when it is over.
                self._keep(replace(alert, severity=finding.severity, summary=finding.summary, detail=finding.detail))

    def close_all_but(self, holding: set[Condition]) -> None:
        for condition in [each for each in self._standing if each not in holding]:
            self._resolve(self._standing[condition])

    def opened(self) -> list[Alert]:
        return [each for each in self.changed.values() if each.id not in self._known]

    def closed(self) -> list[Alert]:
        return [each for each in self.changed.values() if each.resolved]

    def _keep(self, alert: Alert) -> None:
        self._standing[alert.condition] = self.changed[alert.id] = alert

    def _resolve(self, alert: Alert | None) -> None:
        if alert is None:
            return
        del self._standing[alert.condition]
        self.changed[alert.id] = replace(alert, status=AlertStatus.RESOLVED, resolved_at_us=self._clock.now_us())


def _accept(watcher: Watcher, standing: Mapping[Condition, Alert]) -> None:
    """What somebody has resolved by hand while it went on is the ordinary from now on."""
    for finding in watcher.alarmed():
        if finding.condition not in standing:
            watcher.forget(finding.condition)


async def _present(store: Store, state: State, settings: AlertSettings, now_us: int) -> list[Finding]:
    """The conditions that need no detector: each is there, or it is not."""
    for target in [name for name, lost in state.lost.items() if now_us - lost.last_at_us >= settings.lost_for_s * 1e6]:
        del state.lost[target]
    lost = [_lost(target, each.count) for target, each in sorted(state.lost.items())]
    return [
        *lost,
        *await _stuck(store, settings, now_us),
        *await _unscheduled(store, state, settings, now_us),
        *(finding for each in await store.balances(now_us) if (finding := _spent(each)) is not None),
        *await _harmful(store, now_us),
    ]


async def _harmful(store: Store, now_us: int) -> list[Finding]:
    """Experiments that did harm, or cannot be read, for a day. An end is told once: what was resolved stays so."""
    ended = [
        run
        for run in await store.experiments()
        if run.status in (ExperimentStatus.ROLLED_BACK, ExperimentStatus.BROKEN)
        and now_us - (run.ended_at_us or 0) < DAY_US
    ]
    if not ended:
        return []
    resolved = {each.condition for each in await store.alerts() if each.resolved}
    return [finding for run in ended if (finding := _ended(run)).condition not in resolved]


def _ended(run: ExperimentRun) -> Finding:
    what = "was rolled back" if run.status is ExperimentStatus.ROLLED_BACK else "is broken"
    owner = run.experiment.owner
    return Finding(
        Condition(kind=AlertKind.EXPERIMENT, about=run.name),
        Severity.CRITICAL,
        f"experiment {run.name}{f' of {owner}' if owner else ''} {what}: {run.note} "
        f"(mahavishnu experiments report {run.name})",
        {"status": run.status.value, "owner": owner or None, "ended_at_us": run.ended_at_us},
    )


def _spent(balance: Balance) -> Finding | None:
    """A budget that has come to its soft limit, or that has no room left at all."""
    budget, spent = balance.budget, balance.spent_micros
    hard, soft = budget.hard_micros, budget.soft_micros
    empty = hard is not None and spent >= hard
    if not empty and (soft is None or spent < soft):
        return None
    limit = to_usd((hard if empty else soft) or 0)
    what = f"its limit of ${limit:f}; tasks are held up ({budget.on_exhausted.value})" if empty else f"${limit:f}"
    return Finding(
        Condition(kind=AlertKind.BUDGET, about=budget.name),
        Severity.CRITICAL if empty else Severity.WARNING,
        f"budget {budget.name} has spent ${to_usd(spent):f} of {balance.label} and reached {what} "
        f"(mahavishnu budgets show {budget.name})",
        {"spent_usd": str(to_usd(spent)), "limit_usd": str(limit), "period": balance.label},
    )


def _lost(target: str, count: int) -> Finding:
    return Finding(
        Condition(kind=AlertKind.LOST, target=target),
        Severity.WARNING,
        f"{_executions(count)} of {target} came to no end: their process went away",
        {"executions": count},
    )


async def _stuck(store: Store, settings: AlertSettings, now_us: int) -> list[Finding]:
    running = await store.executions(ExecutionQuery(status=Status.RUNNING, last=None))
    stuck: dict[str, list[int]] = {}
    for each in running:
        if now_us - each.started_at_us >= settings.stuck_after_s * 1e6:
            stuck.setdefault(each.target, []).append(each.started_at_us)
    return [
        Finding(
            Condition(kind=AlertKind.STUCK, target=target),
            Severity.WARNING,
            f"{_executions(len(starts))} of {target} run for more than {settings.stuck_after_s} s; the oldest for "
            f"{(now_us - min(starts)) / 1e6:.0f} s (mahavishnu executions --status running --target {target})",
            {"executions": len(starts)},
        )
        for target, starts in sorted(stuck.items())
    ]


async def _unscheduled(store: Store, state: State, settings: AlertSettings, now_us: int) -> list[Finding]:
    """Facts come in, and nobody has recalculated by them for too long."""
    if state.began_at_us is None:
        return []
    runs = [each.succeeded_at_us for each in await store.jobs() if each.name == RECALCULATION]
    last = next((each for each in runs if each is not None), None)
    days = (now_us - (last or state.began_at_us)) / DAY_US
    if days <= settings.schedule_days:
        return []
    since = "has never recalculated scores" if last is None else f"last recalculated scores {days:.0f} days ago"
    return [
        Finding(
            Condition(kind=AlertKind.SCHEDULE),
            Severity.WARNING,
            f"the schedule {since}, though executions come in; start it (mahavishnu schedule serve) or see what is "
            "wrong with it (mahavishnu schedule list)",
            {"days": round(days, 1)},
        )
    ]


def _executions(count: int) -> str:
    return "1 execution" if count == 1 else f"{count} executions"


# -- telling -----------------------------------------------------------------------------------------------------------


def _log(opened: Iterable[Alert], closed: Iterable[Alert]) -> None:
    for alert in opened:
        level = logging.ERROR if alert.severity is Severity.CRITICAL else logging.WARNING
        log.log(level, "alert %s opened: %s", alert.condition, alert.summary)
    for alert in closed:
        log.info("alert %s is over", alert.condition)


async def _tell(
    store: Store, settings: AlertSettings, environ: Mapping[str, str], transport: httpx.AsyncBaseTransport | None
) -> str | None:
    """One POST for each alert that opened, got worse or ended; one that does not arrive is sent again next time."""
    if not settings.webhook_url_env:
        return None
    url = environ.get(settings.webhook_url_env)
    if not url:
        return f"the environment variable {settings.webhook_url_env} is not set"
    async with httpx.AsyncClient(timeout=PATIENCE_S, transport=transport) as client:
        for alert in await store.untold_alerts():
            problem = await _post(client, url, alert)
            if problem is not None:
                log.warning("the webhook was not told of alert %s: %s", alert.condition, problem)
                return problem
            await store.alert_told(alert.id, alert.news)
    return None


async def _post(client: httpx.AsyncClient, url: str, alert: Alert) -> str | None:
    """What went wrong; the URL may hold a secret, so no error of the client is shown as it is."""
    try:
        answer = await client.post(url, json=alert_document(alert))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"it cannot be reached ({type(error).__name__})"
    return None if answer.is_success else f"it answered {answer.status_code}"


def alert_document(alert: Alert) -> dict[str, object]:
    """What the webhook gets."""
    return {
        "id": alert.id,
        "condition": str(alert.condition),
        "kind": alert.condition.kind.value,
        "task_type": alert.condition.task_type,
        "target": alert.condition.target,
        "about": alert.condition.about,
        "severity": alert.severity.value,
        "status": alert.status.value,
        "summary": alert.summary,
        "detail": dict(alert.detail),
        "opened_at_us": alert.opened_at_us,
        "resolved_at_us": alert.resolved_at_us,
    }
