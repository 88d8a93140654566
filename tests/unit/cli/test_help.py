"""The help of every command: whole, no wider than the terminal, in plain English, with the same global options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import typer

from mahavishnu.cli.common.layout import LaidOutGroup
from mahavishnu.cli.main import _command

UNSUBJECTED = re.compile(r"\b(nobody|everybody|somebody|whoever|whomever|whom)\b", re.IGNORECASE)
"""Words that name no subject."""


@cache
def commands() -> dict[str, Any]:
    """Every command and every group by its words, as click has it."""
    return dict(_below(typer.Context(_command(), info_name="mahavishnu"), _command()))


def _below(ctx: Any, command: Any) -> Iterator[tuple[str, Any]]:
    yield ctx.command_path, command
    if isinstance(command, LaidOutGroup):
        for name in command.list_commands(ctx):
            part = command.get_command(ctx, name)
            yield from _below(typer.Context(part, info_name=name, parent=ctx), part)


def help_of(command: Any, path: str) -> str:
    return str(command.get_help(typer.Context(command, info_name=path)))


@pytest.mark.parametrize("width", [80, 60])
def test_help_is_whole_and_no_wider_than_the_terminal(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    for path, command in commands().items():
        text = help_of(command, path)
        for line in text.splitlines():
            # An example is for copying: it stays on its line.
            assert len(line) <= width or line.startswith("    mahavishnu "), (path, line)
            # A text that was cut ends so; what ends so by itself is a list of values.
            assert not re.search(r"\w\.\.\.$", line) or line.startswith("Usage:"), (path, line)


def test_every_command_has_the_global_options_once_and_can_print_json():
    for path, command in commands().items():
        text = help_of(command, path)
        if isinstance(command, LaidOutGroup) and not command.invoke_without_command:
            continue
        for option in ("--config", "--store", "--debug", "--help"):
            assert len(re.findall(rf"^  {option}\s", text, re.MULTILINE)) == 1, (path, option)
        assert path == "mahavishnu" or "--json" in text, path


def test_help_is_in_sentences_with_a_subject():
    for path, command in commands().items():
        texts = [command.help or command.short_help or "", *(param.help or "" for param in command.params)]
        for text in texts:
            assert not UNSUBJECTED.search(text), (path, text)
            assert ".." not in text, (path, text)
            paragraphs = [each for each in text.split("\n\n") if "Example:" not in each]
            assert all(each.rstrip().endswith((".", ":", "?")) for each in paragraphs if each.strip()), (path, text)


def test_every_option_says_what_it_takes_in_words():
    for path, command in commands().items():
        text = help_of(command, path)
        assert not re.search(r"<(str|int|float|bool|path|list)", text), path
        for param in command.params:
            assert getattr(param, "help", None), (path, param.name)


def test_what_stands_in_brackets_is_not_eaten():
    text = help_of(commands()["mahavishnu workflow run"], "mahavishnu workflow run")
    assert "[workflow] and [steps.NAME]" in " ".join(text.split())
