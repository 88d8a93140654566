"""mahavishnu store processes and release: which processes use the store, and giving one up by hand."""

from __future__ import annotations

import typer

from mahavishnu.cli.common.amounts import usd_text
from mahavishnu.cli.common.columns import PROCESSES
from mahavishnu.cli.common.flags import Json, Wide, with_store
from mahavishnu.cli.common.ids import ProcessId
from mahavishnu.cli.common.printing import emit, moment, prose
from mahavishnu.cli.common.shapes import Shape
from mahavishnu.model import Execution, Process
from mahavishnu.ports import Store


def processes(
    ctx: typer.Context,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """List the processes that use the store, what they hold, and which background loops are behind.

    A process on another host counts as alive until its lease has expired, which takes longer than this command.

    Example: mahavishnu store processes
    """
    shapes = [process_shape(process) for process in with_store(ctx, _others, make=False)]
    if as_json:
        emit(shapes)
        return
    rows = [{**shape, "loops": _behind(shape)} for shape in shapes]
    PROCESSES.show_shapes(rows, empty="No process uses this store.", wide=wide)


def release(
    ctx: typer.Context,
    process_id: ProcessId,
    as_json: Json = False,
) -> None:
    """Release what a process holds that hangs, or whose host is gone.

    Its running executions end as lost, its reservations are returned, and its idempotency keys are free. If the
    process comes back, it continues none of them.

    Example: mahavishnu store release 01KB2Q7YV0S3J4N5P6R7T8V9WX
    """

    async def act(store: Store) -> list[Execution]:
        return list(await store.release(process_id))

    lost = with_store(ctx, act, make=False)
    if as_json:
        emit({"process": process_id, "lost": [execution.id for execution in lost]})
        return
    what = "no execution was" if not lost else f"{len(lost)} execution{'s were' if len(lost) > 1 else ' was'}"
    prose(f"Released process {process_id}; {what} running.")


def process_shape(process: Process) -> Shape:
    return {
        "process": process.id,
        "host": process.host,
        "pid": process.pid,
        "lives": process.lives,
        "running": process.running,
        "reserved_usd": usd_text(process.reserved_micros),
        "started_at": moment(process.started_at_us),
        "renewed_at": moment(process.renewed_at_us),
        "loops": [
            {
                "name": loop.name,
                "stale": loop.stale,
                "restarts": loop.restarts,
                "failures": loop.failures,
                "last_failure": loop.last_failure,
                "last_failed_at": moment(loop.last_failed_at_us),
                "last_ok_at": moment(loop.last_ok_at_us),
            }
            for loop in process.loops
        ],
    }


async def _others(store: Store) -> list[Process]:
    """Without this command's own process."""
    return [process for process in await store.processes() if process.id != store.process_id]


def _behind(shape: Shape) -> str:
    stale = [loop["name"] for loop in shape["loops"] if loop["stale"]]
    failed = sum(loop["failures"] for loop in shape["loops"])
    return f"behind: {', '.join(stale)}" if stale else f"{failed} failures" if failed else "well"
