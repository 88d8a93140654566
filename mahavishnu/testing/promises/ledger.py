"""What a store promises of money: set aside before, written down after."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from mahavishnu.errors import InputError, UnknownName
from mahavishnu.model import DAY_US, Account, Balance, Budget, EntryKind, Micros, Status
from mahavishnu.testing.clock import BEGAN_US
from mahavishnu.testing.promises.books import TOTAL, balance_of, check_books, lines, stands
from mahavishnu.testing.promises.places import Opener, Promise, opened, raised, samples, two
from mahavishnu.testing.samples import ODD_TEXT


async def what_is_charged_takes_the_place_of_what_was_set_aside(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        await one.set_budget(TOTAL)
        decision = make.decision()
        start = make.start(decision, one.process_id)
        assert await one.reserve(make.reservation(start, 700), [decision, start]) is None
        assert await other.execution(start.id) == start
        assert await stands(other) == (0, 700)
        end = make.end(start)
        position = await one.charge(make.charge(start, 250), [end])
        assert await other.execution(start.id) == end
        assert [found async for found in other.facts(0)] == [(position, end)]
        assert await stands(other) == (250, 0)
        found = await lines(other)
        assert [each.kind for each in found] == [EntryKind.RESERVE, EntryKind.RELEASE, EntryKind.CHARGE]
        assert [each.micros for each in found] == [700, 700, 250]
        assert [each.id for each in found] == [f"{start.id}:{each.kind}" for each in found]
        assert {each.accounts for each in found} == {(Account(budget="all", label="total"),)}
        await check_books(other)


async def where_there_is_no_room_nothing_is_written_and_the_balance_says_why(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        await one.set_budget(replace(TOTAL, name="z"))
        await one.set_budget(TOTAL)
        await one.set_budget(Budget(name="b", hard_micros=Micros(1300)))
        await one.set_budget(Budget(name="aa", soft_micros=Micros(1)))
        first, second, third = (make.start(make.decision(), one.process_id) for _ in range(3))
        assert await one.reserve(make.reservation(first, 800), []) is None
        decision = make.decision()
        shortfall = await other.reserve(make.reservation(second, 201), [decision])
        assert shortfall is not None
        assert shortfall.balance == Balance(budget=TOTAL, label="total", reserved_micros=800)
        assert (shortfall.wanted_micros, shortfall.balance.room_micros) == (201, 200)
        assert await one.decision(decision.id) is None
        assert len(await lines(one)) == 1
        assert [await stands(one, name) for name in ("aa", "all", "b", "z")] == [(0, 800)] * 4
        # To the last millionth, and nothing always fits.
        assert await other.reserve(make.reservation(third, 200), []) is None
        assert await other.reserve(make.reservation(second, 0), [decision]) is None
        assert await one.decision(decision.id) == decision
        await check_books(one)


async def callers_never_share_the_same_room(opener: Opener) -> None:
    make = samples()
    async with two(opener) as stores:
        await stores[0].set_budget(TOTAL)
        starts = [make.start(make.decision()) for _ in range(40)]
        answers = await asyncio.gather(
            *(stores[n % 2].reserve(make.reservation(each, 30), []) for n, each in enumerate(starts))
        )
        assert sum(each is None for each in answers) == 33
        assert {each.balance.room_micros for each in answers if each is not None} == {10}
        assert await stands(stores[1]) == (0, 990)
        await check_books(stores[0])


async def money_is_reserved_and_charged_once_however_often_it_is_said(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        await one.set_budget(TOTAL)
        start = make.start(make.decision(), one.process_id)
        for store in (one, other, one):
            assert await store.reserve(make.reservation(start, 600), []) is None
        assert await stands(one) == (0, 600)
        for store in (one, other, one):
            await store.charge(make.charge(start, 450), [make.end(start)])
        await one.charge(replace(make.charge(start, 450), reserved=False), [])
        assert await other.reserve(make.reservation(start, 600), []) is None
        assert await stands(one) == (450, 0)
        assert len(await lines(one)) == 3
        await check_books(one)


async def a_charge_may_follow_its_reservation_in_the_same_breath(opener: Opener) -> None:
    make = samples()
    async with opened(opener) as store:
        await store.set_budget(TOTAL)
        starts = [make.start(make.decision()) for _ in range(3)]
        said = (
            waiting
            for each in starts
            for waiting in (
                store.reserve(make.reservation(each, 400), [each]),
                store.charge(make.charge(each, 300), [make.end(each)]),
                store.charge(make.charge(each, 300), [make.end(each)]),
            )
        )
        assert [answer for answer in await asyncio.gather(*said) if answer is None] == [None] * 3
        assert await stands(store) == (900, 0)
        assert len(await lines(store)) == 9
        await check_books(store)


async def what_costs_more_than_was_set_aside_is_charged_all_the_same(opener: Opener) -> None:
    make = samples()
    async with opened(opener) as store:
        await store.set_budget(TOTAL)
        start, next_ = make.start(make.decision()), make.start(make.decision())
        await store.reserve(make.reservation(start, 1000), [])
        await store.charge(make.charge(start, 1500), [])
        assert await stands(store) == (1500, 0)
        assert (await balance_of(store, "all")).room_micros == 0
        shortfall = await store.reserve(make.reservation(next_, 1), [])
        assert shortfall is not None
        assert shortfall.balance.spent_micros == 1500
        assert await store.reserve(make.reservation(next_, 0), []) is None
        await check_books(store)


async def a_run_that_costs_nothing_and_that_nothing_covers_leaves_no_entry(opener: Opener) -> None:
    make = samples()
    async with opened(opener) as store:
        free, dear, late = (make.start(make.decision()) for _ in range(3))
        reservation = replace(make.reservation(free, 0), accounts=())
        assert await store.reserve(reservation, [free]) is None
        for reserved in (False, True):
            await store.charge(replace(make.charge(free, 0), reserved=reserved), [make.end(free)])
        assert await lines(store) == []
        for reserved in (False, True):
            await store.charge(replace(make.charge(dear, 5), reserved=reserved), [])
            await store.charge(replace(make.charge(late, 6), reserved=not reserved), [])
        assert [(each.kind, each.micros, each.accounts) for each in await lines(store)] == [
            (EntryKind.CHARGE, 5, ()),
            (EntryKind.CHARGE, 6, ()),
        ]


async def what_a_process_that_is_gone_had_set_aside_is_given_back(opener: Opener) -> None:
    make = samples()
    async with opened(opener) as gone:
        await gone.set_budget(TOTAL)
        left, ended = (make.start(make.decision(), gone.process_id) for _ in range(2))
        for each in (left, ended):
            await gone.reserve(make.reservation(each, 400), [each])
        await gone.charge(make.charge(ended, 100), [make.end(ended)])
    async with two(opener) as (one, other):
        mine = make.start(make.decision(), one.process_id)
        await one.reserve(make.reservation(mine, 50), [mine])
        assert await stands(one) == (100, 450)
        reaped = [*await one.reap(), *await other.reap()]
        assert [(each.id, each.status, each.cost_micros) for each in reaped] == [(left.id, Status.LOST, 0)]
        assert await stands(one) == (100, 50)
        # It was there after all: what it spent is spent where it was set aside.
        for store in (other, one):
            await store.charge(make.charge(left, 330), [make.end(left)])
        assert await stands(one) == (430, 50)
        assert await one.execution(left.id) == reaped[0]
        await check_books(one)


async def a_bill_for_what_was_given_up_is_the_last_word(opener: Opener) -> None:
    make = samples()
    async with opened(opener) as gone:
        await gone.set_budget(TOTAL)
        left = make.start(make.decision(), gone.process_id)
        await gone.reserve(make.reservation(left, 400), [left])
    async with opened(opener) as store:
        await store.reap()
        correction = await store.correct(left.id, Micros(120), BEGAN_US, "invoice 7")
        assert correction is not None
        assert (correction.micros, correction.note) == (120, "invoice 7")
        await store.charge(make.charge(left, 90), [])
        assert await stands(store) == (120, 0)
        await check_books(store)


async def a_late_bill_corrects_and_rewrites_nothing(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        await one.set_budget(TOTAL)
        start = make.start(make.decision())
        await one.reserve(make.reservation(start, 500), [])
        await raised(UnknownName, one.correct(start.id, Micros(1), BEGAN_US))
        await one.charge(make.charge(start, 300), [])
        before = await lines(one)
        found = [await other.correct(start.id, Micros(bill), BEGAN_US + 1, ODD_TEXT) for bill in (320, 320, 290, 290)]
        assert [each and each.micros for each in found] == [20, None, -30, None]
        assert await lines(one) == [*before, *(each for each in found if each)]
        assert await stands(one) == (290, 0)
        assert [each.id for each in await lines(one, BEGAN_US + 1)] == [each.id for each in found if each]
        assert await lines(one, 0, BEGAN_US + 1) == before
        for unknown in ("nobody", ODD_TEXT):
            await raised(UnknownName, one.correct(unknown, Micros(1), BEGAN_US))
        await check_books(one)


async def costs_add_up_by_whatever_is_asked_for(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        decision = make.decision()
        runs = [("a", 100, {"team": "x"}), ("b", 7, {"team": "x", "odd": ODD_TEXT}), ("a", 20, {})]
        for day, (target, micros, tags) in enumerate(runs):
            start = make.start(decision, target=target)
            await one.charge(replace(make.charge(start, micros, BEGAN_US + day * DAY_US, **tags), reserved=False), [])
            await one.correct(start.id, Micros(micros * 2), BEGAN_US + 9 * DAY_US)

        async def costs(*by: str, since_us: int = 0, until_us: int | None = None) -> list[tuple[object, ...]]:
            found = await other.costs(by, since_us, until_us)
            return [(*cost.by.values(), cost.micros, cost.executions) for cost in found]

        assert await costs() == [(254, 3)]
        assert await costs(until_us=BEGAN_US) == []
        assert await costs("target") == [("a", 240, 2), ("b", 14, 1)]
        assert await costs("target", "adapter", "task_type") == [
            ("a", "local", "etl", 240, 2),
            ("b", "local", "etl", 14, 1),
        ]
        assert await costs("day") == [("2023-11-14", 200, 1), ("2023-11-16", 40, 1), ("2023-11-15", 14, 1)]
        assert await costs("tag:team") == [("x", 214, 2), ("", 40, 1)]
        assert await costs("tag:odd", "target") == [("", "a", 240, 2), (ODD_TEXT, "b", 14, 1)]
        assert await costs("target", since_us=BEGAN_US + 1, until_us=BEGAN_US + 2 * DAY_US) == [("b", 14, 1)]
        for unknown in ("tag:", "colour", ""):
            await raised(InputError, other.costs([unknown], 0))


PROMISES: Sequence[Promise] = (
    what_is_charged_takes_the_place_of_what_was_set_aside,
    where_there_is_no_room_nothing_is_written_and_the_balance_says_why,
    callers_never_share_the_same_room,
    money_is_reserved_and_charged_once_however_often_it_is_said,
    a_charge_may_follow_its_reservation_in_the_same_breath,
    what_costs_more_than_was_set_aside_is_charged_all_the_same,
    a_run_that_costs_nothing_and_that_nothing_covers_leaves_no_entry,
    what_a_process_that_is_gone_had_set_aside_is_given_back,
    a_bill_for_what_was_given_up_is_the_last_word,
    a_late_bill_corrects_and_rewrites_nothing,
    costs_add_up_by_whatever_is_asked_for,
)
