"""mahavishnu budgets set, list, show and remove: what may be spent, and how it stands."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mahavishnu.cli.common import amounts, arguments
from mahavishnu.cli.common.arguments import bad
from mahavishnu.cli.common.columns import BUDGETS
from mahavishnu.cli.common.completion import budget_names, periods, target_names, task_types
from mahavishnu.cli.common.flags import Force, Json, Wide, flags_of, with_store
from mahavishnu.cli.common.layout import Group
from mahavishnu.cli.common.printing import emit, line, note, pairs, prose
from mahavishnu.cli.money import budget_view
from mahavishnu.cli.money.budget_view import budget_shape, entry_shape
from mahavishnu.errors import UnknownName, nearest_name
from mahavishnu.model import Balance, Budget, LedgerEntry, OnExhausted
from mahavishnu.model.queued import QueueStatus
from mahavishnu.model.task import NAME

if TYPE_CHECKING:
    from mahavishnu.ports import Store

group = Group(help="Manage budgets, the queue of tasks that wait for one, and late bills.")

BudgetName = Annotated[str, typer.Argument(metavar="NAME", help="Its name.", autocompletion=budget_names)]

NONE = "none"
"""What is typed to take a limit, or what narrows a budget down, away again."""


@group.command("set")
def set_budget(
    ctx: typer.Context,
    name: BudgetName,
    limit: Annotated[
        str | None, typer.Option(metavar="USD", help="Hard limit: the most that may be spent in a period.")
    ] = None,
    soft: Annotated[
        str | None, typer.Option(metavar="USD", help="Soft limit: an alert opens when it is reached.")
    ] = None,
    period: Annotated[
        str | None,
        typer.Option(
            metavar="PERIOD",
            help="The period after which the budget starts again: hour, day, week, month, or total for never; "
            "hourly, daily, weekly and monthly mean the same. Default: total.",
            autocompletion=periods,
        ),
    ] = None,
    zone: Annotated[
        str | None,
        typer.Option(
            metavar="ZONE", help="Time zone whose midnight ends a period, such as Europe/Vienna. Default: UTC."
        ),
    ] = None,
    task_type: Annotated[
        str | None, typer.Option("--task-type", "-t", help="Only tasks of this type.", autocompletion=task_types)
    ] = None,
    target: Annotated[str | None, typer.Option(help="Only this target.", autocompletion=target_names)] = None,
    adapter: Annotated[str | None, typer.Option(help="Only targets of this adapter.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Only tasks with this label. Repeatable.")
    ] = None,
    on_exhausted: Annotated[
        OnExhausted | None, typer.Option(help="What happens to a task that has no room. Default: reject.")
    ] = None,
    max_age: Annotated[
        str | None, typer.Option(metavar="AGE", help="How long a task may wait in the queue. Default: 24h.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Create or change a budget. What is not given stays as it was, and so does what was spent.

    A budget without a restriction covers every run. A run counts in all budgets
    that cover it, and needs room in each. The word "none" removes a limit or a
    restriction.

    Example: mahavishnu budgets set search --limit 25 --soft 20 --period day --tag team=search
    """
    typed = {
        "hard_micros": limit,
        "soft_micros": soft,
        "period": period,
        "zone": zone,
        "task_type": task_type,
        "target": target,
        "adapter": adapter,
        "tags": tag or None,
        "on_exhausted": on_exhausted,
        "max_age_s": max_age,
    }
    changes = {field: _read(field, each) for field, each in typed.items() if each is not None}
    new: dict[str, Any] = {"name": name, **changes}
    now_us = _now_us()
    settings = flags_of(ctx).settings()

    async def act(store: Store) -> Balance:
        from mahavishnu.jobs.names import Kind, check_known

        if not force:
            narrowed = [(kind, changes.get(kind.name.lower())) for kind in (Kind.TASK_TYPE, Kind.TARGET, Kind.ADAPTER)]
            await check_known(store, settings, narrowed, forcible=True)
        before = {each.budget.name: each.budget for each in await store.balances(now_us)}
        # Of one that cannot be read, what could be read of it stays.
        budget = replace(before[name], **{"unreadable": None, **changes}) if name in before else Budget(**new)
        await store.set_budget(budget)
        return await _find(store, name, now_us)

    balance = with_store(ctx, act)
    if as_json:
        emit(budget_shape(balance, now_us))
    else:
        budget_view.say(balance, now_us)


