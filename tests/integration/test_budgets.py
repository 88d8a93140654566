"""Sixty-four callers in four processes and one hard limit: never a micro-dollar over it, and nobody refused wrongly."""

import asyncio
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from mahavishnu.engine.clock import SystemClock
from mahavishnu.model import DAY_US, Budget, LedgerEntry, Micros, Period, Status
from mahavishnu.model.money import to_usd
from mahavishnu.ports import ExecutionQuery
from mahavishnu.storage import SqlStore
from mahavishnu.testing.clock import BEGAN_US, ManualClock
from mahavishnu.testing.promises.books import check_books, effect, lines
from mahavishnu.testing.samples import Samples

SPENDER = Path(__file__).with_name("spender.py")
PROCESSES = 4
RUNS = 256
LIMIT = Micros(150_000)
TEAM_LIMIT = Micros(60_000)
BUDGETS = (
    Budget(name="hard", hard_micros=LIMIT),
    Budget(name="team-x", hard_micros=TEAM_LIMIT, tags={"team": "x"}),
)


@asynccontextmanager
async def open_store(url, clock=None):
    store = SqlStore(url, clock or SystemClock())
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def spend_in_another_process(url: str, seed: int, kill_after: int | None = None) -> list[list[str]]:
    """Every answer that a process said it had got, until it was done, or killed after so many."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(SPENDER), url, str(RUNS), str(seed), stdout=asyncio.subprocess.PIPE
    )
    said: list[list[str]] = []
    async for line in child.stdout:
        # What was written when the process was killed may have been cut in the middle.
        if line.endswith(b"\n"):
            said.append(line.decode().split())
        if len(said) == kill_after:
            child.kill()
    code = await child.wait()
    assert code == (0 if kill_after is None else -9)
    return said


def history_of(entries: Sequence[LedgerEntry], budget: str) -> list[tuple[int, int]]:
    """What was spent and reserved of a budget after each of its entries, and before the first."""
    spent = reserved = 0
    stands = [(0, 0)]
    for each in entries:
        if any(account.budget == budget for account in each.accounts):
            more_spent, more_reserved = effect(each)
            spent, reserved = spent + more_spent, reserved + more_reserved
            stands.append((spent, reserved))
    return stands


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_many_callers_in_four_processes_never_exceed_a_limit_and_are_never_refused_wrongly(
    kind, tmp_path, request
):
    url = f"sqlite:///{tmp_path}/store.db" if kind == "sqlite" else request.getfixturevalue("postgres")()
    async with open_store(url) as store:
        for budget in BUDGETS:
            await store.set_budget(budget)
        kills = (None, None, None, 150)
        said = await asyncio.gather(*(spend_in_another_process(url, seed, kill) for seed, kill in enumerate(kills)))
        lost = await store.reap()
        after = await spend_in_another_process(url, 9)
        answers = [words for process in (*said, after) for words in process]
        entries = await lines(store)
        await check_books(store)
        assert all(each.reserved_micros == 0 for each in await store.balances(BEGAN_US))
        check_limits(entries, answers)
        await check_what_was_answered(store, entries, answers, {each.id for each in lost})


def check_limits(entries: Sequence[LedgerEntry], answers: Sequence[Sequence[str]]) -> None:
    refusals = [(name, tuple(map(int, figures))) for word, name, *figures in answers if word == "refused"]
    limits = {each.name: each.hard_micros for each in BUDGETS}
    assert {name for name, _ in refusals} == set(limits)
    for name, limit in limits.items():
        history = history_of(entries, name)
        assert max(spent + reserved for spent, reserved in history) <= limit
        # What a refusal said was so at some moment, and was too much for what was asked.
        moments = set(history)
        for spent, reserved, wanted in (figures for refused, figures in refusals if refused == name):
            assert spent + reserved + wanted > limit
            assert (spent, reserved) in moments
        # Hardly anything is left of what could be spent.
        assert history[-1][0] > limit * 0.9


async def check_what_was_answered(store, entries, answers, lost: set[str]) -> None:
    reserved = {words[1]: int(words[2]) for words in answers if words[0] == "reserved"}
    charged = {words[1]: int(words[2]) for words in answers if words[0] == "charged"}
    noted: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for each in entries:
        noted[each.execution_id][each.kind] += each.micros
    assert set(reserved) <= set(noted)
    assert all(noted[id_]["reserve"] == micros for id_, micros in reserved.items())
    assert all(noted[id_]["charge"] == micros for id_, micros in charged.items())
    assert all(each["reserve"] == each["release"] for each in noted.values())
    # The killed process had some on their way, and was answered for others without living to say so.
    assert lost
    assert all("charge" not in noted[id_] for id_ in lost)
    executions = {each.id: each.status for each in await store.executions(ExecutionQuery(last=None))}
    assert set(executions) == set(noted)
    assert {id_ for id_, status in executions.items() if status is Status.LOST} == lost
    assert not any(status is Status.RUNNING for status in executions.values())


def month(draw: Random, make: Samples):
    """What runs of a month cost by our own reckoning, and what the bill says of them: some a little else, some none."""
    for number in range(3000):
        at_us = BEGAN_US + number * 30 * DAY_US // 3000
        start = replace(make.start(make.decision(), target=draw.choice("abc")), started_at_us=at_us)
        cost = draw.randint(0, 20_000)
        bill = cost if draw.random() < 0.7 else round(cost * draw.uniform(0.9, 1.12)) + draw.randint(0, 3)
        yield start, cost, bill, draw.choice("xyz")


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_a_month_of_traffic_adds_up_to_its_invoices_to_the_millionth(kind, tmp_path, request):
    url = f"sqlite:///{tmp_path}/store.db" if kind == "sqlite" else request.getfixturevalue("postgres")()
    clock = ManualClock()
    make = Samples(clock)
    invoices: Counter[str] = Counter()
    reckoned: Counter[str] = Counter()
    days: Counter[str] = Counter()
    budget = Budget(name="team-x", soft_micros=Micros(1), period=Period.DAY, tags={"team": "x"})
    async with open_store(url, clock) as store:
        await store.set_budget(budget)
        runs = list(month(Random(5), make))

        async def pay(start, cost, _bill, team) -> None:
            reserved = team == "x"
            if reserved:
                assert await store.reserve(make.reservation(start, 20_000, team=team), []) is None
            charge = make.charge(start, cost, start.started_at_us + 60_000_000 * reserved, team=team)
            await store.charge(replace(charge, reserved=reserved), [])

        await asyncio.gather(*(pay(*run) for run in runs))
        for start, cost, bill, team in runs:
            reckoned[start.target] += cost
            invoices[start.target] += bill
            if team == "x":
                days[budget.label(start.started_at_us)] += bill
        before = {cost.by["target"]: cost.micros for cost in await store.costs(["target"], 0)}
        assert before == reckoned
        assert all(abs(before[target] - billed) <= 0.05 * billed for target, billed in invoices.items())
        entries = await lines(store)

        # The bill comes at the end of the month, and once again.
        clock.advance(31 * 86_400)
        for _ in range(2):
            bills = (store.correct(start.id, Micros(bill), clock.now_us(), "invoice") for start, _, bill, _ in runs)
            await asyncio.gather(*bills)
        after = await store.costs(["target"], 0)
        assert {cost.by["target"]: cost.micros for cost in after} == invoices
        assert (await lines(store))[: len(entries)] == entries
        times_us = [BEGAN_US + day * DAY_US for day in range(31)]
        stood = {each.label: each.spent_micros for at_us in times_us for each in await store.balances(at_us)}
        assert {label: spent for label, spent in stood.items() if spent} == days
        teams = await store.costs(["tag:team"], 0)
        assert next(cost.micros for cost in teams if cost.by["tag:team"] == "x") == sum(days.values())
        by_day = await store.costs(["day", "tag:team"], 0)
        assert {cost.by["day"]: cost.micros for cost in by_day if cost.by["tag:team"] == "x"} == days
        assert sum(cost.micros for cost in by_day) == sum(invoices.values())
        assert to_usd(sum(invoices.values())) > 25
        await check_books(store, *times_us)
