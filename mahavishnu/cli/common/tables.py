"""Tables for people: which columns matter, what fits the terminal, and where a line may break."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mahavishnu.cli.common.printing import cell, line, note, prose, terminal_width

_GAP = "  "
_ID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_AMOUNT = re.compile(r"-?\d+(\.\d+)?")
_SHORTEST_ID = 8
_NARROWEST_TEXT = 16
"""A text that has to wrap is given this many letters at the least; where there is less, a column goes instead."""

_LONGEST_WORD = 16
"""A longer word of a text, such as a URL, may break where no column is left that could go."""


@dataclass(frozen=True, slots=True)
class Table:
    """The columns in the order in which they are drawn.

    `drops` names those that may be left out where the terminal is too narrow, the least important one first. Every
    other column is always there.
    """

    columns: tuple[str, ...]
    drops: tuple[str, ...] = ()

    def show_shapes(self, shapes: Sequence[Mapping[str, Any]], *, empty: str = "", wide: bool = False) -> None:
        """The same of rows that have a value for each column by its name, and may have more."""
        self.show([[shape[column] for column in self.columns] for shape in shapes], empty=empty, wide=wide)

    def show(self, rows: Sequence[Sequence[Any]], *, empty: str = "", wide: bool = False) -> None:
        """The table on stdout, or the sentence that says why there is none. What was left out is said on stderr."""
        if not rows:
            prose(empty)
            return
        width = None if wide else terminal_width()
        lines, left_out = drawn(self, rows, width)
        for each in lines:
            line(each)
        if left_out:
            note(f"Not shown: {', '.join(left_out)}; --wide shows every column.")


# -- drawing -----------------------------------------------------------------------------------------------------------


def drawn(table: Table, rows: Sequence[Sequence[Any]], width: int | None) -> tuple[list[str], list[str]]:
    """The lines of a table that is at most that wide, and the names of the columns that were left out for it."""
    values = {name: [row[index] for row in rows] for index, name in enumerate(table.columns)}
    if width is None:
        columns = [_column(name, values[name]) for name in table.columns]
        return _lines(columns, [each.natural for each in columns]), []
    held = {name: _column(name, _shortened(values[name])) for name in table.columns}
    shown, left_out = list(table.columns), []
    for name in table.drops:
        if _least([held[each] for each in shown]) <= width:
            break
        shown.remove(name)
        left_out.append(name)
    columns = [held[name] for name in shown]
    return _lines(columns, _widths(columns, width)), [name for name in table.columns if name in left_out]


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    cells: tuple[str, ...]
    numeric: bool

    @property
    def natural(self) -> int:
        return max(map(len, (self.name, *self.cells)))

    @property
    def least(self) -> int:
        """As narrow as it can be without a word, a number or an id that breaks."""
        longest = max(len(word) for cell in (self.name, *self.cells) for word in cell.split() or [""])
        return max(longest, min(self.natural, _NARROWEST_TEXT))


def _column(name: str, values: Sequence[Any]) -> _Column:
    return _Column(name, tuple(cell(value) for value in values), all(_is_number(value) for value in values))


def _is_number(value: Any) -> bool:
    """Amounts of money are numbers too, though they are held as text."""
    if isinstance(value, str):
        return _AMOUNT.fullmatch(value) is not None
    return isinstance(value, int | float | None) and not isinstance(value, bool)


def _least(columns: Iterable[_Column]) -> int:
    widths = [each.least for each in columns]
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _widths(columns: Sequence[_Column], width: int) -> list[int]:
    """What each column gets: what it needs, and of what is left as much as it can use, the shortest first."""
    widths = [each.least for each in columns]
    spare = width - sum(widths) - len(_GAP) * (len(columns) - 1)
    for index in sorted(range(len(columns)), key=lambda index: -widths[index]):
        less = min(-spare, widths[index] - max(_LONGEST_WORD, len(columns[index].name)))
        if less > 0 and not columns[index].numeric:
            widths[index] -= less
            spare += less
    wanting = sorted(range(len(columns)), key=lambda index: columns[index].natural - widths[index])
    for nth, index in enumerate(wanting):
        more = max(0, min(columns[index].natural - widths[index], spare // (len(wanting) - nth)))
        widths[index] += more
        spare -= more
    return widths


def _lines(columns: Sequence[_Column], widths: Sequence[int]) -> list[str]:
    head = [*_row([each.name for each in columns], columns, widths), _GAP.join("-" * width for width in widths)]
    rows = zip(*(each.cells for each in columns), strict=True)
    return head + [text for row in rows for text in _row(row, columns, widths)]


def _row(cells: Sequence[str], columns: Sequence[_Column], widths: Sequence[int]) -> list[str]:
    folded = [
        textwrap.wrap(cell, width, break_on_hyphens=False) or [""] for cell, width in zip(cells, widths, strict=True)
    ]
    lines = []
    for nth in range(max(map(len, folded))):
        parts = [cell[nth] if nth < len(cell) else "" for cell in folded]
        aligned = (
            part.rjust(width) if column.numeric else part.ljust(width)
            for part, column, width in zip(parts, columns, widths, strict=True)
        )
        lines.append(_GAP.join(aligned).rstrip())
    return lines


# -- ids and times -----------------------------------------------------------------------------------------------------


def _shortened(values: Sequence[Any]) -> list[Any]:
    """Ids by their shortest tail that no other id of the column has, times to the second."""
    ids = {value for value in values if isinstance(value, str) and _ID.fullmatch(value)}
    length = tail_length(ids)
    return [_short(value, length) for value in values]


def _short(value: Any, length: int) -> Any:
    if not isinstance(value, str):
        return value
    if _ID.fullmatch(value):
        return value[-length:]
    return f"{value[:19]}Z" if _TIME.fullmatch(value) else value


def tail_length(ids: Iterable[str]) -> int:
    """How many letters at the end tell these ids apart. The head of a ULID is time, which rows of a minute share.

    >>> tail_length({"01ARYZ6S410000000000000000", "01ARYZ6S420000000000000000"})
    17
    """
    known = set(ids)
    length = _SHORTEST_ID
    while len({each[-length:] for each in known}) < len(known):
        length += 1
    return length
