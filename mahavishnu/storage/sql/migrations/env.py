"""Runs migrations on the connection that it is handed, inside the transaction that is open there."""

from alembic import context

from mahavishnu.storage.sql.connection.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE
)
context.run_migrations()
