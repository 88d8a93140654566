"""Upgrading a store: one of an older version is refused, mended by an upgrade, and keeps what it holds."""

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from mahavishnu.errors import StoreOutdated
from mahavishnu.storage import SqlStore
from mahavishnu.storage.sql.connection import schema
from mahavishnu.storage.sql.connection.address import parse
from mahavishnu.storage.sql.connection.database import Database
from mahavishnu.storage.sql.connection.tables import HEAD
from mahavishnu.testing.clock import ManualClock
from mahavishnu.testing.promises.workflows import a_run_comes_back_exactly_and_is_running_until_its_end

MIGRATIONS = Path(schema.__file__).parents[1] / "migrations"
OLDER = [each.revision for each in ScriptDirectory(str(MIGRATIONS)).walk_revisions() if each.revision != HEAD]


def set_up_as_it_was(url: str, revision: str) -> None:
    """A store of an older version, with a switch in it."""
    database = Database(parse(url))
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    try:
        with database.connect_to_write() as connection, connection.begin():
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            connection.exec_driver_sql("INSERT INTO switches (target, enabled) VALUES ('kept', 0)")
    finally:
        database.close()


def test_there_is_an_older_version_to_come_from():
    assert "0001" in OLDER


@pytest.mark.parametrize("revision", OLDER)
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_an_older_store_is_refused_until_it_is_upgraded_and_keeps_what_it_holds(
    kind, revision, tmp_path, request
):
    url = f"sqlite:///{tmp_path}/store.db" if kind == "sqlite" else request.getfixturevalue("postgres")()
    set_up_as_it_was(url, revision)
    clock = ManualClock()
    store = SqlStore(url, clock)
    with pytest.raises(StoreOutdated, match="run: mahavishnu store upgrade") as outdated:
        await store.open()
    assert (outdated.value.found, outdated.value.wanted) == (revision, HEAD)
    await store.upgrade()
    await store.open()
    try:
        assert await store.switches() == {"kept": False}
        assert (await store.info()).schema == HEAD
    finally:
        await store.close()

    async def another() -> SqlStore:
        opened = SqlStore(url, clock)
        await opened.open()
        return opened

    await a_run_comes_back_exactly_and_is_running_until_its_end(another)
