"""What all commands have in common: the global options, and how the help of each is laid out."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from inspect import Parameter, Signature, cleandoc, signature
from pathlib import Path
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from mahavishnu.cli.common import answer
from mahavishnu.cli.common.flags import Config, Debug, StoreUrl

F = TypeVar("F", bound=Callable[..., Any])


class Group(typer.Typer):
    """A group of commands. Its help is plain: markup would eat what stands in brackets, and cut long options."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"rich_markup_mode": None, "cls": LaidOutGroup, "suggest_commands": False, **settings})

    def command(self, name: str | None = None, **settings: Any) -> Callable[[F], F]:
        return super().command(name, **{"cls": Command, **settings})


class Command(TyperCommand):
    """A command with the global options, which its function need not declare."""

    def __init__(self, name: str | None, **settings: Any) -> None:
        own, text = settings.get("params") or [], settings.get("help") or ""
        laid_out = {
            "params": [_with_type(param) for param in own] + _missing(own),
            "help": _laid_out(text),
            "short_help": _first_paragraph(text),
        }
        super().__init__(name, **{**settings, **laid_out})

    def invoke(self, ctx: Any) -> Any:
        answer.keep()
        return super().invoke(ctx)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _format_params(self, ctx, formatter)


class LaidOutGroup(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        own, text = settings.get("params") or [], settings.get("help") or ""
        more = _missing(own) if settings.get("invoke_without_command") else []
        laid_out = {
            "params": [_with_type(param) for param in own] + more,
            "help": _laid_out(text),
            "short_help": _first_paragraph(text),
        }
        super().__init__(**{**settings, **laid_out})

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _format_params(self, ctx, formatter)
        self.format_commands(ctx, formatter)


@cache
def _global_options() -> list[Any]:
    """As click has them. They leave their values in the flags, and hand nothing to the function of the command."""
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command()(_declared)
    options: list[Any] = list(typer.main.get_command(alone).params)
    for option in options:
        option.expose_value = False
    return options


def _declared(_config: Config = None, _store: StoreUrl = None, _debug: Debug = False) -> None:
    """Has the global options and does nothing."""


def _missing(own: list[Any]) -> list[Any]:
    there = {name for param in own for name in param.opts}
    return [option for option in _global_options() if there.isdisjoint(option.opts)]


def _format_params(command: Any, ctx: Any, formatter: Any) -> None:
    common = {name for option in _global_options() for name in option.opts} | {"--help"}
    sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": [], "Global options": []}
    for param in command.get_params(ctx):
        if (record := param.get_help_record(ctx)) is None:
            continue
        name, text = record
        if param.param_type_name == "argument":
            sections["Arguments"].append((name.partition(" <")[0], text))
        else:
            sections["Options" if common.isdisjoint(param.opts) else "Global options"].append((name, text))
    for title, records in sections.items():
        if records:
            with formatter.section(title):
                formatter.write_dl(records)


_LONGEST_CHOICE = 24
_TYPES = {str: "TEXT", list[str]: "TEXT", int: "N", float: "NUMBER", Path: "PATH"}


def _with_type(param: Any) -> Any:
    """An option that says what it takes in words, and not by the type that it has in Python."""
    kind = param.type_descriptor
    if param.param_type_name == "option" and param.metavar is None and not param.is_flag:
        if kind.choices is not None:
            words = [str(getattr(choice, "value", choice)) for choice in kind.choices]
            param.metavar = "|".join(words)
            if len(param.metavar) > _LONGEST_CHOICE:
                param.metavar = param.name.upper()
                param.help = f"{param.help} One of {', '.join(words)}."
        else:
            param.metavar = _TYPES.get(kind.annotation)
    return param


def _laid_out(text: str) -> str:
    """An example stands on a line of its own that is never wrapped, so that it can be copied."""
    paragraphs = cleandoc(text).split("\n\n")
    return "\n\n".join(_example(each) if each.startswith("Example: ") else each for each in paragraphs)


def _example(paragraph: str) -> str:
    return f"\b\nExample:\n  {' '.join(paragraph.removeprefix('Example: ').split())}"


def _first_paragraph(text: str) -> str:
    return " ".join(cleandoc(text).partition("\n\n")[0].split())


def options_of(reader: Callable[..., Any], name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options that `reader` declares; what it makes of them is the command's argument `name`.

    Several commands take the same options that way, and each option is declared, explained and read once.
    """
    read = signature(reader, eval_str=True).parameters

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = signature(function, eval_str=True).parameters

        def command(**given: Any) -> None:
            made = reader(**{option: given.pop(option) for option in read})
            function(**given, **{name: made})

        context = [own["ctx"]]
        others = [parameter for parameter in own.values() if parameter.name not in ("ctx", name)]
        declared = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in (*context, *read.values(), *others)]
        # Typer reads a command by its signature and its annotations.
        command.__dict__["__signature__"] = Signature(declared)
        command.__annotations__ = {each.name: each.annotation for each in declared}
        command.__name__, command.__doc__ = function.__name__, function.__doc__
        return command

    return decorate
