"""A store with something of everything in it, to be copied and checked: what the tests of backups have in common."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text

from mahavishnu.engine.clock import SystemClock
from mahavishnu.model import Account, Budget, Execution, Micros, Reservation, Status
from mahavishnu.model.workflow_run import WorkflowEnd, WorkflowStart
from mahavishnu.ports import Charge, ExecutionQuery, Settlement, StoreLocation, Verification
from mahavishnu.storage import SqlStore
from mahavishnu.storage.backup import restore_backup, take_backup
from mahavishnu.storage.sql.connection.address import parse
from mahavishnu.storage.sql.connection.database import Database
from mahavishnu.storage.verify import verify_store
from mahavishnu.testing.samples import Samples, spender
from tests.history import executions
from tests.integration.lakes import TODAY, publish, record, tidy

CLOCK = SystemClock()
KEEP_DAYS = 30


@dataclass(frozen=True)
class Kept:
    """What `populate` put into a store and tests ask for."""

    moved: Execution
    charged: Execution
    running: Execution


def location(folder: Path, url: str | None = None, *, name: str = "store") -> StoreLocation:
    return StoreLocation(url or f"sqlite:///{folder}/{name}.db", str(folder / f"{name}-lake"), str(folder / "spool"))


async def opened(at: StoreLocation) -> SqlStore:
    store = SqlStore(at.url, CLOCK, lake=at.lake)
    await store.open()
    return store


async def populate(store: SqlStore) -> Kept:
    """Days in the lake, aggregates, money spent and set aside, keys and a workflow; one run is not over."""
    runs = list(executions(120, TODAY - 3, 4, seed=1))
    await record(store, runs)
    charged, running = await spend(store)
    await publish(store)
    await tidy(store)
    return Kept(moved=runs[0], charged=charged, running=running)


async def spend(store: SqlStore) -> tuple[Execution, Execution]:
    """Two charged executions, one of them learnt of later, one that is not over, and a workflow."""
    await store.set_budget(Budget(name="hard", hard_micros=Micros(1_000_000)))
    make = Samples(CLOCK)
    charged = await _charge(store, make, "key")
    await _charge(store, make, None)
    decision = make.decision()
    running = make.start(decision, store.process_id)
    await store.claim("open", "print", decision.id)
    await store.reserve(_reservation(running), [decision, running])
    start = WorkflowStart(
        id=make.new_id(), run_id="run", definition={"name": "w"}, inputs={}, place="local", process_id=None,
        at_us=CLOCK.now_us(),
    )  # fmt: skip
    await store.record_workflow_start(start)
    end = WorkflowEnd(id=make.new_id(), run_id="run", status=Status.SUCCEEDED, reason=None, at_us=CLOCK.now_us())
    await store.record_workflow_end(end)
    await store.record([make.outcome(await _decision(store, charged), completed=False)])
    return charged, running


def check(at: StoreLocation) -> Verification:
    return verify_store(at, CLOCK, keep_days=KEEP_DAYS)


def failed(at: StoreLocation) -> dict[str, list[str]]:
    """The checks that fail, with their examples."""
    return {found.name: list(found.examples) for found in check(at).checks if not found.ok}


def back_up(at: StoreLocation, file: Path, **options: Any) -> Any:
    return take_backup(at, file, CLOCK, **options)


def restore(file: Path, at: StoreLocation, **options: Any) -> Any:
    return restore_backup(file, at, CLOCK, **options)


def sql(at: StoreLocation, *statements: str) -> None:
    """Break something by hand."""
    database = Database(parse(at.url))
    try:
        with database.engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))
    finally:
        database.close()


def rows(at: StoreLocation) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in the tables, but for what a restore changes on purpose."""
    database = Database(parse(at.url))
    found: dict[str, list[tuple[Any, ...]]] = {}
    try:
        with database.engine.connect() as connection:
            for name in database.inserts:
                if name not in ("processes", "lake_parts", "marks"):
                    every = connection.execute(text(f'SELECT * FROM "{name}"')).all()
                    found[name] = sorted((tuple(row) for row in every), key=repr)
    finally:
        database.close()
    return found


async def build(folder: Path) -> Kept:
    """A store in a folder, closed again, and a backup of it."""
    store = await opened(location(folder))
    kept = await populate(store)
    await store.close()
    back_up(location(folder), folder / "good.backup")
    return kept


async def ended_ids(store: SqlStore) -> set[str]:
    return {each.id for each in await store.executions(ExecutionQuery(last=None)) if each.status.ended}


def integrity(file: Path) -> str:
    with closing(sqlite3.connect(file)) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def _charge(store: SqlStore, make: Samples, key: str | None) -> Execution:
    decision = make.decision()
    start = make.start(decision, store.process_id)
    if key is not None:
        await store.claim(key, "print", decision.id)
    await store.reserve(_reservation(start), [decision, start])
    end = make.end(start)
    settle = None if key is None else Settlement(key=key, decision_id=decision.id, succeeded=True)
    charge = Charge(execution_id=start.id, at_us=start.started_at_us, micros=end.cost_micros, spender=spender(start))
    await store.charge(charge, [end], settle=settle)
    return end


def _reservation(start: Execution) -> Reservation:
    return Reservation(
        execution_id=start.id,
        process_id=start.process_id,
        at_us=start.started_at_us,
        micros=Micros(3000),
        spender=spender(start),
        accounts=(Account(budget="hard", label="total"),),
    )


async def _decision(store: SqlStore, execution: Execution) -> Any:
    decision = await store.decision(execution.decision_id)
    assert decision is not None
    return decision
