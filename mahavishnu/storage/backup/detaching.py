"""What a restored store believes: that it is a store of its own, and that every process of the other one is gone.

The next opening then does what it does after any crash: executions that were running are lost, what was reserved for
them is given back, their idempotency keys and jobs are free again, and their workflows can be resumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from secrets import randbits

from sqlalchemy import Connection, select

from mahavishnu.ports import Clock
from mahavishnu.storage.backup.tables import opened_file
from mahavishnu.storage.sql.connection.tables import processes
from mahavishnu.storage.sql.coordination.presence import Census, Lease

_ENDED = "UPDATE processes SET released = 1, host = host || ' (restored)'"
"""Each has let go, on a host that is not this one, also where the pid happens to run here."""

_NUMBER = "UPDATE marks SET position = ? WHERE name = 'store'"
_PARTS = "SELECT name FROM lake_parts ORDER BY name"
_RENAME = "UPDATE lake_parts SET name = ? WHERE name = ?"


def new_number() -> int:
    """What tells a store from every other: as the migration draws it."""
    return randbits(48)


def detach(file: Path, number: int) -> Mapping[str, str]:
    """Make a copy a store of its own; returns the new names of the parts of its lake by the old ones.

    With the old names this store and the one it was copied from would tidy up each other's parts in a shared folder.
    """
    with opened_file(file) as copy:
        copy.execute(_ENDED)
        copy.execute(_NUMBER, (number,))
        names = [row[0] for row in copy.execute(_PARTS)]
        renamed = {name: _renamed(name, number) for name in names}
        copy.executemany(_RENAME, [(new, old) for old, new in renamed.items()])
    return renamed


def living(connection: Connection, clock: Clock) -> list[str]:
    """The processes that use a store, for people to find them; one on another host counts until it has let go."""
    census = Census(Lease("", clock, 1.0), clock)
    rows = connection.execute(select(processes)).all()
    return [f"pid {row.pid} on {row.host.partition(' ')[0]}" for row in rows if not census.is_gone(row)]


def _renamed(name: str, number: int) -> str:
    """
    >>> _renamed("2026-01-02/5ab-000000000042-0badcafe", 7)
    '2026-01-02/7-000000000042-0badcafe'
    """
    day, _, part = name.partition("/")
    return f"{day}/{number:x}-{part.partition('-')[2]}"
