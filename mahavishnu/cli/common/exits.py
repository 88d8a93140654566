"""How a command ends: the exit code for each error, and one sentence about it on stderr."""

from __future__ import annotations

import json
import re
import sys
import traceback
from collections.abc import Mapping
from typing import Any, NoReturn

import typer

from mahavishnu.cli.common.flags import Flags
from mahavishnu.cli.common.printing import note, on_one_line
from mahavishnu.errors import (
    BudgetExhausted,
    InputError,
    MahavishnuError,
    NothingEligible,
    Refused,
    RepositoryError,
    TaskQueued,
    did_you_mean,
    nearest_name,
)
from mahavishnu.errors.wording import in_plain_words
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


def say(error: BaseException, sentence: str, flags: Flags) -> None:
    """One sentence on stderr, or one JSON object for programs; the traceback before it only where it was asked for.

    None of them holds a secret.
    """
    if flags.debug:
        sys.stderr.write(redacted("".join(traceback.format_exception(error))))
    said = on_one_line(redacted(sentence))
    _tell(said, error_shape(error, said) if flags.as_json else None)


def end_badly(
    sentence: str,
    *,
    code: str,
    as_json: bool,
    exit_code: int = FAILED,
    mend: str | None = None,
    **facts: str | int,
) -> NoReturn:
    """How a command ends that has printed its answer and has not succeeded; `say` is for exceptions."""
    mend = _after_the_semicolon(sentence) if mend is None else mend
    _tell(sentence, {"code": code, "message": sentence, "mend": mend, **facts} if as_json else None)
    raise typer.Exit(exit_code)


def _tell(sentence: str, shape: Mapping[str, Any] | None) -> None:
    """The sentence for people; the shape, where there is one, for programs."""
    if shape is None:
        note(sentence)
    else:
        sys.stderr.write(json.dumps({"error": shape}) + "\n")


def error_shape(error: BaseException, sentence: str) -> dict[str, Any]:
    """An error as programs read it: its stable code, the sentence for people, what to do about it, and its ids."""
    match error:
        case MahavishnuError():
            ids = {name: value for name, value in vars(error).items() if name != "problem" and _is_plain(value)}
            mend = getattr(error, "mend", _after_the_semicolon(sentence))
            return {**ids, "code": error.code, "message": sentence, "mend": mend and redacted(mend)}
        case _ if isinstance(error, UsageError):
            code = "usage"
        case KeyboardInterrupt() | typer.Abort():
            code = "stopped"
        case _:
            code = "bug"
    return {"code": code, "message": sentence, "mend": _after_the_semicolon(sentence)}


def _after_the_semicolon(sentence: str) -> str | None:
    """What to do: a sentence of ours says what is wrong, and after a semicolon what to do about it."""
    _, semicolon, mend = sentence.rpartition("; ")
    return mend.rstrip(".") if semicolon else None


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | None) and not isinstance(value, bool) and redacted(str(value)) == str(value)


def usage(error: typer.BadParameter) -> str:
    """What is wrong with the arguments, and where to read how they are meant."""
    problem = _SINGLE_QUOTE.sub('"', in_plain_words(error.format_message()).rstrip("."))
    ctx: Any = error.ctx
    if ctx is None:
        return f"{problem}; see: mahavishnu --help"
    if match := _UNKNOWN.match(problem):
        options = [name for param in ctx.command.params for name in (*param.opts, *param.secondary_opts)]
        known = options if match[1].startswith("option") else list(getattr(ctx.command, "commands", ()))
        problem = f"{match[0]}{did_you_mean(nearest_name(match[2], known))}"
    return f"{problem}{' ' if problem.endswith('?') else '; '}see: {ctx.command_path} --help"


_SINGLE_QUOTE = re.compile(r"(?<!\w)'|'(?!\w)")
_UNKNOWN = re.compile(r'No such (option: |command ")([^ "]+)"?')
"""What typer says of it. What it offers instead is often far from what was typed."""


def bug(error: BaseException) -> str:
    return (
        f"This is a bug in mahavishnu, please report it: {type(error).__name__}: {error}; "
        "run the same command with --debug to see where it happened."
    )
