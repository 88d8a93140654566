"""Parts of a day made one: as they are, or with nothing left of the records but their sums."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mahavishnu.storage.lake.duck import copy_out, duck, parquet
from mahavishnu.storage.lake.folder import Folder
from mahavishnu.storage.lake.moving import sums_out
from mahavishnu.storage.lake.totals import add_executions, add_revisions, add_sums
from mahavishnu.storage.sql.facts.aggregates import Days
from mahavishnu.storage.sql.lake_manifest import Part

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_ORDER = {"executions": "id", "decisions": "id", "assignments": "position", "outcomes": "position", "dropped": "id"}


def rewrite(folder: Folder, parts: Sequence[Part], draft: Path, *, keep_raw: bool) -> None:
    """Write what these parts hold together."""
    names = [part.name for part in parts]
    days = Days()
    with duck() as connection:
        if files := folder.files(names, "sums"):
            add_sums(days, connection, parquet(files))
        if keep_raw:
            for kind, order in _ORDER.items():
                if files := folder.files(names, kind):
                    copy_out(
                        connection,
                        f"SELECT * FROM {parquet(files)} ORDER BY {order}",  # noqa: S608
                        draft / f"{kind}.parquet",
                    )
        else:
            _add_raw(days, connection, folder, names)
        sums_out(connection, days, draft / "sums.parquet")


def add_parts(days: Days, folder: Folder, parts: Sequence[Part]) -> None:
    """Add up everything that these parts hold, and held."""
    names = [part.name for part in parts]
    with duck() as connection:
        if files := folder.files(names, "sums"):
            add_sums(days, connection, parquet(files))
        _add_raw(days, connection, folder, names)


def _add_raw(days: Days, connection: DuckDBPyConnection, folder: Folder, names: Sequence[str]) -> None:
    if files := folder.files(names, "executions"):
        add_executions(days, connection, parquet(files))
    if files := folder.files(names, "outcomes"):
        add_revisions(days, connection, parquet(files))
