"""Published snapshots."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from mahavishnu.errors import SnapshotConflict
from mahavishnu.model import Snapshot
from mahavishnu.model.unreadable import Rows
from mahavishnu.storage.sql.connection.tables import snapshots
from mahavishnu.storage.sql.connection.transaction import Transaction
from mahavishnu.storage.sql.facts.documents import snapshot_json, snapshot_of
from mahavishnu.storage.unreadable import read_each, read_one

_NEWEST_VERSION = select(func.coalesce(func.max(snapshots.c.version), 0))
_NEWEST = select(snapshots).order_by(snapshots.c.version.desc()).limit(1)
_PUBLISH = insert(snapshots)


def latest_snapshot(connection: Connection) -> Snapshot:
    """Raises RecordUnreadable."""
    row = connection.execute(_NEWEST).first()
    return Snapshot() if row is None else _snapshot_of(row)


def newest_version(connection: Connection) -> int:
    return int(connection.execute(_NEWEST_VERSION).scalar_one())


def snapshot_at(connection: Connection, version: int) -> Snapshot | None:
    """Raises RecordUnreadable."""
    row = connection.execute(select(snapshots).where(snapshots.c.version == version)).first()
    return None if row is None else _snapshot_of(row)


def newest_snapshots(connection: Connection, last: int) -> Rows[Snapshot]:
    newest = select(snapshots).order_by(snapshots.c.version.desc()).limit(max(last, 0))
    return read_each("snapshot", connection.execute(newest), lambda row: str(row.version), _read_snapshot)


def publish_snapshot(transaction: Transaction, snapshot: Snapshot) -> None:
    if snapshot.version != transaction.find(_NEWEST_VERSION)[0][0] + 1:
        raise SnapshotConflict(version=snapshot.version)
    transaction.change(
        _PUBLISH,
        {
            "version": snapshot.version,
            "cursor": snapshot.cursor,
            "published_at_us": snapshot.published_at_us,
            "body": snapshot_json(snapshot),
            "kind": snapshot.kind.value,
        },
    )


def _snapshot_of(row: Row[Any]) -> Snapshot:
    return read_one("snapshot", str(row.version), lambda: _read_snapshot(row))


def _read_snapshot(row: Row[Any]) -> Snapshot:
    return snapshot_of(row.version, row.cursor, row.published_at_us, row.body)
