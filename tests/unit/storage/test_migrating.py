"""A store of an older version: brought up to date, it has lost nothing and counts what it had."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import insert

from mahavishnu.model import Daily, Execution, Snapshot, Status
from mahavishnu.ports import ExecutionQuery
from mahavishnu.stats.evidence import Tally, day_of_fact
from mahavishnu.storage import SqlStore
from mahavishnu.storage.sql.connection import schema
from mahavishnu.storage.sql.connection.address import parse
from mahavishnu.storage.sql.connection.database import Database
from mahavishnu.storage.sql.connection.tables import decisions, executions, outcomes, snapshots
from mahavishnu.testing.clock import ManualClock
from mahavishnu.testing.promises.places import evidence
from tests.history import arrivals
from tests.history import executions as some_executions

NEW = {
    "executions": ("latency_bucket", "cost_bucket", "quality_ppm"),
    "outcomes": ("of_us",),
    "snapshots": ("kind",),
}
"""What a store at 0002 does not have."""


def as_it_was(database: Database) -> None:
    """Set up the schema that was the newest when there were no aggregates."""
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parents[1] / "migrations"))
    config.set_main_option("path_separator", "os")
    with database.connect_to_write() as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")


async def copy_rows(store: SqlStore, database: Database) -> None:
    """Everything that the new store holds into the old one, without what it could not hold."""
    source = store._ready().database
    for table in (decisions, executions, outcomes, snapshots):
        kept = [column for column in table.c if column.name not in NEW.get(table.name, ())]
        with source.engine.connect() as read, database.connect_to_write() as write, write.begin():
            rows = [row._asdict() for row in read.execute(table.select().with_only_columns(*kept))]
            if rows:
                write.execute(insert(table).values({column.name: None for column in kept}), rows)
            newest = read.exec_driver_sql("SELECT value FROM counter").scalar_one()
            write.exec_driver_sql(f"UPDATE counter SET value = {newest}")


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_a_store_without_aggregates_gets_them_and_keeps_everything(tmp_path, kind, request):
    new = SqlStore(f"sqlite:///{tmp_path}/new.db", ManualClock())
    await new.open()
    # Then what was lost counted, and nothing was unsuitable.
    since_then = (Status.LOST, Status.UNSUITABLE)
    ended = [execution for execution in some_executions(400, 19_000, 5) if execution.status not in since_then]
    for batch in arrivals(ended, "forwards"):
        await new.record(batch)
    await new.publish(Snapshot(version=1, cursor=3, published_at_us=5))
    url = f"sqlite:///{tmp_path}/old.db" if kind == "sqlite" else request.getfixturevalue("postgres")()
    database = Database(parse(url))
    as_it_was(database)
    await copy_rows(new, database)
    with database.connect_to_write() as connection, connection.begin():
        card = dict.fromkeys(("timed_out", "lost", "refused", "cancelled", "quality_ppm", "quality_samples"), 0)
        card |= {"target": "a", "task_type": "t", "samples": 9, "successes": 7, "cost_micros": 5, "cost_samples": 9}
        body = json.dumps([{**card, "latency": [[3, 7]], "last_at_us": 4}]).replace("'", "''")
        connection.exec_driver_sql(f"UPDATE snapshots SET body = '{body}'")
    database.close()

    old = SqlStore(url, ManualClock())
    await old.upgrade()
    await old.open()
    try:
        everything = ExecutionQuery(last=None)
        assert await old.executions(everything) == await new.executions(everything)
        assert await evidence(old) == await evidence(new)
        while await old.fold():
            continue
        tallies: dict[tuple[int, str, str], Tally] = {}
        for _, fact in await evidence(new):
            tallies.setdefault((day_of_fact(fact), fact.task_type, fact.target), Tally()).add(fact)
        expected = [Daily(day=key[0], card=tally.card(key[2], key[1])) for key, tally in sorted(tallies.items())]
        assert list((await old.dailies())[1]) == expected == list((await old.recomputed())[1])
        (found,) = (await old.latest()).scorecards.values()
        assert (found.samples, found.squares, found.failed, found.latency) == (9, 9, 2, {3: 7})
        assert any(isinstance(fact, Execution) for _, fact in await evidence(old))
    finally:
        await old.close()
        await new.close()


def test_a_card_of_before_is_a_snapshot_of_its_day():
    from mahavishnu.storage.sql.facts.documents import snapshot_json, snapshot_of

    read = snapshot_of(4, 7, 86_400_000_000 * 3 + 5, "[]")
    assert (read.version, read.cursor, read.day, dict(read.scorecards)) == (4, 7, 3, {})
    again = snapshot_of(
        4, 7, read.published_at_us, snapshot_json(replace(read, notes=("one",), orders={"t": ("a", "b")}))
    )
    assert (again.notes, again.orders) == (("one",), {"t": ("a", "b")})
