"""The ledger over random histories, beside an account of it that is kept in the head."""

import asyncio
import shutil
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from mahavishnu.errors import UnknownName
from mahavishnu.model import Account, Balance, Budget, EntryKind, Micros, Period, Reservation, Spender
from mahavishnu.ports import Charge
from mahavishnu.storage import Memory, MemoryStore, SqlStore
from mahavishnu.testing.clock import ManualClock
from mahavishnu.testing.promises.books import check_books, effect, lines
from tests.examples import examples

LIMIT = Micros(1000)
SPENDERS = [
    Spender(adapter="local", target=target, task_type=task_type, tags=tags)
    for target in ("a", "b")
    for task_type in ("etl", "rag")
    for tags in ({}, {"team": "x"}, {"team": "y", "user": "z"})
]
BUDGETS = [
    Budget(name=name, hard_micros=LIMIT, period=period, zone=zone, **scope)
    for name, period, zone in (
        ("first", Period.TOTAL, "UTC"),
        ("first", Period.DAY, "Asia/Tokyo"),
        ("first", Period.WEEK, "UTC"),
        ("second", Period.MONTH, "America/New_York"),
        ("second", Period.HOUR, "UTC"),
        ("second", Period.DAY, "UTC"),
    )
    for scope in ({}, {"target": "a"}, {"task_type": "rag", "tags": {"team": "x"}})
]

RUN = st.integers(0, 11)
# Few amounts, so that some add up to exactly what there is.
AMOUNT = st.sampled_from([0, 1, 50, 100, 150, 200, 300, 500, 700, 1000])
STEP = st.one_of(
    *[st.tuples(st.just("reserve"), RUN, AMOUNT)] * 3,
    st.tuples(st.just("charge"), RUN, AMOUNT),
    st.tuples(st.just("correct"), RUN, AMOUNT),
    st.tuples(st.just("set"), st.integers(0, len(BUDGETS) - 1), st.sampled_from([LIMIT, Micros(300), None])),
    st.tuples(st.just("remove"), st.sampled_from(["first", "second"]), st.none()),
    st.tuples(st.just("wait"), st.integers(1, 40), st.none()),
    st.tuples(st.just("die"), st.none(), st.none()),
)
HISTORY = st.lists(STEP, min_size=20, max_size=50)


@dataclass
class Run:
    """What the head knows of an execution."""

    spender: Spender
    at_us: int
    micros: int
    live: bool = True
    cost: int | None = None
    given_up: bool = False


@dataclass
class Head:
    """Adds everything up anew whenever it is asked."""

    budgets: dict[str, Budget] = field(default_factory=dict)
    runs: dict[int, Run] = field(default_factory=dict)

    def balance(self, budget: Budget, at_us: int) -> Balance:
        label = budget.label(at_us)
        mine = [
            each for each in self.runs.values() if budget.covers(each.spender) and budget.label(each.at_us) == label
        ]
        spent = sum(each.cost or 0 for each in mine)
        reserved = sum(each.micros for each in mine if each.live)
        return Balance(budget=budget, label=label, spent_micros=spent, reserved_micros=reserved)

    def balances(self, at_us: int) -> list[Balance]:
        return [self.balance(each, at_us) for _, each in sorted(self.budgets.items())]

    def short(self, spender: Spender, micros: int, at_us: int) -> list[Balance]:
        covering = [each for each in self.balances(at_us) if each.budget.covers(spender)]
        return [each for each in covering if each.room_micros is not None and micros > each.room_micros]