@group.command("list")
def list_budgets(
    ctx: typer.Context,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """List all budgets and what is left of each.

    Example: mahavishnu budgets list
    """
    now_us = _now_us()
    found = with_store(ctx, lambda store: store.balances(now_us), make=False)
    if as_json:
        emit([budget_shape(each, now_us) for each in found])
        return
    rows = [budget_view.row(each, now_us) for each in found]
    BUDGETS.show_shapes(rows, empty="No budget yet; make one: mahavishnu budgets set NAME --limit 25", wide=wide)
    budget_view.note_unreadable(found)


@group.command()
def show(
    ctx: typer.Context,
    name: BudgetName,
    last: Annotated[int, typer.Option(min=0, max=100_000, help="How many of its newest entries to show.")] = 10,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """Show one budget: its limits, what was spent in this period, and its last ledger entries.

    Example: mahavishnu budgets show search
    """
    now_us = _now_us()

    async def look(store: Store) -> tuple[Balance, Sequence[LedgerEntry]]:
        balance = await _find(store, name, now_us)
        return balance, await _last_entries(store, balance, now_us, last)

    balance, entries = with_store(ctx, look, make=False)
    shape = budget_shape(balance, now_us)
    if as_json:
        emit({**shape, "entries": [entry_shape(each) for each in entries]})
        return
    prose(f"Budget {name}: {budget_view.terms(balance.budget)}.")
    budget_view.note_unreadable([balance])
    line()
    pairs([(each, shape[each]) for each in budget_view.STANDING])
    if last:
        line()
        budget_view.show_entries(entries, empty="No ledger entry in this period.", wide=wide)


@group.command()
def remove(
    ctx: typer.Context,
    name: BudgetName,
    as_json: Json = False,
) -> None:
    """Remove a budget. What was spent stays in the ledger.

    Example: mahavishnu budgets remove search
    """

    async def act(store: Store) -> int:
        await _find(store, name, _now_us())
        await store.remove_budget(name)
        return sum(each.budget == name for each in await store.queued(QueueStatus.WAITING))

    left = with_store(ctx, act, make=False)
    if as_json:
        emit({"budget": name, "removed": True, "waiting": left})
    else:
        prose(f"Removed budget {name}.")
    if left:
        note(f"{'1 task still waits' if left == 1 else f'{left} tasks still wait'}; run: mahavishnu budgets drain")


# -- what was typed, and what is there ---------------------------------------------------------------------------------


def _word(argument: str) -> Callable[[str], str]:
    def read(given: str) -> str:
        if not NAME.fullmatch(given):
            raise bad(argument, f"must be one word of letters, digits and _.:/@-, not {given!r:.80}")
        return given

    return read


_MAY_GO: Mapping[str, Callable[[str], object]] = {
    "hard_micros": lambda given: amounts.micros(given, "--limit"),
    "soft_micros": lambda given: amounts.micros(given, "--soft"),
    "task_type": _word("--task-type"),
    "target": _word("--target"),
    "adapter": _word("--adapter"),
}


def _read(field: str, typed: Any) -> Any:
    """What a field of a budget is to be."""
    if field in _MAY_GO:
        return None if typed == NONE else _MAY_GO[field](typed)
    match field:
        case "tags":
            return {} if typed == [NONE] else arguments.pairs(typed, "--tag")
        case "period":
            return amounts.period(typed, "--period")
        case "max_age_s":
            return amounts.seconds(typed, "--max-age")
        case _:
            return typed


def _now_us() -> int:
    from mahavishnu.engine.clock import SystemClock

    return SystemClock().now_us()


async def _find(store: Store, name: str, now_us: int) -> Balance:
    balances = {each.budget.name: each for each in await store.balances(now_us)}
    if name not in balances:
        raise UnknownName(kind="budget", name=name, nearest=nearest_name(name, balances), see="mahavishnu budgets list")
    return balances[name]


async def _last_entries(store: Store, balance: Balance, now_us: int, last: int) -> Sequence[LedgerEntry]:
    """The newest of its period, in the order in which they were written."""
    newest: deque[LedgerEntry] = deque(maxlen=last)
    began_us, _ = balance.budget.bounds_us(now_us)
    async for entry in store.entries(began_us):
        if any((each.budget, each.label) == (balance.budget.name, balance.label) for each in entry.accounts):
            newest.append(entry)
    return tuple(newest)
