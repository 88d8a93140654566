"""Planning: the linear program over what is known now, its prices for the next decisions, frontiers and hints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from mahavishnu.errors import SnapshotConflict
from mahavishnu.jobs.names import Kind
from mahavishnu.jobs.publishing import TRIES, Published, publish
from mahavishnu.jobs.scores import fold_all, scorecards
from mahavishnu.model import DAY_US, Balance, Daily, Scorecard, day_of
from mahavishnu.model.snapshot import Key
from mahavishnu.planning.allocation import solve, worth
from mahavishnu.planning.hints import Hint, hints
from mahavishnu.planning.prices import prices
from mahavishnu.planning.terms import Capacity, Impossible, Offer, Plan, Problem, Promise, Spending, Worth, offer
from mahavishnu.ports import Clock, Store
from mahavishnu.settings import Settings
from mahavishnu.stats.evidence import estimate

VOLUME_DAYS = 7
"""The days from whose traffic that of the next ones is expected."""

_LEAST_US = 3_600_000_000
"""An hour: from less nobody can tell how much there is in a day, and what is left of a period is never less."""

_HOURS = 24.0


OVERALL = "--budget"
"""The name of a limit for all tasks together, which no budget need carry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a plan is asked for beside the budgets that there are: what if."""

    usd: Mapping[str, float]
    volumes: Mapping[str, float]
    capacities: Mapping[str, float]
    promises: Sequence[Promise] = ()


NOTHING_ELSE = Wanted(usd={}, volumes={}, capacities={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The problem of a day, its solution, and what its bounds are worth."""

    problem: Problem
    plan: Plan | Impossible
    worths: Sequence[Worth] = ()

    @property
    def feasible(self) -> bool:
        return not isinstance(self.plan, Impossible)


async def plan(store: Store, clock: Clock, settings: Settings, wanted: Wanted = NOTHING_ELSE) -> Planned:
    """The mix of targets that brings most successes in a day like the last ones, under the budgets as they are set."""
    cards, dailies = await _known(store, clock, settings)
    balances = await store.balances(clock.now_us())
    budgets = {each.name: each for each in (_by_the_day(each) for each in balances) if each is not None}
    for name, usd in wanted.usd.items():
        budgets[name] = replace(budgets.get(name, Spending(name=name, usd=usd)), usd=usd)
    volumes = {**runs_a_day(dailies, clock.now_us()), **wanted.volumes}
    problem = Problem(
        offers=await _offers(store, settings, cards),
        volumes={kind: volume for kind, volume in volumes.items() if volume > 0},
        spendings=list(budgets.values()),
        capacities=[Capacity(target=target, runs=runs) for target, runs in wanted.capacities.items()],
        promises=wanted.promises,
    )
    found = solve(problem)
    if isinstance(found, Impossible):
        return Planned(problem=problem, plan=found)
    worths = [each for name in found.prices if isinstance(each := worth(problem, name), Worth)]
    return Planned(problem=problem, plan=found, worths=worths)


