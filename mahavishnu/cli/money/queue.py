"""mahavishnu budgets queue and drain: tasks that wait until a budget has room for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from mahavishnu.cli.common.columns import QUEUE
from mahavishnu.cli.common.exits import end_badly
from mahavishnu.cli.common.flags import Json, Wide, if_stopped, with_app, with_store
from mahavishnu.cli.common.ids import QueuedId
from mahavishnu.cli.common.layout import Group
from mahavishnu.cli.common.printing import emit, emit_line, line, moment, note, prose, waiting
from mahavishnu.cli.common.shapes import Shape, task_shape
from mahavishnu.errors import UnknownName
from mahavishnu.model.queued import QueuedTask, QueueStatus

if TYPE_CHECKING:
    from mahavishnu.app import App
    from mahavishnu.engine.spending.queue import Drained
    from mahavishnu.ports import Store

group = Group(invoke_without_command=True)

PAUSE_S = 1.0
"""Between two looks of `drain --follow`."""

_OPEN = (QueueStatus.RUNNING, QueueStatus.WAITING)


@group.callback()
def queue(
    ctx: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Also show tasks that have ended.")] = False,
    last: Annotated[int, typer.Option(min=1, max=1_000_000, help="With --all: how many of the newest to show.")] = 100,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """List the tasks that wait for room in a budget, in the order in which they will run.

    Any running process of mahavishnu starts them when there is room. Where no
    process runs, mahavishnu budgets drain starts them.

    Example: mahavishnu budgets queue --all --json
    """
    if ctx.invoked_subcommand is not None:
        return

    async def look(store: Store) -> Sequence[QueuedTask]:
        if everything:
            return await store.queued(last=last)
        return await _open(store)

    found = with_store(ctx, look, make=False)
    if as_json:
        emit([queued_shape(each) for each in found])
        return
    empty = "Nothing was ever queued." if everything else "Nothing waits."
    QUEUE.show_shapes([queued_shape(each) for each in found], empty=empty, wide=wide)


@group.command()
def remove(
    ctx: typer.Context,
    queued: QueuedId,
    as_json: Json = False,
) -> None:
    """Remove a task from the queue. It will not run.

    Example: mahavishnu budgets queue remove 01KB2Q7YV0S3J4N5P6R7T8V9WX
    """
    from mahavishnu.engine.clock import SystemClock

    now_us = SystemClock().now_us()

    async def act(store: Store) -> tuple[QueuedTask, bool]:
        found = next((each for each in await store.queued(QueueStatus.WAITING) if each.id == queued), None)
        if found is None:
            raise UnknownName(kind="waiting task", name=queued, see="mahavishnu budgets queue --all")
        gone = replace(found, status=QueueStatus.REMOVED, ended_at_us=now_us, note="taken out by hand")
        return gone, await store.move_queued(queued, QueueStatus.WAITING, gone)

    gone, moved = with_store(ctx, act, make=False)
    if not moved:
        sentence = f"{queued} has just begun to run; see: mahavishnu budgets queue --all."
        end_badly(sentence, code="already-running", as_json=as_json, queued_id=queued)
    if as_json:
        emit(queued_shape(gone))
    else:
        prose(f"Took {queued} out of the queue of {gone.budget}.")


def drain(
    ctx: typer.Context,
    follow: Annotated[
        bool, typer.Option("--follow", help="Continue until no task waits, and report each one.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run the waiting tasks that have room now, in their order. Tasks that have waited too long expire.

    With --follow, prints a line (with --json, an object) for each task that has ended.

    Example: mahavishnu budgets drain --follow
    """
    if_stopped(ctx, "the tasks that have not ended are run by the next: mahavishnu budgets drain")
    if follow:
        with_app(ctx, lambda app: _follow(app, _tell_as_json if as_json else _tell))
        return

    async def once(app: App) -> tuple[Drained | None, int]:
        drained = await app.orchestrator.drain_queue()
        return drained, len(await _open(app.store))

    with waiting("Running what fits …"):
        drained, left = with_app(ctx, once)
    if as_json:
        emit(asdict(drained) if drained else {"ran": 0, "expired": 0, "waiting": left})
    elif drained:
        prose(f"{drained.ran} ran, {drained.expired} expired, {drained.waiting} still wait.")
    if drained is None:
        note("Another process is draining the queue.")


# -- inside ------------------------------------------------------------------------------------------------------------


async def _open(store: Store) -> list[QueuedTask]:
    """What runs from the queue now, and then what waits."""
    return [each for status in _OPEN for each in await store.queued(status)]


async def _follow(app: App, tell: Callable[[QueuedTask], None]) -> None:
    """Whoever lets a task go, this process or another: what became of it stands in the queue."""
    before: set[str] = {each.id for each in await _open(app.store)}
    while before:
        await app.orchestrator.drain_queue()
        after = {each.id for each in await _open(app.store)}
        if over := before - after:
            for each in await app.store.queued():
                if each.id in over:
                    tell(each)
        before = after
        if before:
            await asyncio.sleep(PAUSE_S)


def _tell(queued: QueuedTask) -> None:
    decision = f", decision {queued.decision_id}" if queued.decision_id else ""
    line(f"{queued.id} ({queued.task.type}) {queued.status.value}: {queued.note}{decision}")


def _tell_as_json(queued: QueuedTask) -> None:
    emit_line(queued_shape(queued))


def queued_shape(queued: QueuedTask) -> Shape:
    return {
        "queued_id": queued.id,
        "budget": queued.budget,
        "task_type": queued.task.type,
        "status": queued.status.value,
        "queued_at": moment(queued.queued_at_us),
        "expires_at": moment(queued.expires_at_us),
        "ended_at": moment(queued.ended_at_us),
        "decision_id": queued.decision_id,
        "policy": queued.policy,
        "note": queued.note,
        "task": task_shape(queued.task),
    }
