"""Alerts on a real store: soon when something is wrong, never when nothing is, once for each condition."""

import json
import random
from collections.abc import Sequence
from dataclasses import replace

import httpx
import pytest

from mahavishnu.jobs.monitoring import alerts
from mahavishnu.jobs.monitoring.alerts import check
from mahavishnu.model import Micros, Status
from mahavishnu.model.alert import AlertKind, AlertStatus, Severity
from mahavishnu.settings import AlertSettings
from mahavishnu.storage import SqlStore
from mahavishnu.testing.clock import ManualClock
from mahavishnu.testing.samples import Samples

SETTINGS = AlertSettings(webhook_url_env="")


class Works:
    """A store in a file, and a stream of executions into it."""

    def __init__(self, url: str) -> None:
        self.clock = ManualClock()
        self.store = SqlStore(url, self.clock)
        self.make = Samples(self.clock)
        self.random = random.Random(5)
        self.decision = self.make.decision()

    def one(self, target="a", share=0.95, cost=1.0, sigma=0.5, status=None, **fields):
        if status is None:
            status = Status.SUCCEEDED if self.random.random() < share else Status.FAILED
        micros = Micros(round(2000 * cost * self.random.lognormvariate(0, sigma)))
        start = self.make.start(self.decision, target=target)
        return replace(self.make.end(start, status), cost_micros=micros, value=None, **fields)

    async def run(self, count, **law):
        self.clock.advance(count * 0.1)
        await self.store.record([self.one(**law) for _ in range(count)])

    async def check(self, settings=SETTINGS, **kwargs):
        return await check(self.store, self.clock, settings, **kwargs)

    async def until_alert(self, most, step=1, **law):
        """How many executions it takes until a check opens something."""
        for count in range(step, most + 1, step):
            await self.run(step, **law)
            if found := (await self.check()).opened:
                return count, found
        return most, []


@pytest.fixture
async def works(tmp_path):
    works = Works(f"sqlite:///{tmp_path}/store.db")
    await works.store.open()
    await works.store.record([works.decision])
    yield works
    await works.store.close()


def kinds(found: Sequence) -> list[AlertKind]:
    return sorted(each.condition.kind for each in found)


async def test_ten_thousand_healthy_executions_open_none(works):
    for _ in range(10):
        for target in ("a", "b"):
            await works.run(500, target=target, share=0.95, sigma=1.0)
        assert (await works.check()).opened == []
    assert await works.store.alerts() == []
    assert (await works.store.watch()).cursor == await works.store.newest()


async def test_a_target_that_degrades_is_found_within_the_bar_and_the_alert_closes_after_it_recovers(works):
    await works.run(1000, share=0.92)
    assert (await works.check()).opened == []
    # One stream: half of them are found within 45, nineteen of twenty within 100.
    taken, (alert,) = await works.until_alert(150, step=5, share=0.70)
    assert taken <= 100
    assert (alert.condition.kind, alert.condition.target) == (AlertKind.DEGRADATION, "a")
    assert "a fails at etl" in alert.summary
    assert (await works.check()).opened == []
    for _ in range(30):
        await works.run(20, share=0.96)
        if (await works.check()).closed:
            break
    (stored,) = await works.store.alerts()
    assert stored.status is AlertStatus.RESOLVED
    await works.run(500, share=0.96)
    assert (await works.check()).opened == []


async def test_it_is_critical_below_the_seeds_eighty_percent_and_says_so_once_it_is(works):
    await works.run(300, share=0.95)
    await works.until_alert(1000, step=10, share=0.85)
    (mild,) = await works.store.alerts(unresolved=True)
    assert mild.severity is Severity.WARNING
    await works.run(400, share=0.4)
    await works.check()
    (worse,) = await works.store.alerts(unresolved=True)
    assert (worse.id, worse.severity) == (mild.id, Severity.CRITICAL)
    assert worse.detail["rate"] < 0.8


async def test_one_condition_is_one_alert_however_long_it_lasts(works):
    for _ in range(10):
        await works.run(100, share=0.3)
        await works.check()
    assert kinds(await works.store.alerts()) == [AlertKind.DEGRADATION]


async def test_failures_that_are_learnt_later_count(works):
    decisions = [works.make.decision() for _ in range(60)]
    for decision in decisions:
        await works.store.record([decision, *works.make.run(decision)])
    assert (await works.check()).opened == []
    for decision in decisions:
        await works.store.record([works.make.outcome(decision, completed=False)])
    assert kinds((await works.check()).opened) == [AlertKind.DEGRADATION]


async def test_a_threefold_cost_is_found_and_accepted_once_somebody_says_so(works):
    await works.run(2_500, share=1.0, sigma=0.5)
    assert (await works.check()).opened == []
    taken, (alert,) = await works.until_alert(75, step=5, share=1.0, cost=3.0, sigma=0.5)
    assert taken <= 75
    assert alert.condition.kind is AlertKind.COST_SPIKE
    await works.run(100, share=1.0, cost=4.0, sigma=0.5)
    await works.check()
    (stored,) = await works.store.alerts(unresolved=True)
    assert stored.severity is Severity.CRITICAL
    assert "on average" in stored.summary
    await works.store.resolve_alert(stored.id, works.clock.now_us())
    for _ in range(4):
        await works.run(600, share=1.0, cost=4.0, sigma=0.5)
        assert (await works.check()).opened == []


async def test_a_cost_that_falls_back_closes_its_alert(works):
    await works.run(1_500, share=1.0)
    await works.until_alert(100, step=5, share=1.0, cost=5.0)
    for _ in range(30):
        await works.run(50, share=1.0)
        if (await works.check()).closed:
            return
    raise AssertionError("the alert stayed open")


