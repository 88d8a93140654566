"""Opening a store: what is set up, what is refused, and how it is said."""

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from mahavishnu.errors import StoreOutdated, StoreUnavailable
from mahavishnu.storage import MemoryStore, SqlStore, open_store
from mahavishnu.storage.sql.connection import schema
from mahavishnu.storage.sql.connection.address import parse
from mahavishnu.storage.sql.connection.database import Database
from mahavishnu.storage.sql.connection.tables import HEAD, VERSION_TABLE, metadata
from mahavishnu.testing.clock import ManualClock


async def opened(url: str) -> SqlStore:
    store = SqlStore(url, ManualClock())
    await store.open()
    return store


async def refused(url: str) -> str:
    with pytest.raises(StoreUnavailable) as problem:
        await opened(url)
    return str(problem.value)


def execute(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()


def test_the_url_chooses_the_store():
    assert isinstance(open_store("memory:", ManualClock()), MemoryStore)
    assert isinstance(open_store("sqlite:///a.db", ManualClock()), SqlStore)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_the_migrations_lead_to_the_tables_that_the_code_uses(kind, tmp_path, request):
    url = f"sqlite:///{tmp_path}/store.db" if kind == "sqlite" else request.getfixturevalue("postgres")()
    database = Database(parse(url))
    try:
        schema.migrate(database)
        with database.engine.connect() as connection:
            options = {"version_table": VERSION_TABLE, "compare_type": True}
            assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
    finally:
        database.close()


def test_the_newest_migration_is_the_one_that_an_open_store_must_be_at():
    folder = Path(schema.__file__).parents[1] / "migrations"
    assert ScriptDirectory(str(folder)).get_current_head() == HEAD


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_many_may_open_an_empty_database_at_once(kind, tmp_path, request):
    url = f"sqlite:///{tmp_path}/store.db" if kind == "sqlite" else request.getfixturevalue("postgres")()
    clock = ManualClock()
    stores = [SqlStore(url, clock) for _ in range(6)]
    await asyncio.gather(*(store.open() for store in stores))
    assert (await stores[0].info()).rows["processes"] == 6
    for store in stores:
        await store.close()


async def test_a_store_that_is_set_up_opens_without_the_machinery_of_migrations(tmp_path):
    url = f"sqlite:///{tmp_path}/store.db"
    await (await opened(url)).close()
    script = f"""
import asyncio, sys
from mahavishnu.storage import SqlStore
from mahavishnu.testing.clock import ManualClock
asyncio.run(SqlStore({url!r}, ManualClock()).open())
assert "alembic" not in sys.modules
"""
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stderr=subprocess.PIPE)
    _out, err = await child.communicate()
    assert child.returncode == 0, err.decode()


