"""What a store promises of budgets: whom they cover, and what becomes of them as they change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mahavishnu.errors import InvalidBudget, UnknownName
from mahavishnu.model import DAY_US, Account, Balance, Budget, EntryKind, Micros, OnExhausted, Period
from mahavishnu.testing.clock import BEGAN_US
from mahavishnu.testing.promises.books import TOTAL, balance_of, check_books, lines, stands
from mahavishnu.testing.promises.places import Opener, Promise, opened, raised, samples, two
from mahavishnu.testing.samples import ODD_TEXT


async def a_budget_counts_what_it_covers(opener: Opener) -> None:
    make = samples()
    hard = Micros(10_000)
    scopes = {
        "target": Budget(name="target", hard_micros=hard, target="a"),
        "other-target": Budget(name="other-target", hard_micros=hard, target="b"),
        "adapter": Budget(name="adapter", hard_micros=hard, adapter="local", task_type="etl"),
        "tags": Budget(name="tags", soft_micros=hard, tags={"team": ODD_TEXT, ODD_TEXT: ""}),
        "other-tags": Budget(name="other-tags", hard_micros=hard, tags={"team": ODD_TEXT, "user": "x"}),
        "day": Budget(name="day", hard_micros=hard, period=Period.DAY, zone="Asia/Tokyo"),
        "odd": Budget(
            name="odd:/@-x",
            hard_micros=hard,
            soft_micros=Micros(7),
            on_exhausted=OnExhausted.DEGRADE,
            max_age_s=9,
            tags={"team": ODD_TEXT},
        ),
    }
    async with two(opener) as (one, other):
        for budget in scopes.values():
            await one.set_budget(budget)
        start = make.start(make.decision())
        tags = {"team": ODD_TEXT, ODD_TEXT: ""}
        # Whatever accounts the caller knew of.
        reservation = replace(
            make.reservation(start, 70, **tags), accounts=(Account(budget="other-target", label="gone"),)
        )
        assert await other.reserve(reservation, []) is None
        covering = ["adapter", "day", "odd:/@-x", "tags", "target"]
        balances = await one.balances(BEGAN_US)
        assert [each.budget for each in balances] == sorted(scopes.values(), key=lambda each: each.name)
        assert sorted(each.budget.name for each in balances if each.reserved_micros == 70) == covering
        assert next(each.label for each in balances if each.budget.name == "day") == "2023-11-15"
        await other.charge(make.charge(start, 30, BEGAN_US, **tags), [])
        assert sorted(each.budget.name for each in await one.balances(BEGAN_US) if each.spent_micros == 30) == covering
        assert all(each.spender == reservation.spender for each in await lines(one))
        await check_books(one)


async def what_is_charged_after_midnight_counts_where_it_was_set_aside(opener: Opener) -> None:
    make = samples()
    daily = Budget(name="all", hard_micros=Micros(1000), period=Period.DAY)
    next_day = BEGAN_US + DAY_US
    async with opened(opener) as store:
        await store.set_budget(daily)
        start, tomorrow = make.start(make.decision()), replace(make.start(make.decision()), started_at_us=next_day)
        await store.reserve(make.reservation(start, 900), [])
        assert await store.reserve(make.reservation(tomorrow, 900), []) is None
        await store.charge(make.charge(start, 600, next_day), [])
        correction = await store.correct(start.id, Micros(610), next_day)
        assert correction is not None
        assert (correction.at_us, correction.of_us) == (next_day, BEGAN_US)
        assert await stands(store) == (610, 0)
        assert await stands(store, at_us=next_day) == (0, 900)
        assert [cost.by["day"] for cost in await store.costs(["day"], 0)] == ["2023-11-14"]
        await check_books(store, BEGAN_US, next_day)


async def a_changed_limit_holds_for_the_next_and_keeps_what_was_spent(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        await one.set_budget(TOTAL)
        first, second = (make.start(make.decision()) for _ in range(2))
        await one.reserve(make.reservation(first, 900), [])
        await one.charge(make.charge(first, 900), [])
        lowered = replace(TOTAL, hard_micros=Micros(500), on_exhausted=OnExhausted.QUEUE)
        await other.set_budget(lowered)
        assert await balance_of(one, "all") == Balance(budget=lowered, label="total", spent_micros=900)
        assert await one.reserve(make.reservation(second, 1), []) is not None
        await other.set_budget(replace(TOTAL, hard_micros=Micros(1200)))
        shortfall = await one.reserve(make.reservation(second, 301), [])
        assert shortfall is not None
        assert shortfall.balance.room_micros == 300
        assert await one.reserve(make.reservation(second, 300), []) is None
        await other.set_budget(replace(TOTAL, hard_micros=None, soft_micros=Micros(1)))
        assert await one.reserve(make.reservation(make.start(make.decision()), 10**12), []) is None
        assert [each.kind for each in await lines(one)].count(EntryKind.CARRY) == 0
        await check_books(one)


async def a_budget_that_is_made_or_changed_takes_over_what_its_period_had(opener: Opener) -> None:
    make = samples()
    yesterday = BEGAN_US - DAY_US
    async with two(opener) as (one, other):
        old, spent, live = (make.start(make.decision()) for _ in range(3))
        old = replace(old, started_at_us=yesterday)
        for each, cost in ((old, 40), (spent, 300)):
            await one.charge(make.charge(each, cost, each.started_at_us, team="x"), [])
        await one.reserve(make.reservation(live, 200, team="x"), [])
        assert await one.correct(spent.id, Micros(310), BEGAN_US) is not None
        daily = Budget(name="d", hard_micros=Micros(520), period=Period.DAY, tags={"team": "x"})
        await other.set_budget(daily)
        assert await stands(one, "d") == (310, 200)
        shortfall = await one.reserve(make.reservation(make.start(make.decision()), 11, team="x"), [])
        assert shortfall is not None
        assert shortfall.balance.room_micros == 10
        # A wider period, then a narrower scope, and back: what was spent is what was spent.
        for budget, expected in (
            (replace(daily, period=Period.MONTH), (350, 200)),
            (replace(daily, tags={"team": "y"}), (0, 0)),
            (replace(daily, period=Period.TOTAL, target="a"), (350, 200)),
            (daily, (310, 200)),
        ):
            await one.set_budget(budget)
            assert await stands(other, "d") == expected
            await check_books(other, yesterday, BEGAN_US)
        # What counted before the change is corrected, charged and given back where it counts now.
        await one.correct(spent.id, Micros(315), BEGAN_US)
        await one.charge(make.charge(live, 150, team="x"), [])
        assert await stands(one, "d") == (465, 0)
        await one.correct(live.id, Micros(160), BEGAN_US)
        await one.correct(old.id, Micros(50), BEGAN_US)
        assert await stands(one, "d") == (475, 0)
        await check_books(one, yesterday, BEGAN_US)


async def a_budget_that_is_removed_bounds_nothing_and_its_entries_stay(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        await one.set_budget(TOTAL)
        first, second = (make.start(make.decision()) for _ in range(2))
        await one.reserve(make.reservation(first, 1000), [])
        await other.remove_budget("all")
        await raised(UnknownName, one.remove_budget("all"))
        await raised(UnknownName, one.remove_budget(ODD_TEXT))
        assert list(await one.balances(BEGAN_US)) == []
        assert await one.reserve(make.reservation(second, 5000), []) is None
        await one.charge(make.charge(first, 700), [])
        assert len(await lines(one)) == 4
        await other.set_budget(TOTAL)
        assert await stands(one) == (700, 5000)
        await one.charge(make.charge(second, 100), [])
        assert await stands(one) == (800, 0)
        await check_books(one)


async def what_is_no_budget_is_refused_and_leaves_nothing(opener: Opener) -> None:
    nonsense: list[Any] = [5, None, {"name": "b"}]
    async with opened(opener) as store:
        for given in nonsense:
            await raised(InvalidBudget, store.set_budget(given))
        assert list(await store.balances(BEGAN_US)) == []


PROMISES: Sequence[Promise] = (
    what_is_no_budget_is_refused_and_leaves_nothing,
    a_budget_counts_what_it_covers,
    what_is_charged_after_midnight_counts_where_it_was_set_aside,
    a_changed_limit_holds_for_the_next_and_keeps_what_was_spent,
    a_budget_that_is_made_or_changed_takes_over_what_its_period_had,
    a_budget_that_is_removed_bounds_nothing_and_its_entries_stay,
)
