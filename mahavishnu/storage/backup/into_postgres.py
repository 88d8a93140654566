"""A PostgreSQL database as the target of a restore."""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from mahavishnu.errors import RestoreRefused
from mahavishnu.ports import Clock, Progress
from mahavishnu.storage.backup.contents import Contents, contents_of, link_lake
from mahavishnu.storage.backup.tables import fill
from mahavishnu.storage.backup.times import stamp
from mahavishnu.storage.lake.folder import Folder
from mahavishnu.storage.sql.connection import schema
from mahavishnu.storage.sql.connection.address import Address
from mahavishnu.storage.sql.connection.database import Database
from mahavishnu.storage.sql.connection.tables import VERSION_TABLE, metadata

PATIENCE = "10s"
"""How long to wait for a lock that something else holds on the tables that are to go aside."""


class PostgresTarget:
    """All in one transaction: the old tables move into a schema of their own, and the new ones are filled."""

    def __init__(self, address: Address, lake: Path, clock: Clock) -> None:
        self._address = address
        self._clock = clock
        # Several databases may have their lakes in one folder.
        name = sha256(address.shown.encode()).hexdigest()[:8]
        self.staging = lake.with_name(f"{lake.name}.restoring-{name}")
        self.placing = False

    def refuse(self, *, force: bool) -> int | None:
        """Returns the number of the store that stands there, if one does.

        Raises `RestoreRefused` for one that is in use, or not empty unless that is to go aside.
        """
        database = Database(self._address)
        try:
            with database.engine.connect() as connection:
                return self._look(connection, force=force).number
        finally:
            database.close()

    def put(self, tables: Path, lake: Folder, progress: Progress, *, force: bool) -> str | None:
        """Fill the database; returns the schema in which the old tables are now, if there were any."""
        database = Database(self._address)
        moment = stamp(self._clock.now_us())
        lake_aside = lake.root.with_name(f"{lake.root.name}.replaced-{moment}")
        try:
            with database.connect_to_write() as connection, connection.begin():
                connection.execute(text(f"SET LOCAL lock_timeout = '{PATIENCE}'"))
                schema.exclude_others(database, connection)
                found = self._look(connection, force=force)
                aside = _make_room(database, connection, found, f"mahavishnu_replaced_{moment}")
                if aside is not None:
                    link_lake(lake, found.parts, lake_aside)
                schema.set_up(database, connection)
                fill(database, connection, tables, progress)
                self.placing = True
        except BaseException:
            if not self.placing:
                shutil.rmtree(lake_aside, ignore_errors=True)
            raise
        finally:
            database.close()
        if aside is None:
            return None
        lake.remove(found.parts)
        return f"schema {aside} of the same database, its lake {lake_aside}" if found.parts else f"schema {aside}"

    def _look(self, connection: Connection, *, force: bool) -> Contents:
        found = contents_of(connection, self._clock)
        if found.users:
            raise self._refused(f"it is in use ({', '.join(found.users)}); stop what uses it first")
        if not found.empty and not force:
            raise self._refused(
                "it is not empty; name another database, or add --force to move its tables into a schema aside"
            )
        return found

    def _refused(self, problem: str) -> RestoreRefused:
        return RestoreRefused(url=self._address.shown, problem=problem)


def _make_room(database: Database, connection: Connection, found: Contents, aside: str) -> str | None:
    if found.schema == schema.NONE:
        schema.refuse_strangers(database, connection)
        return None
    ours = {*metadata.tables, VERSION_TABLE}
    tables = sorted(ours & set(inspect(connection).get_table_names()))
    if found.empty:
        for table in tables:
            connection.exec_driver_sql(f'DROP TABLE "{table}"')
        return None
    connection.exec_driver_sql(f'CREATE SCHEMA "{aside}"')
    for table in tables:
        connection.exec_driver_sql(f'ALTER TABLE "{table}" SET SCHEMA "{aside}"')
    return aside
