"""How a command ends: the exit code for each error, and one sentence about it on stderr."""

from __future__ import annotations

import sys
import traceback

import typer

from mahavishnu.cli.printing import on_one_line
from mahavishnu.errors import (
    BudgetExhausted,
    InputError,
    MahavishnuError,
    NothingEligible,
    Refused,
    RepositoryError,
    TaskQueued,
)
from mahavishnu.redaction import redacted

DONE = 0
FAILED = 1
BAD_INPUT = 2
NOTHING_ELIGIBLE = 3
STORE_UNUSABLE = 4
BUDGET_EXHAUSTED = 5
QUEUED = 6
BUG = 70
STOPPED = 130
PIPE_CLOSED = 141

# Newer versions of typer carry click inside them, so its base of all usage errors is taken from one that typer exports.
UsageError: type[typer.BadParameter] = typer.BadParameter.__bases__[0]


def exit_code(error: MahavishnuError) -> int:
    match error:
        case InputError() | Refused():
            return BAD_INPUT
        case NothingEligible():
            return NOTHING_ELIGIBLE
        case RepositoryError():
            return STORE_UNUSABLE
        case BudgetExhausted():
            return BUDGET_EXHAUSTED
        case TaskQueued():
            return QUEUED
        case _:
            return FAILED


def say(error: BaseException, sentence: str, *, debug: bool) -> None:
    """One sentence on stderr; the traceback before it only where it was asked for. Neither holds a secret."""
    if debug:
        sys.stderr.write(redacted("".join(traceback.format_exception(error))))
    sys.stderr.write(on_one_line(redacted(sentence)) + "\n")


def usage(error: typer.BadParameter) -> str:
    """What is wrong with the arguments, and where to read how they are meant."""
    problem = error.format_message().rstrip(".")
    path = error.ctx.command_path if error.ctx else "mahavishnu"
    return f"{problem}{' ' if problem.endswith('?') else '; '}see: {path} --help"


def bug(error: BaseException) -> str:
    return (
        f"This is a bug in mahavishnu, please report it: {type(error).__name__}: {error}; "
        "run the same command with --debug to see where it happened."
    )
