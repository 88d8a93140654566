"""mahavishnu store: what is kept, and where; backups of it, and whether it is whole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mahavishnu.cli.common.arguments import bad
from mahavishnu.cli.common.flags import Json, flags_of, if_stopped, store_is_missing, with_app, with_store
from mahavishnu.cli.common.ids import may_be_tail, whole_id
from mahavishnu.cli.common.layout import Group
from mahavishnu.cli.common.printing import emit, line, pairs, prose, waiting
from mahavishnu.cli.common.shapes import Shape, decision_shape, execution_shape, outcome_shape, summed_shape
from mahavishnu.cli.operations.processes import processes, release
from mahavishnu.errors import UnknownName
from mahavishnu.model.identity import IdKind

if TYPE_CHECKING:
    from mahavishnu.app import App
    from mahavishnu.ports import Store, StoreInfo
    from mahavishnu.settings import Settings

group = Group(help="Inspect, verify, back up, restore and upgrade the store.")
group.command()(processes)
group.command()(release)

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]

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
def upgrade(
    ctx: typer.Context,
    as_json: Json = False,
) -> None:
    """Upgrade the schema of the store to this version. A store that does not exist is created.

    Example: mahavishnu store upgrade --store postgresql://user@host/database
    """
    import asyncio

    from mahavishnu.app import make_store

    store = make_store(flags_of(ctx).settings())

    async def act() -> StoreInfo:
        try:
            await store.upgrade()
            await store.open()
            return await store.info()
        finally:
            await store.close()

    with waiting("Upgrading the store …"):
        info = asyncio.run(act())
    if as_json:
        emit({"url": info.url, "schema": info.schema})
    else:
        prose(f"The store has schema {info.schema}, which is what this version needs.")


@group.command()
def info(
    ctx: typer.Context,
    as_json: Json = False,
) -> None:
    """Show where the store is, its database, its size, and how long records are kept.

    cursor_lag is the number of facts that are not aggregated yet.

    Example: mahavishnu store info --json
    """
    settings = flags_of(ctx).settings()
    lake = settings.lake
    retention = {"hot_days": lake.hot_days, "raw_days": lake.raw_days, "aggregate_days": lake.aggregate_days}
    if store_is_missing(settings):
        _say_missing(settings, retention, as_json=as_json)
        return
    found = with_store(ctx, lambda store: store.info())
    if as_json:
        detail, rows = dict(found.detail), dict(found.rows)
        emit({"url": found.url, "schema": found.schema, "detail": detail, "retention": retention, "rows": rows})
        return
    pairs([("url", found.url), ("schema", found.schema), *found.detail.items(), *retention.items()])
    line()
    pairs([(f"{name} (rows)", count) for name, count in found.rows.items()])


def _say_missing(settings: Settings, retention: dict[str, int], *, as_json: bool) -> None:
    from mahavishnu.storage.sql.connection.address import shown_url

    url = shown_url(settings.store.url)
    if as_json:
        emit({"url": url, "schema": None, "detail": {}, "retention": retention, "rows": {}})
    else:
        prose(f"There is no store at {url} yet; the first command that writes something creates it.")


@group.command()
def backup(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Back up the whole store into one file, consistently, while other processes use it.

    The backup holds the tables, the lake and the spool of this machine. FILE appears when it is complete and checked.

    Example: mahavishnu store backup mahavishnu-2026-01-02.backup
    """
    from mahavishnu.cli.operations.backup_view import manifest_shape, progress_shown, show_manifest
    from mahavishnu.engine.clock import SystemClock
    from mahavishnu.storage.backup import take_backup

    location = flags_of(ctx).location()
    if_stopped(ctx, f"{file} was not written; run the same command again.")
    with progress_shown(quiet=quiet or as_json) as progress:
        manifest = take_backup(location, file, SystemClock(), force=force, progress=progress)
    if as_json:
        emit(manifest_shape(manifest))
    else:
        show_manifest(file, manifest)