async def test_unusually_many_fallbacks_are_found(works):
    await works.run(1_200)
    _, (alert,) = await works.until_alert(200, step=10, fallback=True, attempt=2)
    assert alert.condition.kind is AlertKind.FALLBACKS
    assert "etl falls back unusually often" in alert.summary


async def test_a_target_that_takes_over_the_tasks_is_found_and_becomes_the_ordinary(works):
    drawn = [works.one(target=f"t{number % 10}", randomised=True) for number in range(2_500)]
    await works.store.record(drawn)
    assert (await works.check()).opened == []
    _, (alert,) = await works.until_alert(400, step=20, target="t3", randomised=True)
    assert (alert.condition.kind, alert.condition.target) == (AlertKind.ONE_TARGET, "t3")
    for _ in range(4):
        await works.run(500, target="t3", randomised=True)
        await works.check()
    assert await works.store.alerts(unresolved=True) == []


async def test_lost_executions_are_an_alert_for_a_while(works):
    await works.run(3, status=Status.LOST)
    (alert,) = (await works.check()).opened
    assert alert.summary == "3 executions of a came to no end: their process went away"
    works.clock.advance(SETTINGS.lost_for_s + 1)
    assert kinds((await works.check()).closed) == [AlertKind.LOST]


async def test_an_execution_that_runs_for_too_long_is_stuck_until_it_ends(works):
    start = works.make.start(works.decision, works.store.process_id)
    await works.store.record([start])
    assert (await works.check()).opened == []
    works.clock.advance(SETTINGS.stuck_after_s)
    assert kinds((await works.check()).opened) == [AlertKind.STUCK]
    await works.store.record([works.make.end(start)])
    assert kinds((await works.check()).closed) == [AlertKind.STUCK]


async def test_a_schedule_that_does_not_run_is_an_alert_only_where_there_are_facts(works):
    works.clock.advance(100 * 86_400)
    assert (await works.check()).opened == []
    await works.run(1, share=1.0)
    await works.check()
    works.clock.advance(9 * 86_400)
    (alert,) = (await works.check()).opened
    assert "has never recalculated scores" in alert.summary
    run_id = await works.store.claim_job("recalculate", 60)
    await works.store.finish_job(run_id, ok=True, note="done")
    assert kinds((await works.check()).closed) == [AlertKind.SCHEDULE]


# -- nothing lost, nothing twice ---------------------------------------------------------------------------------------


async def test_however_the_checks_are_cut_they_come_to_the_same(works, monkeypatch):
    await works.run(400, share=0.92)
    await works.run(80, share=0.5)
    await works.check()
    whole = await works.store.watch()
    monkeypatch.setattr(alerts, "AT_ONCE", 7)
    other = SqlStore(f"{works.store._url}-other", works.clock)
    await other.open()
    await other.record([works.decision])
    copied = [fact async for _, fact in works.store.facts(0)]
    await other.record(copied)
    await check(other, works.clock, SETTINGS)
    assert (await other.watch()).state == whole.state
    assert kinds(await other.alerts()) == kinds(await works.store.alerts())
    await other.close()


async def test_of_two_checks_at_once_one_counts(works):
    import asyncio

    await works.run(200, share=0.3)
    await asyncio.gather(*(works.check() for _ in range(4)))
    assert kinds(await works.store.alerts()) == [AlertKind.DEGRADATION]
    track = json.loads((await works.store.watch()).state)["failures"]["etl"]["a"]
    assert track["samples"] <= 200


# -- telling -----------------------------------------------------------------------------------------------------------


class Hook:
    def __init__(self) -> None:
        self.answers: list[int] = []
        self.heard: list[dict] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        status = self.answers.pop(0) if self.answers else 204
        if status < 400:
            self.heard.append(json.loads(request.content))
        return httpx.Response(status)


@pytest.fixture
def hook():
    return Hook()


@pytest.fixture
def told(hook):
    return {
        "settings": AlertSettings(webhook_url_env="HOOK"),
        "environ": {"HOOK": "https://hook.example/secret"},
        "transport": httpx.MockTransport(hook),
    }


async def test_the_webhook_hears_of_the_beginning_and_of_the_end_once_each(works, hook, told):
    await works.run(3, status=Status.LOST)
    for _ in range(3):
        await works.check(**told)
    works.clock.advance(SETTINGS.lost_for_s + 1)
    for _ in range(3):
        await works.check(**told)
    assert [(each["status"], each["condition"]) for each in hook.heard] == [("open", "lost:a"), ("resolved", "lost:a")]


async def test_what_the_webhook_did_not_take_the_next_check_tells_it_again(works, hook, told, caplog):
    hook.answers = [503]
    await works.run(3, status=Status.LOST)
    first = await works.check(**told)
    assert first.untold == "it answered 503"
    assert "secret" not in caplog.text
    assert (await works.check(**told)).untold is None
    assert len(hook.heard) == 1


async def test_a_webhook_that_cannot_be_reached_is_no_reason_to_fail(works, told):
    def unreachable(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("https://hook.example/secret refused")

    await works.run(3, status=Status.LOST)
    found = await works.check(**{**told, "transport": httpx.MockTransport(unreachable)})
    assert found.untold == "it cannot be reached (ConnectError)"
    assert kinds(found.opened) == [AlertKind.LOST]


async def test_a_webhook_whose_variable_is_not_set_is_named(works, told):
    assert "HOOK is not set" in (await works.check(**{**told, "environ": {}})).untold


async def test_alerts_are_logged_by_their_severity(works, caplog):
    caplog.set_level("INFO", "mahavishnu.alerts")
    await works.run(300, share=0.2)
    await works.check()
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert "alert degradation:etl:a opened: a fails at etl" in record.getMessage()
