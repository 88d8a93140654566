"""What goes with the days that it belonged to: old snapshots, and keys whose answer is not kept any more."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, func, select

from mahavishnu.model import DAY_US, SnapshotKind
from mahavishnu.model.identity import ulid
from mahavishnu.ports import Keeping, Kept
from mahavishnu.storage.sql.connection.tables import keys, snapshots
from mahavishnu.storage.sql.connection.transaction import Transaction

NEWEST = 50
"""So many snapshots stay, however old."""

_NEWEST_VERSION = select(func.coalesce(func.max(snapshots.c.version), 0))
_OLD = (snapshots.c.version <= bindparam("version_"), snapshots.c.published_at_us < bindparam("before_us"))
_FOLDS = delete(snapshots).where(*_OLD, snapshots.c.kind == SnapshotKind.FOLD.value)
_ANY = delete(snapshots).where(*_OLD)
_KEYS = delete(keys).where(keys.c.decision_id < bindparam("before"), keys.c.succeeded == 1)


def prune(transaction: Transaction, keeping: Keeping, today: int) -> Kept | None:
    """Folds go with the hot days, other snapshots with the aggregates, keys with the raw facts."""
    newest = transaction.find(_NEWEST_VERSION)[0][0] - NEWEST
    hot, raw, aggregate = (
        (today - days) * DAY_US for days in (keeping.hot_days, keeping.raw_days, keeping.aggregate_days)
    )
    gone = transaction.change(_FOLDS, {"version_": newest, "before_us": hot})
    gone += transaction.change(_ANY, {"version_": newest, "before_us": aggregate})
    gone += transaction.change(_KEYS, {"before": ulid(max(raw, 0) // 1000, 0)})
    return Kept(what="pruned", day=today, rows=gone) if gone else None