class Play:
    """Does to a store what it does in the head, each thing twice, and compares."""

    def __init__(self, make, clock):
        self.make, self.clock, self.head = make, clock, Head()
        self.store = None

    async def begin(self):
        self.store = self.make()
        await self.store.open()

    async def step(self, what, which, much):
        await getattr(self, what)(which, much)
        now_us = self.clock.now_us()
        assert list(await self.store.balances(now_us)) == self.head.balances(now_us)

    async def reserve(self, number, micros):
        now_us, spender = self.clock.now_us(), SPENDERS[number]
        reservation = Reservation(
            execution_id=f"run-{number}",
            process_id=self.store.process_id,
            at_us=now_us,
            micros=Micros(micros),
            spender=spender,
            accounts=(Account(budget="any", label="total"),),
        )
        short = [] if number in self.head.runs else self.head.short(spender, micros, now_us)
        for _ in range(2):
            shortfall = await self.store.reserve(reservation, [])
            if short:
                assert shortfall is not None
                assert (shortfall.balance, shortfall.wanted_micros) == (short[0], micros)
            else:
                assert shortfall is None
        if not short:
            self.head.runs.setdefault(number, Run(spender, now_us, micros))

    async def charge(self, number, cost):
        run = self.head.runs.get(number)
        if run is None:
            return
        if run.live:
            cost = min(cost, run.micros)
        if run.cost is None:
            run.cost = cost
        run.live = False
        spender = run.spender
        charge = Charge(execution_id=f"run-{number}", at_us=self.clock.now_us(), micros=Micros(cost), spender=spender)
        for _ in range(2):
            await self.store.charge(charge, [])

    async def correct(self, number, bill):
        run = self.head.runs.get(number)
        asking = [self.store.correct(f"run-{number}", Micros(bill), self.clock.now_us()) for _ in range(2)]
        if run is None or run.live:
            for each in asking:
                with pytest.raises(UnknownName):
                    await each
            return
        first, again = [await each for each in asking]
        difference = bill - (run.cost or 0)
        assert (first.micros if first else 0) == difference
        assert again is None
        if difference or run.cost is not None:
            run.cost = bill
        else:
            run.cost = 0

    async def set(self, which, limit):
        budget = BUDGETS[which]
        if limit is None:
            budget = replace(budget, hard_micros=None, soft_micros=LIMIT)
        else:
            budget = replace(budget, hard_micros=limit)
        self.head.budgets[budget.name] = budget
        for _ in range(2):
            await self.store.set_budget(budget)

    async def remove(self, name, _):
        if self.head.budgets.pop(name, None) is None:
            with pytest.raises(UnknownName):
                await self.store.remove_budget(name)
        else:
            await self.store.remove_budget(name)

    async def wait(self, hours, _):
        self.clock.advance(hours * 3600)

    async def die(self, *_):
        await self.store.close()
        await self.begin()
        await self.store.reap()
        for each in self.head.runs.values():
            each.given_up |= each.live
            each.live = False


@asynccontextmanager
async def playing(kind: str, folder: Path, template: Path):
    clock = ManualClock()
    if kind == "memory":
        memory = Memory()
        play = Play(lambda: MemoryStore(clock, memory), clock)
    else:
        path = folder / "store.db"
        shutil.copy(template, path)
        play = Play(lambda: SqlStore(f"sqlite:///{path}", clock, lease_s=1e9), clock)
    await play.begin()
    try:
        yield play
    finally:
        await play.store.close()


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    """An empty store, to begin each history with."""
    path = tmp_path_factory.mktemp("template") / "store.db"

    async def make() -> None:
        store = SqlStore(f"sqlite:///{path}", ManualClock())
        await store.open()
        await store.close()

    asyncio.run(make())
    return path


def check_entries(entries, runs):
    """Reserved and released add up to nothing; charged and corrected to what it cost."""
    reserved, spent = Counter(), Counter()
    for each in entries:
        if each.kind is not EntryKind.CARRY:
            more_spent, more_reserved = effect(each)
            spent[each.execution_id] += more_spent
            reserved[each.execution_id] += more_reserved
    for number, run in runs.items():
        id_ = f"run-{number}"
        assert spent[id_] == (run.cost or 0)
        assert reserved[id_] == (run.micros if run.live else 0)


@pytest.mark.parametrize(("kind", "number"), [("memory", 300), ("sqlite", 30)])
def test_after_any_history_balances_are_what_the_entries_say(kind, number, tmp_path_factory, template):
    @examples(number, suppress_health_check=[HealthCheck.too_slow])
    @given(HISTORY)
    def plays(history):
        async def play_it():
            async with playing(kind, tmp_path_factory.mktemp("history"), template) as play:
                seen = []
                for step in history:
                    await play.step(*step)
                    entries = await lines(play.store)
                    assert entries[: len(seen)] == seen
                    seen = entries
                check_entries(seen, play.head.runs)
                now_us = play.clock.now_us()
                await check_books(play.store, *(now_us - n * 3_600_000_000 for n in range(0, 200, 5)))

        asyncio.run(play_it())

    plays()


@pytest.mark.parametrize(("kind", "number"), [("memory", 150), ("sqlite", 20)])
def test_a_limit_that_stands_is_never_exceeded_at_any_entry(kind, number, tmp_path_factory, template):
    only = st.one_of(*(st.tuples(st.just(what), RUN, AMOUNT) for what in ("reserve", "charge")))

    @examples(number, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(only, min_size=10, max_size=60), st.sampled_from(BUDGETS))
    def plays(history, budget):
        async def play_it():
            async with playing(kind, tmp_path_factory.mktemp("history"), template) as play:
                await play.set(BUDGETS.index(budget), LIMIT)
                for step in history:
                    await play.step(*step)
                spent = reserved = 0
                for each in await lines(play.store):
                    if each.accounts:
                        more_spent, more_reserved = effect(each)
                        spent += more_spent
                        reserved += more_reserved
                        assert 0 <= spent <= LIMIT
                        assert 0 <= spent + reserved <= LIMIT

        asyncio.run(play_it())

    plays()
