"""Reading what was typed: text, JSON, names with values."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

MOST_SEED = 2**63 - 1

STDIN = "-"
"""What is typed for stdin where a file or a text is asked for."""


def bad(argument: str, problem: str) -> typer.BadParameter:
    """The usage error for an argument."""
    return typer.BadParameter(problem, param_hint=f'"{argument}"')


def write(path: Path, text: str, argument: str) -> None:
    """Write a file that was asked for."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise bad(argument, f"{path} cannot be written: {error.strerror}") from None


def seed(given: int | None) -> int | None:
    if given is not None and not 0 <= given <= MOST_SEED:
        raise bad("--seed", f"must lie between 0 and {MOST_SEED}")
    return given


def text(given: str) -> str:
    """The text of a task; "-" stands for what comes on stdin, which may be longer than an argument."""
    if given == STDIN:
        return stdin_text("TEXT", "send a reference to it", encoding="utf-8")
    try:
        given.encode()
    except UnicodeEncodeError:
        raise bad("TEXT", "it is not UTF-8; convert it first") from None
    return given


def stdin_text(argument: str, instead: str, *, encoding: str = "utf-8-sig") -> str:
    """All that comes on stdin; `instead` says what to do about more than is read. A file may begin with a mark."""
    from mahavishnu.settings import MOST_LINES_BYTES

    given = sys.stdin.buffer.read(MOST_LINES_BYTES + 1)
    if len(given) > MOST_LINES_BYTES:
        raise bad(argument, f"more than {MOST_LINES_BYTES // 1_000_000} MB came on stdin; {instead}")
    try:
        return given.decode(encoding)
    except UnicodeDecodeError as error:
        raise bad(argument, f"what came on stdin is not UTF-8 (byte {error.start}); convert it first") from None


def json_object(given: str | None, argument: str) -> Mapping[str, Any]:
    if given is None:
        return {}
    try:
        value = json.loads(given)
    except (ValueError, RecursionError) as error:
        raise bad(argument, f"not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise bad(argument, f'must be a JSON object such as {{"key": 1}}, not {given:.80}')
    return value


def pairs(given: Sequence[str] | None, argument: str) -> Mapping[str, str]:
    """`key=value`, as often as it is given."""
    found: dict[str, str] = {}
    for each in given or ():
        key, equals, value = each.partition("=")
        if not key or not equals:
            raise bad(argument, f"must look like key=value, not {each:.80}")
        found[key] = value
    return found
