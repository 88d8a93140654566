"""What a command prints: JSON for programs, tables and lines for people."""

from __future__ import annotations

import json
import os
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

from mahavishnu.cli.common import answer

_COMMAND = re.compile(r'(?:(?<=: )|(?<=[("]))mahavishnu [^;,.()"]*')
"""A command that a sentence tells to run."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
    indent = 2 if answer.stream().isatty() else None
    answer.stream().write(json.dumps(value, indent=indent, allow_nan=False) + "\n")


def emit_line(value: Any) -> None:
    """One of several JSON values on stdout, each on a line of its own and there at once."""
    answer.stream().write(json.dumps(value, allow_nan=False) + "\n")
    flush()


def piece(text: str) -> None:
    """A part of a text on stdout, there at once."""
    _write(answer.stream(), text, end="")
    flush()


def flush() -> None:
    """Have what was printed so far on stdout at once, for those that wait at the other end of a pipe."""
    answer.stream().flush()


def line(text: str = "") -> None:
    """A line on stdout; what the terminal cannot show is escaped."""
    _write(answer.stream(), text)


def note(text: str) -> None:
    """A sentence on stderr, beside what is printed."""
    for each in wrapped(text, terminal_width(sys.stderr)):
        _write(sys.stderr, each)


def prose(text: str) -> None:
    """Sentences on stdout, broken between words where a terminal shows them."""
    for each in wrapped(text, terminal_width()):
        line(each)


def wrapped(text: str, width: int | None) -> list[str]:
    """The lines of a text. A command in it stays on one line, so that it can be copied.

    >>> wrapped("No order yet; run: mahavishnu routing recalculate", 30)
    ['No order yet; run:', 'mahavishnu routing recalculate']
    """
    if width is None or len(text) <= width:
        return [text]
    whole = _COMMAND.sub(lambda command: command[0].replace(" ", "\N{NO-BREAK SPACE}"), text)
    lines = textwrap.wrap(whole, width, break_long_words=False, break_on_hyphens=False)
    return [each.replace("\N{NO-BREAK SPACE}", " ") for each in lines]


def terminal_width(stream: TextIO | None = None) -> int | None:
    """How many letters a line of stdout, or of that stream, has; None where nothing bounds it: for files and programs.

    COLUMNS says it for a pipe as well: it is exported only by those who want a width.
    """
    given = os.environ.get("COLUMNS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    shown_on = stream or answer.stream()
    if not shown_on.isatty():
        return None
    return os.get_terminal_size(shown_on.fileno()).columns or 80


def _write(stream: TextIO, text: str, end: str = "\n") -> None:
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + end)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str) -> None:
    """A table on stdout all of whose columns matter, or the sentence that says why there is none."""
    from mahavishnu.cli.common.tables import Table

    Table(tuple(columns)).show(rows, empty=empty)


def cell(value: Any) -> str:
    """A value as it stands in a table.

    >>> [cell(each) for each in (None, True, 0.00001234, 12345.6, {"b", "a"})]
    ['-', 'yes', '1.234e-05', '12346', 'a, b']
    """
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
    margin = max(len(name) for name, _ in rows) + 2
    width = terminal_width()
    for name, value in rows:
        first, *more = wrapped(cell(value), None if width is None else max(width - margin, margin))
        line(f"{name:<{margin}}{first}")
        for each in more:
            line(f"{'':<{margin}}{each}")


@contextmanager
def waiting(message: str) -> Iterator[None]:
    """A spinner on stderr while something takes its time, where somebody is looking."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(message):
        yield
