"""A group of commands that imports and builds a command only when it is called, not when it is listed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand

from mahavishnu.cli.common.layout import Group, LaidOutGroup


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A command, or a group of commands, by where each part stands: "module:name", in `mahavishnu.cli`."""

    place: str
    summary: str
    """What the list of commands says, without the command: the first paragraph of its help."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """Further commands of a group, by their names there."""
    inlined: tuple[str, ...] = ()
    """Further groups whose commands this group takes in."""
    groups: Mapping[str, Entry] = field(default_factory=dict)


class LazyGroup(LaidOutGroup):
    """Lists its entries by stand-ins, and builds the one that is called."""

    _entries: Mapping[str, Entry] = {}
    _listing = False

    def add_entries(self, entries: Mapping[str, Entry]) -> None:
        self._entries = entries
        for name, entry in entries.items():
            self.add_command(TyperCommand(name, short_help=entry.summary))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if self._listing or cmd_name not in self._entries:
            return super().get_command(ctx, cmd_name)
        return build(self._entries[cmd_name])

    def format_help(self, ctx: Any, formatter: Any) -> None:
        with self._stand_ins():
            super().format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        with self._stand_ins():
            return super().shell_complete(ctx, incomplete)

    @contextmanager
    def _stand_ins(self) -> Iterator[None]:
        self._listing = True
        try:
            yield
        finally:
            self._listing = False


@cache
def build(entry: Entry) -> Any:
    """The click command of an entry. What its parts import is imported now."""
    part = _load(entry.place)
    if not isinstance(part, typer.Typer):
        alone = Group(add_completion=False)
        alone.command()(part)
        return typer.main.get_command(alone)
    for name, place in entry.parts.items():
        part.command(name)(_load(place))
    for place in entry.inlined:
        part.add_typer(_load(place))
    part.info.cls = LazyGroup
    group: Any = typer.main.get_group(part)
    group.add_entries(entry.groups)
    return group


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(f"mahavishnu.cli.{module}"), name)