@group.command()
def restore(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that mahavishnu store backup wrote.")],
    force: Annotated[bool, typer.Option("--force", help="Move the existing store aside first.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Restore a backup into an empty place. A backup of SQLite can go into PostgreSQL, and the reverse.

    FILE is checked before anything is written. Processes that ran at the time of the backup count as gone.

    Example: mahavishnu store restore mahavishnu-2026-01-02.backup --store sqlite:///copy.db
    """
    from mahavishnu.cli.operations.backup_view import progress_shown, restored_shape, show_restored
    from mahavishnu.engine.clock import SystemClock
    from mahavishnu.storage.backup import restore_backup

    location = flags_of(ctx).location()
    if_stopped(ctx, "nothing was restored; run the same command again.")
    with progress_shown(quiet=quiet or as_json) as progress:
        restored = restore_backup(file, location, SystemClock(), force=force, progress=progress)
    if as_json:
        emit(restored_shape(restored))
    else:
        show_restored(restored)


@group.command()
def verify(
    ctx: typer.Context,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Verify the store: the ledger, the aggregates, the lake, and that all references resolve.

    Reads one consistent state while other processes use the store, and changes nothing. Exits with 1 if a check fails.

    Example: mahavishnu store verify --json
    """
    from mahavishnu.cli.common.exits import FAILED
    from mahavishnu.cli.operations.backup_view import progress_shown, show_verification, verification_shape
    from mahavishnu.engine.clock import SystemClock
    from mahavishnu.storage.verify import verify_store

    flags = flags_of(ctx)
    keep_days = flags.settings().lake.aggregate_days
    with progress_shown(quiet=quiet or as_json) as progress:
        verification = verify_store(flags.location(), SystemClock(), keep_days=keep_days, progress=progress)
    if as_json:
        emit(verification_shape(verification))
    else:
        show_verification(verification)
    if not verification.ok:
        raise typer.Exit(FAILED)


@group.command()
def get(
    ctx: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help=f"One of {', '.join(FORMS)}.")],
    _json: Json = False,
) -> None:
    """Print one record by its key, as JSON.

    Keys: exec:{ulid}, routing:{ulid}, adapter:{adapter}:stats,
    task_type:{type}:{adapter}, cost:{date}:{adapter}, ab_test:{id};
    and of the ledger: adapter:{adapter}:cost:daily:{date},
    adapter:{adapter}:cost:weekly:{year}-W{week}, cost:total:monthly:{year}:{month}.

    Example: mahavishnu store get exec:01KB2Q7YV0S3J4N5P6R7T8V9WX
    """
    emit(_reader(_whole_key(ctx, key))(ctx))


_BY_ID = {"exec": IdKind.EXECUTION, "routing": IdKind.DECISION}


def _whole_key(ctx: typer.Context, key: str) -> str:
    """The key with its whole id, of which the last letters may have been typed."""
    form, _, id_ = key.partition(":")
    if form not in _BY_ID or not may_be_tail(id_):
        return key
    return f"{form}:{with_store(ctx, lambda store: whole_id(store, _BY_ID[form], id_), make=False)}"


def _reader(key: str) -> Callable[[typer.Context], Shape]:
    """What reads the record of a key; a key of no known form is refused before anything is opened."""
    from mahavishnu.compat.keys import Form, parse_key

    try:
        meant = parse_key(key)
    except ValueError as error:
        raise bad("KEY", str(error)) from None
    match meant.form:
        case Form.EXECUTION:
            return lambda ctx: with_store(ctx, lambda store: _execution(store, meant.id), make=False)
        case Form.ROUTING:
            return lambda ctx: with_store(ctx, lambda store: _decision(store, meant.id), make=False)
        case Form.ADAPTER | Form.TASK_TYPE:
            return lambda ctx: with_app(ctx, _summed(key, meant.adapter, meant.task_type or None), make=False)
        case Form.COST | Form.AB_TEST | Form.COST_DAILY | Form.COST_WEEKLY | Form.COST_MONTHLY:
            return lambda ctx: with_app(ctx, lambda app: _record(app, key), make=False)


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
