"""DuckDB: rows of the database's tables in and out of it, many at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Column, Double, Integer, Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY = "1GB"
"""Beyond that DuckDB goes on working on the disk."""


@contextmanager
def duck(scratch: Path | None = None) -> Iterator[DuckDBPyConnection]:
    """A DuckDB in memory, or in a file where much is to be put into it. What it complains of is an OSError."""
    # Half as long to import as an ordinary command takes altogether.
    import duckdb

    connection = duckdb.connect(":memory:" if scratch is None else str(scratch), config={"memory_limit": MEMORY})
    try:
        yield connection
    except duckdb.Error as error:
        raise OSError(str(error).partition("\n")[0]) from error
    finally:
        connection.close()


def create_table(connection: DuckDBPyConnection, table: Table) -> None:
    """The table, as DuckDB has it."""
    columns = ", ".join(f'"{column.name}" {_type(column)}' for column in table.columns)
    connection.execute(f'CREATE TABLE "{table.name}" ({columns})')


def append(connection: DuckDBPyConnection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
    """Whole columns at once: DuckDB takes single rows a thousand times more slowly."""
    if not rows:
        return
    values = zip(*rows, strict=True)
    page = {column.name: _array(column, found) for column, found in zip(table.columns, values, strict=True)}
    connection.register("page", page)
    connection.execute(f'INSERT INTO "{table.name}" SELECT * FROM page')  # noqa: S608
    connection.unregister("page")


def columns_of(table: Table) -> str:
    return ", ".join(f'"{column.name}"' for column in table.columns)


def parquet(files: Sequence[str]) -> str:
    """What to select from, for these files."""
    listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    return f"read_parquet([{listed}], hive_partitioning = false)"


def copy_out(connection: DuckDBPyConnection, query: str, file: Path) -> int:
    """Write what a query finds into a Parquet file, which is left out where that is nothing; returns how many rows."""
    target = str(file).replace("'", "''")
    written = connection.execute(
        f"COPY ({query}) TO '{target}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"
    ).fetchone()
    rows = int(written[0]) if written else 0
    if not rows:
        file.unlink(missing_ok=True)
    return rows


def _type(column: Column[Any]) -> str:
    if isinstance(column.type, Double):
        return "DOUBLE"
    return "BIGINT" if isinstance(column.type, BigInteger | Integer) else "VARCHAR"


def _array(column: Column[Any], values: Sequence[Any]) -> Any:
    import numpy as np

    kind = {"DOUBLE": np.float64, "BIGINT": np.int64}.get(_type(column))
    if kind is None:
        return np.array(values, dtype=object)
    if not column.nullable:
        return np.array(values, dtype=kind)
    absent = [value is None for value in values]
    return np.ma.masked_array(np.array([value or 0 for value in values], dtype=kind), mask=np.array(absent, dtype=bool))
