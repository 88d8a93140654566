"""mahavishnu doctor: what is installed, reachable or missing, and what mends it."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import EntryPoint, PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

import typer

from mahavishnu.cli.common.columns import CHECKS
from mahavishnu.cli.common.exits import FAILED, STORE_UNUSABLE
from mahavishnu.cli.common.flags import Flags, Json, Wide, as_it_is, flags_of, store_is_missing
from mahavishnu.cli.common.printing import emit, waiting
from mahavishnu.cli.targets.health_hints import mend_of
from mahavishnu.errors import MahavishnuError, PluginMissing, RepositoryError, StoreOutdated
from mahavishnu.model import HealthStatus, Process
from mahavishnu.redaction import redacted

if TYPE_CHECKING:
    from mahavishnu.app import App
    from mahavishnu.engine.routing.roster import Standing
    from mahavishnu.model.unreadable import Unreadable
    from mahavishnu.settings import Settings

OK: Literal["ok"] = "ok"
WARNING: Literal["warning"] = "warning"
MISSING: Literal["missing"] = "missing"
BROKEN: Literal["broken"] = "broken"


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was looked at. `missing` is not installed and need not be; `broken` must be mended."""

    check: str
    status: Literal["ok", "warning", "missing", "broken"]
    detail: str
    mend: str = ""


OPTIONAL = {
    "prefect": "mahavishnu[prefect]",
    "agno": "mahavishnu[agno]",
    "llama_index": "mahavishnu[llamaindex]",
    "psycopg": "mahavishnu[postgres]",
}
"""Engines and drivers by their module, and what brings each."""


