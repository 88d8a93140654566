"""Reading files that were named by hand: within bounds of size, time and depth, whatever the name stands for."""

from __future__ import annotations

import errno
import os
import re
import select
import stat
import tomllib
from pathlib import Path
from typing import Any

from mahavishnu.model.values import DEEPEST, depth

MOST_BYTES = 10_000_000
"""More than any file of settings, a workflow or an experiment has."""

MOST_LINES_BYTES = 256_000_000
"""For files of many lines: tasks, bills."""

PATIENCE_S = 5.0
"""How long nothing may come out of a pipe before reading it is given up."""

_DEVICE_BYTES = 1_000_000
_AT_ONCE = 1 << 20

# tomllib takes a time that grows with the square of the parts of a dotted key: a line of a megabyte would take hours.
# Looked for anywhere in the text, because keys may also stand within inline tables.
_SEGMENT = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(rf"(?<![\w-]){_SEGMENT}(?:[ \t]*+\.[ \t]*+{_SEGMENT}){{{DEEPEST},}}+")


class NotToml(ValueError):
    """What is wrong with a text that ought to be TOML, and on which line, where that is known."""

    def __init__(self, what: str, place: str = "") -> None:
        super().__init__(f"{what} (at {place})" if place else what)
        self.what = what
        self.place = place


def text_of(path: Path, most: int = MOST_BYTES, patience_s: float | None = None) -> str:
    """What stands in a file, without its byte order mark. Raises OSError and UnicodeDecodeError, and ends in any case.

    A pipe is read as long as something comes through it; a device only where it ends soon, as /dev/null does.
    """
    # Not blocking: a pipe without a writer would not even be opened otherwise.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(kind):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        is_file = stat.S_ISREG(kind)
        if stat.S_ISCHR(kind) or stat.S_ISBLK(kind):
            most = min(most, _DEVICE_BYTES)
        wait_s = None if is_file else PATIENCE_S if patience_s is None else patience_s
        return _read(descriptor, most, wait_s).decode("utf-8-sig")
    finally:
        os.close(descriptor)


def _read(descriptor: int, most: int, patience_s: float | None) -> bytes:
    found = bytearray()
    while True:
        if patience_s is not None:
            _await(descriptor, patience_s)
        try:
            part = os.read(descriptor, _AT_ONCE)
        except BlockingIOError:
            continue
        if not part:
            return bytes(found)
        found += part
        if len(found) > most:
            raise OSError(errno.EFBIG, f"it holds more than {most // 1_000_000} MB")


def _await(descriptor: int, patience_s: float) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if not poll.poll(patience_s * 1000):
        raise OSError(errno.ETIMEDOUT, f"nothing came out of it within {patience_s:g} s")


def toml_of(text: str) -> dict[str, Any]:
    """The tables of a TOML text. Raises NotToml."""
    if found := _LONG_KEY.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise NotToml(f"a key of more than {DEEPEST} parts", f"line {line}")
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NotToml(*_syntax_error(str(error))) from None
    except RecursionError:
        raise NotToml("it is nested too deeply") from None
    except ValueError as error:
        # A whole number of thousands of digits is no error of TOML's.
        raise NotToml(f"{error!s:.80}") from None
    if depth(tables) > DEEPEST:
        raise NotToml(f"it is nested more than {DEEPEST} deep")
    return tables


def _syntax_error(sentence: str) -> tuple[str, str]:
    """tomllib ends its sentences with the place.

    >>> _syntax_error("Invalid value (at line 2, column 7)")
    ('invalid value', 'line 2, column 7')
    """
    what, _, place = sentence.rpartition(" (at ")
    return what[:1].lower() + what[1:], place.rstrip(")")
