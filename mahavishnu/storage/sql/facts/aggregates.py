"""The daily aggregates: adding facts to their days, reading the days, putting others in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, text, update

from mahavishnu.model import Daily, Scorecard, Status, day_of
from mahavishnu.model.unreadable import Unreadable
from mahavishnu.stats.evidence import Tally
from mahavishnu.storage.sql.connection.tables import dailies, executions, marks, outcomes
from mahavishnu.storage.sql.connection.transaction import Transaction
from mahavishnu.storage.sql.facts.documents import scorecard_json, scorecard_of
from mahavishnu.storage.sql.facts.fact_rows import escaped, unescaped
from mahavishnu.storage.sql.facts.facts_read import newest_position
from mahavishnu.storage.unreadable import read_one, say_once, shown

Cell = tuple[int, str, str]
"""Day, target and task type, the texts as they stand in the tables."""

FOLDED = "aggregates"
"""The mark up to which position the facts have been added to their days."""

REPLACED = "replaced"
"""The mark that counts how often days were put in the place of others, or dropped, with the cursor where it was."""

_STATUS = {status.value: status for status in Status}
_MARKS = select(marks)
_NUMBER = select(marks.c.position).where(marks.c.name == "store")
_MOVE = update(marks).where(marks.c.name == bindparam("name_"))
_KEEP = text(
    "INSERT INTO dailies (day, target, task_type, body) VALUES (:day, :target, :task_type, :body)"
    " ON CONFLICT (day, target, task_type) DO UPDATE SET body = excluded.body"
)
_SINCE = delete(dailies).where(dailies.c.day >= bindparam("day_"))
_BEFORE = delete(dailies).where(dailies.c.day < bindparam("day_"))
EARLIEST = -(2**62)

COUNTED = (
    executions.c.position,
    executions.c.started_at_us,
    executions.c.decision_id,
    executions.c.target,
    executions.c.task_type,
    executions.c.status,
    executions.c.ended_at_us,
    executions.c.latency_us,
    executions.c.latency_bucket,
    executions.c.cost_micros,
    executions.c.cost_bucket,
    executions.c.quality_ppm,
    executions.c.error_code,
    executions.c.queries,
    executions.c.input_tokens,
    executions.c.cached_tokens,
    executions.c.output_tokens,
)
REVISED = (
    outcomes.c.position,
    outcomes.c.of_us,
    outcomes.c.decision_id,
    outcomes.c.target,
    outcomes.c.task_type,
    outcomes.c.at_us,
    outcomes.c.samples,
    outcomes.c.successes,
    outcomes.c.quality_samples,
    outcomes.c.quality_ppm,
)
_ENDED = select(*COUNTED).where(
    executions.c.position > bindparam("since"),
    executions.c.position <= bindparam("upto"),
    executions.c.started_at_us >= bindparam("first_us"),
)
_CHANGED = select(*REVISED).where(
    outcomes.c.position > bindparam("since"),
    outcomes.c.position <= bindparam("upto"),
    outcomes.c.of_us >= bindparam("first_us"),
    outcomes.c.target.is_not(None),
)

Skips = Callable[[int, int, str], bool]
"""Whether a row is not to be counted, by its position, its day and its decision."""


class Days:
    """Tallies, day by day."""

    def __init__(self) -> None:
        self.tallies: dict[Cell, Tally] = {}

    def tally(self, cell: Cell) -> Tally:
        found = self.tallies.get(cell)
        if found is None:
            found = self.tallies[cell] = Tally()
        return found

    def count_executions(self, rows: Iterable[Sequence[Any]], skips: Skips | None = None) -> None:
        """Rows of `COUNTED`."""
        for (
            position, started_at_us, decision_id, target, task_type, status, ended_at_us, latency_us, latency_bucket,
            cost_micros, cost_bucket, quality, error_code, queries, fresh, cached, output,
        ) in rows:  # fmt: skip
            day = day_of(started_at_us)
            if skips is not None and skips(position, day, decision_id):
                continue
            if status not in _STATUS:
                say_once(Unreadable("execution of decision", decision_id, f'it has the unknown status "{status}"'))
                continue
            tally = self.tally((day, target, task_type))
            tally.count(
                _STATUS[status], ended_at_us or 0, latency_us, latency_bucket, cost_micros, cost_bucket, quality,
                error_code,
            )  # fmt: skip
            if queries:
                tally.queries += queries
            if fresh or cached or output:
                tally.count_tokens(fresh, cached, output)

    def count_revisions(self, rows: Iterable[Sequence[Any]], skips: Skips | None = None) -> None:
        """Rows of `REVISED`."""
        for position, of_us, decision_id, target, task_type, at_us, samples, successes, rated, ppm in rows:
            day = day_of(of_us)
            if skips is not None and skips(position, day, decision_id):
                continue
            self.tally((day, target, task_type)).revise(at_us, samples, successes, rated, ppm)

    def add_card(self, cell: Cell, card: Scorecard) -> None:
        """A card whose texts are as they stand in the tables."""
        self.tally(cell).add_card(card)

    def cards(self) -> Mapping[Cell, Scorecard]:
        """The texts as they stand in the tables."""
        return {cell: tally.card(cell[1], cell[2]) for cell, tally in self.tallies.items()}

    def dailies(self) -> list[Daily]:
        """In order, and in plain texts."""
        return in_order(Daily(day=cell[0], card=_plain(card)) for cell, card in self.cards().items())


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the aggregates have come; whoever changes them finds it as it was."""

    cursor: int
    replaced: int


