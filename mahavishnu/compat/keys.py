"""The seeds' keys: what one means, and the record that stands under it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from mahavishnu.app import App
from mahavishnu.compat.costs import Span, cost_over, read_span
from mahavishnu.compat.metrics import (
    ABTest,
    AdapterStats,
    CostTracking,
    ExecutionRecord,
    Record,
    RoutingDecision,
    TaskTypeStats,
)
from mahavishnu.errors import UnknownName
from mahavishnu.jobs.experiments import run_of
from mahavishnu.jobs.experiments.report_files import reading_of
from mahavishnu.jobs.scores import fold_all
from mahavishnu.model import Scorecard
from mahavishnu.model.identity import is_ulid
from mahavishnu.ports import ExecutionQuery

_EPOCH = dt.date(1970, 1, 1)


class Form(StrEnum):
    """The forms that a key can have."""

    EXECUTION = "exec:{ulid}"
    ROUTING = "routing:{ulid}"
    ADAPTER = "adapter:{adapter}:stats"
    TASK_TYPE = "task_type:{type}:{adapter}"
    COST = "cost:{date}:{adapter}"
    AB_TEST = "ab_test:{id}"
    COST_DAILY = "adapter:{adapter}:cost:daily:{date}"
    COST_WEEKLY = "adapter:{adapter}:cost:weekly:{year}-W{week}"
    COST_MONTHLY = "cost:total:monthly:{year}:{month}"


_OVER = {"day": Form.COST_DAILY, "week": Form.COST_WEEKLY, "month": Form.COST_MONTHLY}


@dataclass(frozen=True, slots=True)
class Key:
    """A key, understood. `id` where it names one record, `adapter` (and more) where it names what is summed.

    `span` where that is the ledger's.
    """

    text: str
    form: Form
    id: str = ""
    adapter: str = ""
    task_type: str = ""
    date: dt.date = _EPOCH
    span: Span | None = None


def parse_key(text: str) -> Key:
    """Raises ValueError for what has no known form.

    >>> parse_key("task_type:a:b:local").task_type, parse_key("cost:2026-11-21:local").date.day
    ('a:b', 21)
    """
    if (span := read_span(text)) is not None:
        return Key(text, _OVER[span.every], adapter=span.adapter, span=span)
    form, _, rest = text.partition(":")
    head, _, tail = rest.rpartition(":")
    match form:
        case "exec" if is_ulid(rest):
            return Key(text, Form.EXECUTION, id=rest)
        case "routing" if is_ulid(rest):
            return Key(text, Form.ROUTING, id=rest)
        case "adapter" if head and tail == "stats":
            return Key(text, Form.ADAPTER, adapter=head)
        case "task_type" if head and tail:
            return Key(text, Form.TASK_TYPE, adapter=tail, task_type=head)
        case "cost" if tail and (date := _date(head)) is not None:
            return Key(text, Form.COST, adapter=tail, date=date)
        case "ab_test" if rest:
            return Key(text, Form.AB_TEST, id=rest)
    raise ValueError(f"must be one of {', '.join(Form)}, not {text:.80}")


async def get(app: App, key: str) -> Record:
    """The record under a key, as the seeds have it. Raises ValueError for no key, UnknownName for one of nothing."""
    meant = parse_key(key)
    if meant.span is not None:
        found: Record | None = await cost_over(app.store, meant.span)
        see = "mahavishnu costs"
    else:
        found = await _found(app, meant)
        see = "mahavishnu routing stats"
    if found is None:
        raise UnknownName(kind="record", name=key, see=see)
    return found


async def _found(app: App, meant: Key) -> Record | None:
    match meant.form:
        case Form.EXECUTION:
            execution = await app.store.execution(meant.id)
            return None if execution is None else ExecutionRecord.of(execution)
        case Form.ROUTING:
            decision = await app.store.decision(meant.id)
            return None if decision is None else RoutingDecision.of(decision)
        case Form.ADAPTER | Form.TASK_TYPE:
            stats = app.orchestrator.stats(meant.task_type or None)
            cards = await _of_adapter(app, meant.adapter, [each.scorecard for each in stats])
            if not cards:
                return None
            if meant.form is Form.ADAPTER:
                return AdapterStats.of(meant.adapter, cards)
            return TaskTypeStats.of(meant.task_type, meant.adapter, cards)
        case Form.COST:
            return await cost_on(app, meant)
        case _:
            return await ab_test_of(app, meant.id)


async def ab_test_of(app: App, name: str) -> ABTest:
    """How an experiment stands, as of its last check. Raises UnknownName."""
    run = await run_of(app.store, name)
    return ABTest.of(run, reading_of(run))


async def cost_on(app: App, key: Key) -> CostTracking:
    """What an adapter cost on one day, by the ledger: exact, however many of its raw facts were thinned or are gone.

    The day of an execution is the one on which it began; that of what it cost, the one that its budgets count it in.
    """
    await fold_all(app.store)
    day = (key.date - _EPOCH).days
    _, dailies = await app.store.dailies(day)
    cards = await _of_adapter(app, key.adapter, [each.card for each in dailies if each.day == day])
    spent = await cost_over(app.store, Span("day", key.adapter, key.date, key.date + dt.timedelta(days=1)))
    if not cards and spent is None:
        raise UnknownName(kind="record", name=key.text, see="mahavishnu costs")
    return CostTracking.of(key.date, key.adapter, cards, {} if spent is None else spent.by_task_type)


async def _of_adapter(app: App, adapter: str, cards: Sequence[Scorecard]) -> list[Scorecard]:
    """The cards of an adapter's targets, those that were removed since among them."""
    adapters = {each.target.name: each.target.adapter for each in app.orchestrator.standings()}
    for name in {card.target for card in cards} - adapters.keys():
        last = await app.store.executions(ExecutionQuery(last=1, target=name))
        adapters[name] = last[0].adapter if last else ""
    return [card for card in cards if adapters[card.target] == adapter]


def _date(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if len(text) == len("2026-11-21") else None
    except ValueError:
        return None
