"""Ids as people type them: whole, or by their last letters, as tables show them where they are narrow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from mahavishnu.cli.common.arguments import bad
from mahavishnu.cli.common.flags import with_store
from mahavishnu.model.identity import ALPHABET, IdKind

if TYPE_CHECKING:
    from mahavishnu.ports import Store

SHORTEST_TAIL = 8
_WHOLE = 26


def may_be_tail(given: str) -> bool:
    """Whether a text can be the end of a ULID.

    >>> may_be_tail("r7t8v9wx"), may_be_tail("7T8V9WX"), may_be_tail("nightly-1")
    (True, False, False)
    """
    return SHORTEST_TAIL <= len(given) < _WHOLE and set(given.upper()) <= set(ALPHABET)


async def whole_id(store: Store, kind: IdKind, given: str) -> str:
    """The id that ends so; what is no tail, or ends nothing, stays as it is. Raises a usage error where two end so."""
    if not may_be_tail(given):
        return given
    found = await store.ids_ending(kind, given.upper())
    if len(found) > 1:
        raise bad(f"{kind} id", f"{' and '.join(found)} both end with {given}; give more letters")
    return found[0] if found else given


def _whole(kind: IdKind) -> Callable[[typer.Context, str | None], str | None]:
    """The callback of an argument. --store and --config are eager, so that they are known by then."""

    def read(ctx: typer.Context, given: str | None) -> str | None:
        if given is None or ctx.resilient_parsing or not may_be_tail(given):
            return given
        return with_store(ctx, lambda store: whole_id(store, kind, given), make=False)

    return read


_HELP = "The id, or its last letters: at least 8."

DecisionId = Annotated[str, typer.Argument(metavar="DECISION_ID", help=_HELP, callback=_whole(IdKind.DECISION))]
ExecutionId = Annotated[str, typer.Argument(metavar="EXECUTION_ID", help=_HELP, callback=_whole(IdKind.EXECUTION))]
MaybeExecutionId = Annotated[
    str | None, typer.Argument(metavar="EXECUTION_ID", help=_HELP, callback=_whole(IdKind.EXECUTION))
]
OfDecision = Annotated[
    str | None,
    typer.Option(
        "--decision",
        metavar="DECISION_ID",
        help="Only the executions of this decision.",
        callback=_whole(IdKind.DECISION),
    ),
]
RunId = Annotated[str, typer.Argument(metavar="RUN_ID", help=_HELP, callback=_whole(IdKind.WORKFLOW_RUN))]
AlertId = Annotated[str, typer.Argument(metavar="ALERT_ID", help=_HELP, callback=_whole(IdKind.ALERT))]
ProcessId = Annotated[str, typer.Argument(metavar="PROCESS", help=_HELP, callback=_whole(IdKind.PROCESS))]
QueuedId = Annotated[str, typer.Argument(metavar="QUEUED_ID", help=_HELP, callback=_whole(IdKind.QUEUED_TASK))]
