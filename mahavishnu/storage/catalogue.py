"""What may change: published snapshots, the targets that were added, and the switches of all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, text

from mahavishnu.errors import SnapshotConflict, TargetExists, UnknownName, nearest_name
from mahavishnu.model import Snapshot, Target
from mahavishnu.model.unreadable import Rows, Switches
from mahavishnu.storage.documents import snapshot_json, snapshot_of, target_json, target_of
from mahavishnu.storage.rows import escaped, unescaped
from mahavishnu.storage.tables import snapshots, switches, targets
from mahavishnu.storage.transaction import Transaction
from mahavishnu.storage.unreadable import read_each, read_one, shown

_NEWEST_VERSION = select(func.coalesce(func.max(snapshots.c.version), 0))
_NEWEST = select(snapshots).order_by(snapshots.c.version.desc()).limit(1)
_PUBLISH = insert(snapshots)
_LAST_PLACE = select(func.coalesce(func.max(targets.c.place), 0))
_ADD = insert(targets)
_NAMES = select(targets.c.name)
_REMOVE = delete(targets).where(targets.c.name == bindparam("target_"))
_UNSWITCH = delete(switches).where(switches.c.target == bindparam("target_"))
_SWITCH = text(
    "INSERT INTO switches (target, enabled) VALUES (:target, :enabled)"
    " ON CONFLICT (target) DO UPDATE SET enabled = excluded.enabled"
)


def unknown_target(name: str, known: Iterable[str]) -> UnknownName:
    nearest = nearest_name(name, known)
    return UnknownName(kind="target", name=name, nearest=nearest, see="mahavishnu targets list")


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


def added_targets(connection: Connection) -> Rows[Target]:
    found = connection.execute(select(targets).order_by(targets.c.place))
    return read_each("target", found, lambda row: shown(row.name), _target_of)


def add_target(transaction: Transaction, target: Target) -> None:
    if target.name in _names(transaction):
        raise TargetExists(target=target.name, where="the store")
    place = transaction.find(_LAST_PLACE)[0][0] + 1
    transaction.change(_ADD, {"name": escaped(target.name), "place": place, "body": target_json(target)})


def remove_target(transaction: Transaction, name: str) -> None:
    known = _names(transaction)
    if name not in known:
        raise unknown_target(name, known)
    transaction.change(_REMOVE, {"target_": escaped(name)})
    transaction.change(_UNSWITCH, {"target_": escaped(name)})


def hand_switches(connection: Connection) -> Switches:
    rows = connection.execute(select(switches)).all()
    read = read_each("switch of target", rows, lambda row: shown(row.target), _switch_of)
    found = Switches(read)
    # It may have been switched off: a switch that says nothing does not let it run.
    found.update({each.name: False for each in read.unreadable})
    found.unreadable = read.unreadable
    return found


def switch_target(transaction: Transaction, name: str, enabled: bool) -> None:
    transaction.change(_SWITCH, {"target": escaped(name), "enabled": int(enabled)})


def _names(transaction: Transaction) -> list[str]:
    return [shown(row.name) for row in transaction.find(_NAMES)]


def _snapshot_of(row: Row[Any]) -> Snapshot:
    return read_one("snapshot", str(row.version), lambda: _read_snapshot(row))


def _read_snapshot(row: Row[Any]) -> Snapshot:
    return snapshot_of(row.version, row.cursor, row.published_at_us, row.body)


def _target_of(row: Row[Any]) -> Target:
    target = target_of(row.body)
    if target.name != unescaped(row.name):
        raise ValueError(f'it calls itself "{target.name}"')
    return target


def _switch_of(row: Row[Any]) -> tuple[str, bool]:
    if row.enabled not in (0, 1):
        raise ValueError(f"it stands at {row.enabled!r}, which is neither on (1) nor off (0)")
    return unescaped(row.target), bool(row.enabled)
