"""The schema of a database: whether it is ours, set up where there is none, brought up to date when asked."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from mahavishnu.errors import StoreOutdated
from mahavishnu.storage.sql.connection.database import Database, use_write_ahead_log
from mahavishnu.storage.sql.connection.tables import HEAD, VERSION_TABLE, metadata

NONE = "none"

_LOCK = 0x6D616861
"""Any number, as long as everybody who sets up a PostgreSQL database uses the same one."""


def ready(database: Database) -> None:
    """Returns once the schema is this version's. An empty database is set up; raises `StoreOutdated` for any other."""
    found = database.read(revision)
    if found == NONE:
        migrate(database)
    elif found != HEAD:
        raise StoreOutdated(url=database.address.shown, found=found, wanted=HEAD)
    else:
        use_write_ahead_log(database)


def migrate(database: Database) -> None:
    """Run every migration that is missing. Several processes may do so at once: one does it, the others wait."""
    # Before anything changes in a file that may be another application's, its journal mode included.
    database.read(partial(refuse_strangers, database))
    use_write_ahead_log(database)
    with database.connect_to_write() as connection, connection.begin():
        exclude_others(database, connection)
        found = revision(connection)
        if found == NONE:
            refuse_strangers(database, connection)
        if found != HEAD:
            _run_migrations(database, connection, found)


def exclude_others(database: Database, connection: Connection) -> None:
    """Whoever else would set up or migrate this database waits until this transaction is over."""
    if not database.address.is_sqlite:
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})


def revision(connection: Connection) -> str:
    """The revision that a database is at, or `NONE`."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return NONE
    found = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()  # noqa: S608
    return NONE if found is None else str(found)


def set_up(database: Database, connection: Connection, at: str = HEAD) -> None:
    """Create the tables in an empty database, as they are at a revision. Raises `StoreOutdated` for an unknown one."""
    _run_migrations(database, connection, at, to=at)


def refuse_strangers(database: Database, connection: Connection) -> None:
    """Raises StoreUnavailable for a database without our schema that has a table in our way; for a file, any table."""
    tables = set(inspect(connection).get_table_names()) - {VERSION_TABLE}
    taken = sorted(tables if database.address.is_sqlite else tables & set(metadata.tables))
    # In this order: tables that another process of ours creates in between come with a revision.
    if taken and revision(connection) == NONE:
        whole = "a file of its own" if database.address.is_sqlite else "a database of its own"
        raise database.address.unavailable(f'it holds the table "{taken[0]}" of another application; name {whole}')


def _run_migrations(database: Database, connection: Connection, found: str, to: str = "head") -> None:
    # Alembic takes longer to import than an ordinary opening takes altogether.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    folder = Path(__file__).parents[1] / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, to)
    except CommandError:
        # The only way is forward: a database of a later version needs that version.
        raise StoreOutdated(url=database.address.shown, found=found, wanted=HEAD) from None