@dataclass(frozen=True, slots=True)
class Addition:
    """What the next facts make of their days, worked out before the transaction that writes it."""

    before: Standing
    upto: int
    rows: Sequence[dict[str, Any]]


def standing(connection: Connection) -> Standing:
    return _standing(connection.execute(_MARKS).all())


def number_of_store(connection: Connection) -> int:
    """What tells this store from any other."""
    number: int = connection.execute(_NUMBER).scalar_one()
    return number


def lag(connection: Connection) -> int:
    """How many positions have not been folded yet."""
    return newest_position(connection) - standing(connection).cursor


def next_addition(connection: Connection, limit: int) -> Addition | None:
    """None where everything has been folded."""
    before = standing(connection)
    upto = min(before.cursor + max(limit, 1), newest_position(connection))
    if upto <= before.cursor:
        return None
    days = Days()
    count_facts(connection, days, before.cursor, upto)
    for day in sorted({cell[0] for cell in days.tallies}):
        for row in connection.execute(select(dailies).where(dailies.c.day == day)):
            cell = (row.day, row.target, row.task_type)
            if cell in days.tallies:
                days.add_card(cell, _card_in(row))
    return Addition(before, upto, [_row(cell, card) for cell, card in days.cards().items()])


def count_facts(
    connection: Connection,
    days: Days,
    since: int,
    upto: int,
    first_us: int = EARLIEST,
    skips: Skips | None = None,
) -> None:
    """Count what the tables hold after `since` and up to `upto`, of the days from `first_us` on."""
    about = {"since": since, "upto": upto, "first_us": first_us}
    days.count_executions(connection.execute(_ENDED, about), skips)
    days.count_revisions(connection.execute(_CHANGED, about), skips)


def add(transaction: Transaction, addition: Addition) -> bool:
    """Whether it was added; not, if somebody else came first: then it has to be worked out anew."""
    if _standing(transaction.find(_MARKS)) != addition.before:
        return False
    transaction.change_many(_KEEP, addition.rows)
    transaction.change(_MOVE, {"name_": FOLDED, "position": addition.upto})
    return True


def read_dailies(connection: Connection, since_day: int | None) -> tuple[int, list[Daily]]:
    """Rows and cursor of one moment: whoever folds in between makes it be read again."""
    statement = select(dailies)
    if since_day is not None:
        statement = statement.where(dailies.c.day >= since_day)
    while True:
        before = standing(connection)
        rows = connection.execute(statement).all()
        if standing(connection) == before:
            found = (Daily(day=row.day, card=_plain(_card_in(row))) for row in rows)
            return before.cursor, in_order(found)


def _card_in(row: Any) -> Scorecard:
    """Raises RecordUnreadable: a day that is left out would be counted on from nothing."""
    name = f"of {shown(row.task_type)} on {shown(row.target)}, day {row.day}"
    return read_one("daily sum", name, lambda: scorecard_of(row.body))


def replace_dailies(transaction: Transaction, cursor: int, found: Sequence[Daily], since_day: int | None) -> bool:
    before = _standing(transaction.find(_MARKS))
    if before.cursor != cursor:
        return False
    transaction.change(_SINCE, {"day_": EARLIEST if since_day is None else since_day})
    transaction.change_many(_KEEP, [_row_of(each) for each in found])
    _count_replacement(transaction, before)
    return True


def drop_dailies(transaction: Transaction, before_day: int) -> int:
    """Forget the days before this one; returns how many rows that were."""
    before = _standing(transaction.find(_MARKS))
    dropped = transaction.change(_BEFORE, {"day_": before_day})
    if dropped:
        _count_replacement(transaction, before)
    return dropped


def in_order(found: Iterable[Daily]) -> list[Daily]:
    return sorted(found, key=lambda each: (each.day, each.card.task_type, each.card.target))


def _count_replacement(transaction: Transaction, before: Standing) -> None:
    transaction.change(_MOVE, {"name_": REPLACED, "position": before.replaced + 1})


def _standing(rows: Sequence[Any]) -> Standing:
    found = {row.name: row.position for row in rows}
    return Standing(cursor=found[FOLDED], replaced=found[REPLACED])


def _row(cell: Cell, card: Scorecard) -> dict[str, Any]:
    day, target, task_type = cell
    return {"day": day, "target": target, "task_type": task_type, "body": scorecard_json(card)}


def _row_of(daily: Daily) -> dict[str, Any]:
    card = daily.card
    cell = daily.day, escaped(card.target), escaped(card.task_type)
    kept = replace(
        card,
        target=cell[1],
        task_type=cell[2],
        errors={escaped(code): count for code, count in card.errors.items()},
    )
    return _row(cell, kept)


def _plain(card: Scorecard) -> Scorecard:
    return replace(
        card,
        target=unescaped(card.target),
        task_type=unescaped(card.task_type),
        errors={unescaped(code): count for code, count in card.errors.items()},
    )
