"""The lake: days that are over, in Parquet files that DuckDB reads."""

from mahavishnu.storage.lake.lake import Lake

__all__ = ["Lake"]
