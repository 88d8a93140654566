"""mahavishnu budgets bill: what a run came to cost after all."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mahavishnu.cli.common import amounts
from mahavishnu.cli.common.amounts import usd_text
from mahavishnu.cli.common.arguments import bad
from mahavishnu.cli.common.exits import BAD_INPUT, end_badly
from mahavishnu.cli.common.flags import Json, Wide, with_store
from mahavishnu.cli.common.ids import MaybeExecutionId
from mahavishnu.cli.common.printing import emit, line
from mahavishnu.cli.money.budget_view import entry_shape, show_entries
from mahavishnu.errors import UnknownName
from mahavishnu.model import LedgerEntry, Micros

if TYPE_CHECKING:
    from mahavishnu.ports import Store

_EXECUTION, _AMOUNT, _NOTE = "execution_id", "amount", "note"


@dataclass(frozen=True, slots=True)
class Bill:
    """What an execution came to in all."""

    execution_id: str
    micros: Micros
    note: str = ""


@dataclass(frozen=True, slots=True)
class Billed:
    """What became of bills: entries over the differences, and the executions that nothing was charged for."""

    bills: int
    entries: Sequence[LedgerEntry]
    unknown: Sequence[str]


def bill(
    ctx: typer.Context,
    execution_id: MaybeExecutionId = None,
    amount: Annotated[str | None, typer.Argument(metavar="USD", help="What the run cost in all.")] = None,
    remark: Annotated[
        str, typer.Option("--note", help="A note that is kept with the entry, such as an invoice number.")
    ] = "",
    file: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            help="Read many bills from a file with the columns execution_id, amount and, optionally, note.",
        ),
    ] = None,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """Correct the ledger by a late bill: adds an entry over the difference.

    The correction counts in the budgets and periods in which the run counted. The
    same bill again changes nothing.

    Example: mahavishnu budgets bill 01KB2Q7YV0S3J4N5P6R7T8V9WX 0.0123 --note "invoice 17"
    """
    bills = _bills(execution_id, amount, remark, file)
    found = with_store(ctx, lambda store: _correct(store, bills), make=False)
    if as_json:
        entries = [entry_shape(each) for each in found.entries]
        emit({"bills": found.bills, "entries": entries, "unknown": list(found.unknown)})
    else:
        _show(found, wide=wide)
    if found.unknown:
        error = UnknownName(kind="charged execution", name=found.unknown[0], see="mahavishnu executions")
        if file is None:
            raise error
        unknown = len(found.unknown)
        sentence = f"{unknown} of {found.bills} bills are for executions without a charge: {_some(found.unknown)}."
        end_badly(
            sentence, code="unknown-bills", as_json=as_json, exit_code=BAD_INPUT, unknown=unknown, bills=found.bills
        )


def _bills(execution_id: str | None, amount: str | None, remark: str, file: Path | None) -> Sequence[Bill]:
    if file is not None:
        if execution_id is not None:
            raise bad("--csv", "stands for EXECUTION_ID and USD; give one or the other")
        return read_bills(file)
    if execution_id is None or amount is None:
        raise bad("EXECUTION_ID USD", "are missing; give both, or many with --csv")
    return [Bill(execution_id, amounts.micros(amount, "USD"), remark)]


def read_bills(path: Path) -> Sequence[Bill]:
    """Every line is looked at before anything is written down."""
    try:
        from mahavishnu.settings import MOST_LINES_BYTES, text_of

        rows = csv.DictReader(StringIO(text_of(path, MOST_LINES_BYTES), newline=""))
        if missing := {_EXECUTION, _AMOUNT} - set(rows.fieldnames or ()):
            raise bad("--csv", f"{path} has no column {' and no column '.join(sorted(missing))}")
        return [_bill(path, rows.line_num, row) for row in rows]
    except OSError as error:
        raise bad("--csv", f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise bad("--csv", f"{path} is no CSV in UTF-8: {error}") from None


def _bill(path: Path, number: int, row: dict[str, str | None]) -> Bill:
    execution_id = (row[_EXECUTION] or "").strip()
    if not execution_id:
        raise bad("--csv", f"{path}, line {number}: has no {_EXECUTION}")
    try:
        micros = amounts.micros(row[_AMOUNT] or "", "--csv")
    except typer.BadParameter as problem:
        raise bad("--csv", f"{path}, line {number}: {problem.message}") from None
    return Bill(execution_id, micros, row.get(_NOTE) or "")


async def _correct(store: Store, bills: Sequence[Bill]) -> Billed:
    from mahavishnu.engine.clock import SystemClock

    clock = SystemClock()
    entries: list[LedgerEntry] = []
    unknown: list[str] = []
    for each in bills:
        try:
            entry = await store.correct(each.execution_id, each.micros, clock.now_us(), each.note)
        except UnknownName:
            unknown.append(each.execution_id)
        else:
            entries += [] if entry is None else [entry]
    return Billed(len(bills), entries, unknown)


def _show(found: Billed, *, wide: bool) -> None:
    more = usd_text(sum(each.micros for each in found.entries))
    as_charged = found.bills - len(found.entries) - len(found.unknown)
    line(
        f"{found.bills} {'bill' if found.bills == 1 else 'bills'}: {as_charged} as charged, ${more} more than charged."
    )
    if found.entries:
        line()
        show_entries(found.entries, empty="", wide=wide)


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:3]) + (", …" if len(ids) > 3 else "")
