"""What a store promises of alerts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from mahavishnu.errors import UnknownName
from mahavishnu.model.alert import Alert, AlertKind, AlertStatus, Condition, Severity, Watch
from mahavishnu.ports import Between
from mahavishnu.testing.promises.places import Opener, Promise, opened, raised, samples, two
from mahavishnu.testing.samples import ODD_TEXT, Samples


def _alert(make: Samples, at_us: int = 5, kind: AlertKind = AlertKind.DEGRADATION) -> Alert:
    return Alert(
        id=make.new_id(),
        condition=Condition(kind=kind, task_type="etl", target=ODD_TEXT),
        severity=Severity.WARNING,
        summary=ODD_TEXT,
        detail={"rate": 1 / 3, "samples": 87, "odd": ODD_TEXT, "nothing": None},
        opened_at_us=at_us,
    )


def _after(before: Watch) -> Watch:
    return Watch(revision=before.revision + 1, cursor=before.cursor + 7, state=f'{{"odd": "{before.revision}"}}')


async def a_watch_and_its_alerts_come_back_exactly(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        assert await other.watch() == Watch()
        odd = replace(_alert(make), told="open, warning")
        plain = replace(_alert(make, 9), condition=Condition(kind=AlertKind.SCHEDULE))
        after = _after(Watch())
        assert await one.keep_watch(Watch(), after, [odd, plain])
        assert await other.watch() == after
        assert list(await other.alerts()) == [plain, odd]
        assert list(await other.alerts(1)) == [plain]
        assert list(await other.alerts(within=Between(5, 9))) == [odd]
        assert list(await other.alerts(within=Between(since_us=6), unresolved=True)) == [plain]


async def of_two_that_go_on_from_the_same_watch_one_is_kept(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        for before in (Watch(), _after(Watch())):
            rivals = [_alert(make) for _ in range(6)]
            kept = await asyncio.gather(
                *((one, other)[n % 2].keep_watch(before, _after(before), [each]) for n, each in enumerate(rivals))
            )
            assert sorted(kept) == [False] * 5 + [True]
            winner = rivals[kept.index(True)]
            assert {each.id for each in rivals} & {each.id for each in await one.alerts()} == {winner.id}
        assert not await one.keep_watch(Watch(revision=9), Watch(revision=10), [_alert(make)])


async def an_alert_is_opened_then_acknowledged_then_resolved_for_good(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        alert = _alert(make)
        watch = _after(Watch())
        await one.keep_watch(Watch(), watch, [alert])
        seen = replace(alert, status=AlertStatus.ACKNOWLEDGED, acknowledged_at_us=6)
        assert await other.acknowledge_alert(alert.id, 6) == seen
        assert await one.acknowledge_alert(alert.id, 7) == seen
        # A check that read it before it was acknowledged says that it got worse, and leaves it acknowledged.
        worse = replace(alert, severity=Severity.CRITICAL, summary="worse", detail={})
        after = _after(watch)
        assert await one.keep_watch(watch, after, [worse])
        assert list(await other.alerts(unresolved=True)) == [
            replace(worse, status=AlertStatus.ACKNOWLEDGED, acknowledged_at_us=6)
        ]
        over = await other.resolve_alert(alert.id, 8)
        assert (over.status, over.acknowledged_at_us, over.resolved_at_us) == (AlertStatus.RESOLVED, 6, 8)
        assert await one.resolve_alert(alert.id, 9) == await one.acknowledge_alert(alert.id, 9) == over
        assert await one.keep_watch(after, _after(after), [alert])
        assert list(await one.alerts()) == [over]
        assert list(await one.alerts(unresolved=True)) == []


async def a_check_may_resolve_what_it_opened(opener: Opener) -> None:
    make = samples()
    async with opened(opener) as store:
        alert = _alert(make)
        after = _after(Watch())
        await store.keep_watch(Watch(), after, [alert])
        over = replace(alert, status=AlertStatus.RESOLVED, resolved_at_us=11)
        at_once = replace(_alert(make, 12), status=AlertStatus.RESOLVED, resolved_at_us=12)
        await store.keep_watch(after, _after(after), [over, at_once])
        assert list(await store.alerts()) == [at_once, over]


async def news_are_untold_until_they_are_told(opener: Opener) -> None:
    make = samples()
    async with opened(opener) as store:
        first, second = _alert(make, 1), _alert(make, 2, AlertKind.COST_SPIKE)
        await store.keep_watch(Watch(), _after(Watch()), [second, first])
        assert [each.id for each in await store.untold_alerts()] == [first.id, second.id]
        await store.alert_told(first.id, first.news)
        await store.acknowledge_alert(first.id, 3)
        assert [each.id for each in await store.untold_alerts()] == [second.id]
        for each in (first, second):
            await store.resolve_alert(each.id, 4)
        # Nobody heard of the second one, so nobody needs to hear that it is over.
        (untold,) = await store.untold_alerts()
        assert (untold.id, untold.news) == (first.id, "resolved")
        await store.alert_told(first.id, untold.news)
        assert list(await store.untold_alerts()) == []


async def an_alert_that_is_not_there_is_unknown(opener: Opener) -> None:
    async with opened(opener) as store:
        for attempt in (store.acknowledge_alert("x", 1), store.resolve_alert("x", 1), store.alert_told("x", "open")):
            await raised(UnknownName, attempt)


PROMISES: Sequence[Promise] = (
    a_watch_and_its_alerts_come_back_exactly,
    of_two_that_go_on_from_the_same_watch_one_is_kept,
    an_alert_is_opened_then_acknowledged_then_resolved_for_good,
    a_check_may_resolve_what_it_opened,
    news_are_untold_until_they_are_told,
    an_alert_that_is_not_there_is_unknown,
)
