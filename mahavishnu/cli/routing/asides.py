"""mahavishnu routing aside and release: the targets that experiments have put aside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mahavishnu.cli.common.columns import ASIDES
from mahavishnu.cli.common.completion import target_names, task_types
from mahavishnu.cli.common.filters import Filters
from mahavishnu.cli.common.flags import Json, Wide, flags_of, with_store
from mahavishnu.cli.common.printing import emit
from mahavishnu.cli.common.shapes import aside_shape
from mahavishnu.cli.routing.evidence import tell

if TYPE_CHECKING:
    from mahavishnu.jobs.publishing import Published
    from mahavishnu.ports import Store


def aside(
    ctx: typer.Context,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """List the targets that experiments have put aside, with the experiment and the reason.

    harm: the experiment found that the target does harm. replaced: the
    experiment found another target better and promoted it.

    Example: mahavishnu routing aside
    """
    from mahavishnu.model.aside import rows_of

    newest = with_store(ctx, lambda store: store.latest(), make=False)
    shapes = [aside_shape(row) for row in rows_of(newest.put_aside)]
    if as_json:
        emit(shapes)
        return
    ASIDES.show_shapes(shapes, empty="No target is put aside.", wide=wide)


def release(
    ctx: typer.Context,
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="The target to release.", autocompletion=target_names)
    ],
    task_type: Annotated[
        str | None,
        typer.Option("--task-type", "-t", help="Release it for this task type only.", autocompletion=task_types),
    ] = None,
    as_json: Json = False,
) -> None:
    """Let a target be chosen again that an experiment has put aside.

    Example: mahavishnu routing release fresh --task-type summarise
    """
    settings = flags_of(ctx).settings()

    async def act(store: Store) -> Published:
        from mahavishnu.engine.clock import SystemClock
        from mahavishnu.jobs import asides

        await Filters(task_type=task_type, target=target).check(store, settings)
        return await asides.release(store, SystemClock(), target, task_type)

    tell(with_store(ctx, act, make=False), as_json=as_json)