async def test_another_revision_is_refused_and_an_upgrade_does_not_go_backwards(tmp_path):
    path = tmp_path / "store.db"
    url = f"sqlite:///{path}"
    await (await opened(url)).close()
    execute(path, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    for attempt in (opened(url), SqlStore(url, ManualClock()).upgrade()):
        with pytest.raises(StoreOutdated) as outdated:
            await attempt
        assert (outdated.value.found, outdated.value.wanted) == ("9999", HEAD)


async def test_an_upgrade_sets_up_what_is_empty_and_leaves_the_newest_alone(tmp_path):
    url = f"sqlite:///{tmp_path}/store.db"
    for _ in range(2):
        await SqlStore(url, ManualClock()).upgrade()
    store = await opened(url)
    assert (await store.info()).schema == HEAD
    await store.close()


@pytest.mark.parametrize("table", ["decisions", "customers"])
async def test_a_file_of_another_application_is_left_as_it_is(tmp_path, table):
    path = tmp_path / "theirs.db"
    execute(path, f"CREATE TABLE {table} (verdict TEXT)")
    before = path.read_bytes()
    assert f'the table "{table}" of another application; name a file of its own' in await refused(f"sqlite:///{path}")
    assert path.read_bytes() == before


async def test_a_file_that_cannot_be_used_is_refused_with_the_mend(tmp_path):
    stray = tmp_path / "notes.txt"
    stray.write_text("no database at all, " * 100)
    assert "it is not an SQLite database" in await refused(f"sqlite:///{stray}")
    assert stray.read_text() == "no database at all, " * 100
    assert f'the folder "{tmp_path}/none" does not exist; create it' in await refused(f"sqlite:///{tmp_path}/none/a.db")
    assert not (tmp_path / "none").exists()
    assert f'"{tmp_path}" is a folder; name a file' in await refused(f"sqlite:///{tmp_path}")
    assert f'"{stray}" is not a folder' in await refused(f"sqlite:///{stray}/a.db")
    assert "it cannot be opened" in await refused(f"sqlite:///{tmp_path}/\0.db")


async def test_what_is_read_only_is_refused_even_for_root(tmp_path):
    path = tmp_path / "store.db"
    await (await opened(f"sqlite:///{path}")).close()
    path.chmod(0o444)
    assert f'the file "{path}" is read-only; run: chmod u+w' in await refused(f"sqlite:///{path}")
    path.chmod(0o644)
    tmp_path.chmod(0o555)
    try:
        assert f'the folder "{tmp_path}" is read-only; run: chmod u+w' in await refused(f"sqlite:///{path}")
    finally:
        tmp_path.chmod(0o755)


async def test_a_missing_driver_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert 'pip install "mahavishnu[postgres]"' in await refused("postgresql://ada@host/db")


async def test_a_server_that_cannot_be_used_is_refused_with_the_mend_and_without_the_password(postgres):
    url = postgres()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE ROLE guarded LOGIN PASSWORD 'correct horse'")
        (file,) = connection.execute("SHOW hba_file").fetchone()
        rules = Path(file).read_text()
        Path(file).write_text(f"local all guarded scram-sha-256\n{rules}")
        connection.execute("SELECT pg_reload_conf()")
    guarded = url.replace("postgres@", "guarded:s3cret@")
    for wrong in (guarded, guarded.replace(":s3cret", "")):
        assert "the password is wrong; set MAHAVISHNU_STORE_PASSWORD" in await refused(wrong)
    problems = [
        await refused(guarded),
        await refused(guarded.replace("s3cret", "correct%20horse")),
        await refused(url.replace("postgres@", "nobody:s3cret@")),
        await refused(f"{url}&password=s3cret&sslmode=nonsense"),
        await refused("postgresql://ada:s3cret@127.0.0.1:1/db"),
    ]
    assert "the database user lacks a right" in problems[1]
    assert 'role "nobody" does not exist' in problems[2]
    assert "the server cannot be reached" in problems[4]
    assert not any("s3cret" in each or "correct" in each.partition("cannot be used")[0] for each in problems)
    Path(file).write_text(rules)


async def test_a_store_that_was_not_opened_says_so():
    store = SqlStore("postgresql://ada:s3cret@host/db", ManualClock())
    with pytest.raises(StoreUnavailable, match="it is not open") as problem:
        await store.latest()
    assert "s3cret" not in str(problem.value)
    await store.close()


async def test_a_store_may_be_opened_again_after_it_was_closed(tmp_path):
    store = await opened(f"sqlite:///{tmp_path}/store.db")
    await store.open()
    await store.close()
    await store.open()
    assert (await store.latest()).version == 0
    await store.close()


async def test_a_store_says_what_it_runs_on(tmp_path, postgres):
    lite = await opened(f"sqlite:///{tmp_path}/store.db")
    info = await lite.info()
    assert info.url == f"sqlite:///{tmp_path}/store.db"
    assert (info.detail["journal_mode"], info.detail["synchronous"]) == ("wal", "full")
    await lite.close()
    big = await opened(postgres().replace("postgres@", "postgres:s3cret@"))
    info = await big.info()
    assert info.detail["server"].startswith("PostgreSQL ")
    assert "s3cret" not in repr(info)
    await big.close()