async def prices_now(store: Store, clock: Clock, settings: Settings) -> dict[str, float]:
    """What a dollar is worth elsewhere until this is asked again: by what is left of each budget, and still to come.

    Everything by the hour, because the periods of budgets end at different times. A budget without end has no pace, and
    one for tasks with a certain tag holds up nobody else.
    """
    now_us = clock.now_us()
    paced = [spending for each in await store.balances(now_us) if (spending := _by_the_hour(each, now_us)) is not None]
    if not paced:
        return {}
    cards, dailies = await _known(store, clock, settings)
    volumes = {kind: volume / _HOURS for kind, volume in runs_a_day(dailies, now_us).items()}
    offers = await _offers(store, settings, cards)
    problem = Problem(offers=offers, volumes=volumes, spendings=paced, period="hour")
    # The same facts give the same prices, whoever works them out.
    return {kind: price for kind, price in prices(problem, Random(now_us // _LEAST_US)).items() if price > 0}


async def publish_prices(store: Store, clock: Clock, settings: Settings) -> Published:
    """Publish what a dollar is worth now, where that has moved by more than a hundredth."""
    for _ in range(TRIES):
        before = await store.latest()
        found = await prices_now(store, clock, settings)
        if not _moved(before.prices, found):
            return Published(before, before)
        after = replace(
            before,
            version=before.version + 1,
            published_at_us=clock.now_us(),
            prices=found,
            notes=_notes(before.prices, found),
        )
        if await publish(store, after):
            return Published(before, after)
    raise SnapshotConflict(version=after.version)


async def hints_now(store: Store, clock: Clock, settings: Settings) -> list[Hint]:
    """Where a cheaper target would do, by the traffic of the last days."""
    cards, dailies = await _known(store, clock, settings)
    days = _days(dailies, clock.now_us())
    runs: dict[Key, float] = {}
    for each in dailies:
        key = (each.card.target, each.card.task_type)
        runs[key] = runs.get(key, 0.0) + each.card.samples / days / _HOURS
    return hints(cards.values(), runs)


async def _known(store: Store, clock: Clock, settings: Settings) -> tuple[dict[Key, Scorecard], Sequence[Daily]]:
    """The scorecards as of now, and the last days as they were."""
    await fold_all(store)
    today = day_of(clock.now_us())
    _, dailies = await store.dailies(today - settings.evidence.window_days + 1)
    cards = scorecards(dailies, today, settings.evidence)
    return cards, [each for each in dailies if today - VOLUME_DAYS < each.day <= today]


async def _offers(store: Store, settings: Settings, cards: Mapping[Key, Scorecard]) -> list[Offer]:
    """What the targets bring that are not switched off."""
    adapters = {each.name: each.adapter for each in (*settings.targets.values(), *await store.targets())}
    off = {name for name, enabled in (await store.switches()).items() if not enabled}
    offers = (
        offer(task_type, target, estimate(card), adapters.get(target, ""))
        for (target, task_type), card in cards.items()
        if target not in off
    )
    return [each for each in offers if each is not None]


def names_in(wanted: Wanted) -> list[tuple[Kind, str]]:
    """The names that it goes by, as `names.check_known` takes them."""
    promised = [promise.task_type for promise in wanted.promises]
    return [
        *((Kind.BUDGET, name) for name in wanted.usd if name != OVERALL),
        *((Kind.TASK_TYPE, name) for name in (*wanted.volumes, *promised)),
        *((Kind.TARGET, name) for name in wanted.capacities),
    ]


def runs_a_day(dailies: Sequence[Daily], now_us: int) -> dict[str, float]:
    """How many runs of each task type a day has, by the last ones."""
    days = _days(dailies, now_us)
    volumes: dict[str, float] = {}
    for each in dailies:
        volumes[each.card.task_type] = volumes.get(each.card.task_type, 0.0) + each.card.samples / days
    return volumes


def _days(dailies: Sequence[Daily], now_us: int) -> float:
    """How many days these are: those before today in full, today as far as it has come."""
    first = min((each.day for each in dailies), default=day_of(now_us))
    return max(now_us - first * DAY_US, _LEAST_US) / DAY_US


def _by_the_day(balance: Balance) -> Spending | None:
    """What a budget allows for a day, on average; None for one without a limit or an end."""
    start_us, end_us = balance.budget.bounds_us(0)
    return _spending(balance, balance.budget.hard_micros, start_us, end_us, DAY_US)


def _by_the_hour(balance: Balance, now_us: int) -> Spending | None:
    """What is left of a budget for each hour until its period turns."""
    _, end_us = balance.budget.bounds_us(now_us)
    return _spending(balance, balance.room_micros, now_us, end_us, _LEAST_US)


def _spending(balance: Balance, micros: int | None, start_us: int, end_us: int | None, each_us: int) -> Spending | None:
    budget = balance.budget
    if micros is None or end_us is None or budget.tags:
        return None
    return Spending(
        name=budget.name,
        usd=micros / 1e6 * each_us / max(end_us - start_us, _LEAST_US),
        task_type=budget.task_type,
        target=budget.target,
        adapter=budget.adapter,
    )


def _moved(before: Mapping[str, float], now: Mapping[str, float]) -> bool:
    if before.keys() != now.keys():
        return True
    return any(abs(price - before[kind]) > 0.01 * before[kind] for kind, price in now.items())


def _notes(before: Mapping[str, float], now: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(_told(kind, before.get(kind), now.get(kind)) for kind in sorted({*before, *now}))


def _told(task_type: str, before: float | None, now: float | None) -> str:
    """A price in words.

    >>> _told("etl", None, 3.6), _told("etl", 3.6, None)
    ('etl: a dollar is worth 3.6 successes', 'etl: a dollar is worth nothing: there is enough')
    """
    if now is None:
        return f"{task_type}: a dollar is worth nothing: there is enough"
    was = "" if before is None else f", {before:.3g} before"
    return f"{task_type}: a dollar is worth {now:.3g} successes{was}"
