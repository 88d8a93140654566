"""Whether the database itself is sound."""

from __future__ import annotations

from mahavishnu.storage.sql.connection.tables import metadata
from mahavishnu.storage.verify.findings import SHOWN, Finding, Subject


def database_is_sound(subject: Subject, finding: Finding) -> None:
    """SQLite looks at every page and index; PostgreSQL has to read every row, which finds pages that cannot be read."""
    if subject.database.address.is_sqlite:
        finding.looked_at += len(metadata.tables)
        for row in subject.connection.exec_driver_sql(f"PRAGMA integrity_check({SHOWN})"):
            if row[0] != "ok":
                finding.fail(str(row[0]))
        return
    for table in metadata.sorted_tables:
        finding.looked_at += 1
        subject.connection.exec_driver_sql(f'SELECT sum(length("{table.name}"::text)) FROM "{table.name}"').all()  # noqa: S608
