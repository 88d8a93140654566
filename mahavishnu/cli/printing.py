"""What a command prints: JSON for programs, tables and lines for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNBOUNDED = 10_000
"""The width of a table that goes to a file or another program, which nobody wants to be cut."""


def moment(at_us: int | None) -> str | None:
    """A time as ISO 8601, UTC, to the microsecond.

    >>> moment(1_000_000)
    '1970-01-01T00:00:01.000000Z'
    """
    if at_us is None:
        return None
    return (_EPOCH + timedelta(microseconds=at_us)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def on_one_line(text: str) -> str:
    r"""Text from elsewhere, made safe for a terminal: no line breaks, no control characters.

    >>> on_one_line("a\nb\x1b[31mc")
    'a b [31mc'
    """
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def emit(value: Any) -> None:
    """JSON on stdout: indented for a person who looks at it, one line for a program."""
    indent = 2 if sys.stdout.isatty() else None
    sys.stdout.write(json.dumps(value, indent=indent, allow_nan=False) + "\n")


def emit_line(value: Any) -> None:
    """One of several JSON values on stdout, each on a line of its own and there at once."""
    sys.stdout.write(json.dumps(value, allow_nan=False) + "\n")
    sys.stdout.flush()


def piece(text: str) -> None:
    """A part of a text on stdout, there at once."""
    _write(sys.stdout, text, end="")
    sys.stdout.flush()


def line(text: str = "") -> None:
    """A line on stdout; what the terminal cannot show is escaped."""
    _write(sys.stdout, text)


def note(text: str) -> None:
    """A line on stderr, beside what is printed."""
    _write(sys.stderr, text)


def _write(stream: TextIO, text: str, end: str = "\n") -> None:
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + end)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str) -> None:
    """A table on stdout, or the sentence that says why there is none. Numbers stand to the right."""
    if not rows:
        line(empty)
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for place, column in enumerate(columns):
        numeric = all(isinstance(row[place], int | float | None) and not isinstance(row[place], bool) for row in rows)
        drawn.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(_cell(each)) for each in row))
    Console(width=None if sys.stdout.isatty() else _UNBOUNDED).print(drawn)


def _cell(value: Any) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
        case list() | tuple() | set() | frozenset():
            return ", ".join(sorted(str(each) for each in value)) or "-"
        case _:
            return on_one_line(str(value))


def pairs(rows: Sequence[tuple[str, Any]]) -> None:
    """Names and values, one a line."""
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        line(f"{name:<{width}}  {_cell(value)}")


@contextmanager
def waiting(message: str) -> Iterator[None]:
    """A spinner on stderr while something takes its time, where somebody is looking."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(message):
        yield
