"""mahavishnu store: what is kept, and where."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mahavishnu.cli.arguments import bad
from mahavishnu.cli.flags import Config, Debug, Json, StoreUrl, flags_of, with_app, with_store
from mahavishnu.cli.printing import emit, line, pairs, waiting
from mahavishnu.cli.shapes import Shape, decision_shape, execution_shape, outcome_shape, summed_shape
from mahavishnu.errors import UnknownName

if TYPE_CHECKING:
    from mahavishnu.app import App
    from mahavishnu.ports import Store

group = typer.Typer(help="What is kept, and where: upgrade, info, get.", rich_markup_mode="rich")

FORMS = (
    "exec:{ulid}",
    "routing:{ulid}",
    "adapter:{adapter}:stats",
    "task_type:{type}:{adapter}",
    "cost:{date}:{adapter}",
    "ab_test:{id}",
    "adapter:{adapter}:cost:daily:{date}",
    "adapter:{adapter}:cost:weekly:{year}-W{week}",
    "cost:total:monthly:{year}:{month}",
)


@group.command()
def upgrade(ctx: typer.Context, _config: Config = None, _store: StoreUrl = None, _debug: Debug = False) -> None:
    """Bring the schema of the store up to this version; a store that is not there yet is set up.

    Example: mahavishnu store upgrade --store postgresql://user@host/database
    """
    import asyncio

    from mahavishnu.app import make_store

    store = make_store(flags_of(ctx).settings())

    async def act() -> str:
        try:
            await store.upgrade()
            await store.open()
            return (await store.info()).schema
        finally:
            await store.close()

    with waiting("Upgrading the store …"):
        schema = asyncio.run(act())
    line(f"The store has schema {schema}, which is what this version needs.")


@group.command()
def info(
    ctx: typer.Context,
    as_json: Json = False,
    _config: Config = None,
    _store: StoreUrl = None,
    _debug: Debug = False,
) -> None:
    """Where the store is, what it is made of, how much is in it, and how long that stays.

    cursor_lag is how many facts have not been added up yet.

    Example: mahavishnu store info --json
    """
    lake = flags_of(ctx).settings().lake
    retention = {"hot_days": lake.hot_days, "raw_days": lake.raw_days, "aggregate_days": lake.aggregate_days}
    found = with_store(ctx, lambda store: store.info())
    if as_json:
        detail, rows = dict(found.detail), dict(found.rows)
        emit({"url": found.url, "schema": found.schema, "detail": detail, "retention": retention, "rows": rows})
        return
    pairs([("url", found.url), ("schema", found.schema), *found.detail.items(), *retention.items()])
    line()
    pairs([(f"{name} (rows)", count) for name, count in found.rows.items()])


@group.command()
def get(
    ctx: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help=", ".join(FORMS))],
    _json: Json = False,
    _config: Config = None,
    _store: StoreUrl = None,
    _debug: Debug = False,
) -> None:
    """One record by its key, as JSON.

    Keys: exec:{ulid}, routing:{ulid}, adapter:{adapter}:stats,
    task_type:{type}:{adapter}, cost:{date}:{adapter}, ab_test:{id};
    and of the ledger: adapter:{adapter}:cost:daily:{date},
    adapter:{adapter}:cost:weekly:{year}-W{week}, cost:total:monthly:{year}:{month}.

    Example: mahavishnu store get exec:01KB2Q7YV0S3J4N5P6R7T8V9WX
    """
    emit(_reader(key)(ctx))


def _reader(key: str) -> Callable[[typer.Context], Shape]:
    """What reads the record of a key; a key of no known form is refused before anything is opened."""
    from mahavishnu.compat.keys import Form, parse_key

    try:
        meant = parse_key(key)
    except ValueError as error:
        raise bad("KEY", str(error)) from None
    match meant.form:
        case Form.EXECUTION:
            return lambda ctx: with_store(ctx, lambda store: _execution(store, meant.id))
        case Form.ROUTING:
            return lambda ctx: with_store(ctx, lambda store: _decision(store, meant.id))
        case Form.ADAPTER | Form.TASK_TYPE:
            return lambda ctx: with_app(ctx, _summed(key, meant.adapter, meant.task_type or None))
        case Form.COST | Form.AB_TEST | Form.COST_DAILY | Form.COST_WEEKLY | Form.COST_MONTHLY:
            return lambda ctx: with_app(ctx, lambda app: _record(app, key))


async def _record(app: App, key: str) -> Shape:
    from mahavishnu.compat.keys import get

    return (await get(app, key)).model_dump(mode="json")


async def _execution(store: Store, execution_id: str) -> Shape:
    found = await store.execution(execution_id)
    if found is None:
        raise UnknownName(kind="execution", name=execution_id, see="mahavishnu executions")
    return execution_shape(found)


async def _decision(store: Store, decision_id: str) -> Shape:
    found = await store.decision(decision_id)
    if found is None:
        raise UnknownName(kind="decision", name=decision_id, see="mahavishnu decisions")
    outcomes = await store.outcomes(decision_id)
    return {**decision_shape(found), "outcomes": [outcome_shape(each) for each in outcomes]}


def _summed(key: str, adapter: str, task_type: str | None) -> Callable[[App], Awaitable[dict[str, Any]]]:
    """The evidence on all targets of an adapter, added up."""

    async def look(app: App) -> dict[str, Any]:
        ours = {each.target.name for each in app.orchestrator.standings() if each.target.adapter == adapter}
        stats = [each for each in app.orchestrator.stats(task_type) if each.target in ours]
        if not stats:
            raise UnknownName(kind="record", name=key, see="mahavishnu routing stats")
        return summed_shape(adapter, task_type, stats)

    return look