def doctor(
    ctx: typer.Context,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """Check what is installed, reachable or missing, and name the command that repairs it.

    Example: mahavishnu doctor --json
    """
    with waiting("Looking …"):
        rows, code = examine(flags_of(ctx))
    rows = [replace(row, detail=redacted(row.detail), mend=redacted(row.mend)) for row in rows]
    if as_json:
        emit([asdict(row) for row in rows])
    else:
        CHECKS.show_shapes([asdict(row) for row in rows], wide=wide)
    raise typer.Exit(code)


def examine(flags: Flags) -> tuple[list[Row], int]:
    """Every row, and the exit code: nothing here stops because something else is broken."""
    rows = [_python(), _package()]
    settings, row = _configuration(flags)
    rows.append(row)
    store_row = _store_row(settings)
    rows.append(store_row)
    if settings is not None and store_row.status == OK:
        settings = as_it_is(settings)
        rows += _processes(settings)
    rows += _plugins()
    rows += [_library(module, brought_by) for module, brought_by in OPTIONAL.items()]
    if settings is not None and store_row.status == OK:
        rows += _targets(settings)
    if store_row.status == BROKEN:
        return rows, STORE_UNUSABLE
    return rows, FAILED if any(row.status == BROKEN for row in rows) else 0


def _python() -> Row:
    return Row("python", OK, f"{platform.python_version()} on {platform.platform(terse=True)}")


def _package() -> Row:
    return Row("mahavishnu", OK, version("mahavishnu"))


def _configuration(flags: Flags) -> tuple[Settings | None, Row]:
    from mahavishnu.settings import find_config

    path = find_config(flags.config, os.environ)
    try:
        settings = flags.settings()
    except MahavishnuError as error:
        return None, Row("configuration", BROKEN, str(error), "correct it; mahavishnu init --help shows a fresh one")
    if path is None:
        return settings, Row("configuration", OK, "no file, so everything is at its default", "mahavishnu init")
    return settings, Row("configuration", OK, str(path))


def _store_row(settings: Settings | None) -> Row:
    if settings is None:
        return Row("store", WARNING, "not looked at, since the configuration cannot be read", "correct that first")
    try:
        if store_is_missing(settings):
            return Row("store", OK, _missing(settings))
        return Row("store", OK, asyncio.run(_opened(settings)))
    except StoreOutdated as error:
        return Row("store", BROKEN, str(error), "mahavishnu store upgrade")
    except RepositoryError as error:
        return Row("store", BROKEN, str(error), "correct [store] url, or name another one with --store")


def _missing(settings: Settings) -> str:
    from mahavishnu.storage.sql.connection.address import shown_url

    return f"there is none at {shown_url(settings.store.url)} yet; the first command that writes something creates it"


async def _opened(settings: Settings) -> str:
    """Opening writes this process's presence, so a store that opens can be written."""
    from mahavishnu.app import make_store

    store = make_store(settings)
    try:
        await store.open()
        info = await store.info()
    finally:
        await store.close()
    return f"{info.url}, schema {info.schema}, {sum(info.rows.values())} rows"


def _processes(settings: Settings) -> list[Row]:
    """Every process whose background work is behind or has failed, and every one that is gone and still holds
    something."""
    try:
        found = asyncio.run(_known(settings))
    except MahavishnuError as error:
        return [Row("processes", BROKEN, str(error), "mahavishnu store info")]
    return [row for process in found for row in _process_rows(process)]


async def _known(settings: Settings) -> Sequence[Process]:
    from mahavishnu.app import make_store

    store = make_store(settings)
    try:
        await store.open()
        return [process for process in await store.processes() if process.id != store.process_id]
    finally:
        await store.close()


def _process_rows(process: Process) -> list[Row]:
    check = f"process {process.id}"
    where = f"pid {process.pid} on {process.host}"
    if not process.lives:
        if not (process.running or process.reserved_micros):
            return []
        held = f"{where} is gone; {process.running} executions are still open"
        return [Row(check, WARNING, held, f"any open process gives it up; or: mahavishnu store release {process.id}")]
    return [
        Row(
            check,
            WARNING,
            f"{where}: {loop.name} {'is behind' if loop.stale else 'has failed'} ({loop.failures} failures, the last:"
            f" {loop.last_failure or 'none'})",
            "see its log; mahavishnu store processes",
        )
        for loop in process.loops
        if loop.stale or loop.failures
    ]


def _plugins() -> list[Row]:
    from mahavishnu.plugins import available_adapters, available_policies, load_adapter, load_policy

    adapters = _loadable("adapter", available_adapters(), load_adapter)
    return adapters + _loadable("policy", available_policies(), load_policy)


def _loadable(kind: str, available: Mapping[str, EntryPoint], load: Callable[[str], object]) -> list[Row]:
    return [_loaded(f"{kind} {name}", name, entry, load) for name, entry in sorted(available.items())]


def _loaded(check: str, name: str, entry: EntryPoint, load: Callable[[str], object]) -> Row:
    try:
        load(name)
    except PluginMissing as error:
        return Row(check, MISSING, f"needs {error.module}", error.mend)
    except MahavishnuError as error:
        return Row(check, BROKEN, str(error), "reinstall the package that brings it")
    return Row(check, OK, f"{entry.value} of {entry.dist.name} {entry.dist.version}" if entry.dist else entry.value)


def _library(module: str, brought_by: str) -> Row:
    if find_spec(module) is None:
        return Row(
            f"library {module}", MISSING, "not installed; only needed for what uses it", f'pip install "{brought_by}"'
        )
    try:
        return Row(f"library {module}", OK, version(module.replace("_", "-")))
    except PackageNotFoundError:
        return Row(f"library {module}", OK, "installed")


def _targets(settings: Settings) -> list[Row]:
    try:
        return asyncio.run(_standing(settings))
    except MahavishnuError as error:
        return [Row("engine", BROKEN, str(error), "correct it in the configuration")]


async def _standing(settings: Settings) -> list[Row]:
    from mahavishnu.app import open_app

    async with open_app(settings) as app:
        await app.orchestrator.check_health()
        standings = app.orchestrator.standings()
        unreadable = [_unreadable(row) for row in await _left_out(app)]
    if not standings:
        return [Row("targets", WARNING, "there is none yet", "mahavishnu targets add --help"), *unreadable]
    return [*map(_target, standings), *unreadable]


async def _left_out(app: App) -> list[Unreadable]:
    """Every row of the store that this version cannot read."""
    store = app.store
    rows = [*app.orchestrator.unreadable(), *(await store.experiments()).unreadable]
    rows += [*(await store.queued()).unreadable, *(await store.alerts()).unreadable, *(await store.jobs()).unreadable]
    rows += (await store.snapshots(1)).unreadable
    return list(dict.fromkeys(rows))


def _unreadable(row: Unreadable) -> Row:
    return Row(f"{row.kind} {row.name}", BROKEN, f"this version cannot read it: {row.problem}", row.mend)


def _target(standing: Standing) -> Row:
    target, health = standing.target, standing.health
    name, mend = target.name, mend_of(health, target)
    check, said = f"target {name}", health.detail or health.status.value
    if standing.asides and health.can_run:
        aside = "; ".join(map(str, standing.asides))
        return Row(check, WARNING, f"{said}; {aside}", f"mahavishnu routing release {name}")
    if not standing.enabled:
        return Row(check, OK, f"disabled; {said}", f"mahavishnu targets enable {name}")
    match health.status:
        case HealthStatus.HEALTHY:
            return Row(check, OK, said)
        case HealthStatus.DEGRADED:
            return Row(check, WARNING, said, mend)
        case _:
            return Row(check, BROKEN, said, f"{mend}; or run: mahavishnu targets disable {name}")
