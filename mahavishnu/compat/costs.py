"""The seeds' keys of costs over a day, a week or a month: what they mean, and what the ledger says of it."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from pydantic import Field

from mahavishnu.compat.metrics import Count, Record, Usd
from mahavishnu.model import DAY_US
from mahavishnu.model.money import to_usd
from mahavishnu.ports import Store

_EPOCH = dt.date(1970, 1, 1)


_DAILY = re.compile(r"adapter:(.+):cost:daily:(\d{4}-\d\d-\d\d)")
_WEEKLY = re.compile(r"adapter:(.+):cost:weekly:(\d{4})-W(\d\d)")
_MONTHLY = re.compile(r"cost:total:monthly:(\d{4}):(\d{1,2})")


class CostAggregate(Record):
    """What was charged from one day until before another (UTC), as late bills have put it right; exact."""

    since: dt.date
    until: dt.date
    adapter: str | None = None
    executions: Count = 0
    total_cost_usd: Usd = Decimal(0)
    by_task_type: Mapping[str, Usd] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """Whose costs ("" for everybody's), from which day until before which."""

    every: str
    adapter: str
    since: dt.date
    until: dt.date


def read_span(text: str) -> Span | None:
    """What a key of this kind means; None where it is another one. A bare number of a week would come again every year.

    >>> span = read_span("adapter:local:cost:weekly:2026-W01")
    >>> span.adapter, str(span.since), str(span.until)
    ('local', '2025-12-29', '2026-01-05')
    >>> str(read_span("cost:total:monthly:2026:12").until)
    '2027-01-01'
    """
    try:
        if found := _DAILY.fullmatch(text):
            day = dt.date.fromisoformat(found[2])
            return Span("day", found[1], day, day + dt.timedelta(days=1))
        if found := _WEEKLY.fullmatch(text):
            monday = dt.date.fromisocalendar(int(found[2]), int(found[3]), 1)
            return Span("week", found[1], monday, monday + dt.timedelta(days=7))
        if found := _MONTHLY.fullmatch(text):
            first = dt.date(int(found[1]), int(found[2]), 1)
            return Span("month", "", first, (first + dt.timedelta(days=31)).replace(day=1))
    except (ValueError, OverflowError):
        # The 30th of February, a week 54, the end of the calendar.
        return None
    return None


async def cost_over(store: Store, span: Span) -> CostAggregate | None:
    """What the ledger says of it; None where it says nothing."""
    found = await store.costs(("adapter", "task_type"), _at_us(span.since), _at_us(span.until))
    ours = [each for each in found if span.adapter in ("", each.by["adapter"])]
    if not ours:
        return None
    spent: dict[str, int] = {}
    for each in ours:
        task_type = each.by["task_type"]
        spent[task_type] = spent.get(task_type, 0) + each.micros
    return CostAggregate(
        since=span.since,
        until=span.until,
        adapter=span.adapter or None,
        executions=sum(each.executions for each in ours),
        total_cost_usd=to_usd(sum(spent.values())),
        by_task_type={task_type: to_usd(micros) for task_type, micros in sorted(spent.items())},
    )


def _at_us(day: dt.date) -> int:
    return (day - _EPOCH).days * DAY_US
