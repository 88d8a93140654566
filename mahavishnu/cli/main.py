"""The command `mahavishnu`."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from functools import cache
from itertools import takewhile
from typing import Annotated, Any

import typer

from mahavishnu.cli.commands import COMMANDS
from mahavishnu.cli.common import answer, exits
from mahavishnu.cli.common.flags import Flags
from mahavishnu.cli.common.layout import Group
from mahavishnu.cli.common.lazy import LazyGroup
from mahavishnu.errors import MahavishnuError

NAME = "mahavishnu"
COMPLETE = "_MAHAVISHNU_COMPLETE"

app = Group(
    name=NAME,
    cls=LazyGroup,
    help="Route tasks to the target that does them best, run them, and learn from how they end.",
    epilog="First steps: mahavishnu init writes a configuration, mahavishnu doctor says what is missing.",
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"{NAME} {version(NAME)}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    ctx: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version.")
    ] = False,
) -> None:
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def main() -> None:
    """The console script."""
    # Imports make many objects that stay: looking for garbage as often as usual takes a tenth of a command's time.
    gc.set_threshold(50_000, 20, 100)
    answer.claim()
    code = run(sys.argv[1:])
    # What still prints while the process ends is no part of the answer.
    answer.keep()
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Carry out one command line; returns its exit code and raises nothing."""
    options = list(takewhile(lambda each: each != "--", arguments))
    debug = os.environ.get("MAHAVISHNU_DEBUG", "").lower() in ("1", "true", "yes", "on")
    flags = Flags(debug=debug, as_json="--json" in options)
    try:
        code = _carry_out(list(arguments), flags)
        answer.stream().flush()
    except BrokenPipeError:
        # What read our output has gone. Python would complain once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), answer.stream().fileno())
        return exits.PIPE_CLOSED
    finally:
        answer.give_back()
    return code


def _carry_out(arguments: list[str], flags: Flags) -> int:
    try:
        _invoke(arguments, flags)
    except typer.Exit as asked:
        return asked.exit_code
    except exits.UsageError as error:
        exits.say(error, exits.usage(error), flags)
        return exits.BAD_INPUT
    except MahavishnuError as error:
        exits.say(error, str(error), flags)
        return exits.exit_code(error)
    except (KeyboardInterrupt, typer.Abort) as error:
        exits.say(error, f"Stopped; {flags.if_stopped}" if flags.if_stopped else "Stopped.", flags)
        return exits.STOPPED
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - the outermost edge: a bug is told in one sentence, too
        exits.say(error, exits.bug(error), flags)
        return exits.BUG
    return exits.DONE


def _invoke(arguments: list[str], flags: Flags) -> None:
    command = _command()
    if COMPLETE in os.environ:
        command(prog_name=NAME)
        return
    with command.make_context(NAME, arguments, obj=flags) as ctx:
        command.invoke(ctx)


@cache
def _command() -> Any:
    """Built once, without its commands: typer looks at every option of each."""
    command: Any = typer.main.get_command(app)
    command.add_entries(COMMANDS)
    return command


if __name__ == "__main__":
    main()
