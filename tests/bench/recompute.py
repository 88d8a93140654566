"""P11, P12, P13: working out the daily aggregates again from the lake, and folding one day into the history.

Subjects of P11 and P12: ours (`recomputed`, from the files to scorecards), the floor (the same sums and bucket counts
by DuckDB on the same files, and nothing made of them), and the sums alone, which is what `performance.md` measured.
P13: one day of the lake worked out and put in the place of what there was, beside all ten of P11; and the hot way, a
day's facts in SQLite folded from the cursor on. Ten days, five targets, four task types.

    python -m tests.bench.recompute [ROWS] [ROWS OF P12] [HOT ROWS]
"""

import asyncio
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import duckdb

from mahavishnu.engine.clock import SystemClock
from mahavishnu.storage import SqlStore
from mahavishnu.storage.lake.folder import Folder
from mahavishnu.storage.sql.lake_manifest import Part, swap
from tests.history import executions

DAYS = 10
FIRST_DAY = 20_000
ROUNDS = 5

ROWS_OF_A_DAY = """
COPY (
    SELECT i AS position, printf('01M%05d%018d', {day}, i) AS id, printf('01N%023d', i) AS decision_id,
           '01JD0000000000000000000000' AS process_id, 'target-' || (hash(i) % 5) AS target, 'local' AS adapter,
           ['etl', 'rag', 'chat', 'sql'][1 + (hash(i + 1) % 4)::INT] AS task_type, 1 AS attempt, 0 AS fallback,
           1 AS randomised, status, {day}::BIGINT * 86400000000 + i AS started_at_us,
           {day}::BIGINT * 86400000000 + i + latency_us AS ended_at_us, latency_us, cost_micros, '' AS price_version,
           latency_us / 1e6 AS seconds, 0.0 AS agent_seconds, 0 AS queries,
           (hash(i + 2) % 2000)::BIGINT AS input_tokens, 0 AS cached_tokens,
           (hash(i + 3) % 500)::BIGINT AS output_tokens, 0 AS estimated, NULL::DOUBLE AS quality,
           NULL::VARCHAR AS value, CASE WHEN status <> 'succeeded' THEN 'transient' END AS error_code,
           NULL::VARCHAR AS error, NULL::VARCHAR AS run_id,
           CASE WHEN status = 'succeeded' THEN ceil(ln(latency_us / 1000) / 0.0200007)::BIGINT END AS latency_bucket,
           ceil(ln(cost_micros) / 0.0200007)::BIGINT AS cost_bucket, NULL::BIGINT AS quality_ppm, {day} AS day,
           1.0 AS weight
    FROM (
        SELECT i, ['succeeded', 'failed', 'timed_out'][1 + greatest(0, (hash(i + 4) % 20)::INT - 17)] AS status,
               (1000 + exp(10 + sqrt(-2 * ln((1 + (hash(i + 5) % 999)::INT) / 1000)) * cos(i)))::BIGINT AS latency_us,
               (1 + hash(i + 6) % 5000)::BIGINT AS cost_micros
        FROM range({rows}) AS numbers(i)
    )
) TO '{file}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)
"""
SUMS = """
SELECT day, target, task_type, status, count(*), sum(cost_micros), sum(latency_us), sum(queries), sum(input_tokens),
       sum(cached_tokens), sum(output_tokens), max(ended_at_us) FROM {source} GROUP BY ALL
"""
COUNTS = "SELECT day, target, task_type, {by}, count(*) FROM {source} WHERE {by} IS NOT NULL GROUP BY ALL"


async def a_store(folder: Path, rows: int) -> SqlStore:
    """A store whose history is in the lake, ten days of it."""
    store = SqlStore(f"sqlite:///{folder}/store.db", SystemClock(), lake=str(folder / "lake"))
    await store.open()
    lake, parts = Folder(folder / "lake"), []
    for day in range(FIRST_DAY, FIRST_DAY + DAYS):
        part = Part(name=lake.new_name(7, day, rows), day=day, upto=0, emptied=True)
        with lake.writing(part.name) as draft:
            query = ROWS_OF_A_DAY.format(day=day, rows=rows // DAYS, file=draft / "executions.parquet")
            duckdb.sql(query)
        parts.append(part)
    await store._ready().write(lambda transaction: swap(transaction, [], [], parts))
    return store


async def rebuilt(store: SqlStore, since_day: int | None = None) -> None:
    cursor, dailies = await store.recomputed(since_day)
    assert await store.replace_dailies(cursor, dailies, since_day)


def by_hand(folder: Path, queries: Sequence[str]) -> None:
    source = f"read_parquet('{folder}/lake/*/*/executions.parquet')"
    with duckdb.connect() as connection:
        for query in queries:
            connection.execute(query.format(source=source)).fetchall()


def by_polars(folder: Path) -> None:
    """The same sums and counts, lazily, as its users would write them."""
    import polars as pl

    source = pl.scan_parquet(f"{folder}/lake/*/*/executions.parquet")
    cell = ["day", "target", "task_type"]
    sums = source.group_by([*cell, "status"]).agg(pl.len(), pl.col("cost_micros", "latency_us").sum())
    counts = [
        source.filter(pl.col(by).is_not_null()).group_by([*cell, by]).agg(pl.len())
        for by in ("latency_bucket", "cost_bucket", "error_code")
    ]
    pl.collect_all([sums, *counts])


async def seconds(work: Callable[[], Awaitable[object]], rounds: int = ROUNDS) -> tuple[float, float]:
    """The median of several, by the wall and by the processor."""
    taken = []
    for _ in range(rounds):
        began, cpu = time.perf_counter(), time.process_time()
        await work()
        taken.append((time.perf_counter() - began, time.process_time() - cpu))
    return statistics.median(wall for wall, _ in taken), statistics.median(cpu for _, cpu in taken)


def say(bar: str, subject: str, rows: int, measured: tuple[float, float], floor: tuple[float, float]) -> None:
    print(
        json.dumps(
            {
                "bar": bar,
                "subject": subject,
                "rows": rows,
                "wall_s": round(measured[0], 3),
                "cpu_s": round(measured[1], 3),
                "of_floor": round(measured[0] / floor[0], 3),
                "of_floor_cpu": round(measured[1] / floor[1], 3),
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        ),
        flush=True,
    )


async def everything(bar: str, folder: Path, store: SqlStore, rows: int, rounds: int = ROUNDS) -> tuple[float, float]:
    same = [SUMS, *(COUNTS.format(by=by, source="{source}") for by in ("latency_bucket", "cost_bucket", "error_code"))]
    floor = await seconds(lambda: asyncio.to_thread(by_hand, folder, same), rounds)
    say(bar, "floor: the same sums and counts by DuckDB", rows, floor, floor)
    say(
        bar,
        "DuckDB, the sums alone",
        rows,
        await seconds(lambda: asyncio.to_thread(by_hand, folder, [SUMS]), rounds),
        floor,
    )
    if find_spec("polars") is not None:
        peer = await seconds(lambda: asyncio.to_thread(by_polars, folder), rounds)
        say(bar, "polars, fewer sums and the same counts", rows, peer, floor)
    ours = await seconds(store.recomputed, rounds)
    say(bar, "ours: recomputed", rows, ours, floor)
    return ours


async def hot_day(history: int, rows: int) -> tuple[float, float]:
    """P13 by the store: a day's facts folded from the cursor, on top of a history that was folded before."""
    with tempfile.TemporaryDirectory() as name:
        store = SqlStore(f"sqlite:///{name}/store.db", SystemClock())
        await store.open()
        try:
            for count, first, days in ((history, FIRST_DAY, DAYS - 1), (rows, FIRST_DAY + DAYS - 1, 1)):
                runs = list(executions(count, first, days, seed=first))
                for place in range(0, count, 5000):
                    await store.record(runs[place : place + 5000])
                began, cpu = time.perf_counter(), time.process_time()
                while await store.fold(50_000):
                    continue
                taken = time.perf_counter() - began, time.process_time() - cpu
            return taken
        finally:
            await store.close()


async def measure(rows: int, more: int, hot: int) -> None:
    if find_spec("polars") is None:
        print(json.dumps({"bar": "P11", "subject": "polars", "note": "is not installed here"}), flush=True)
    with tempfile.TemporaryDirectory() as name:
        store = await a_store(Path(name), rows)
        whole = await everything("P11", Path(name), store, rows)
        day = await seconds(lambda: rebuilt(store, FIRST_DAY + DAYS - 1))
        await store.close()
        say("P13", "ours: one day of the lake, of all of P11", rows // DAYS, day, whole)
    with tempfile.TemporaryDirectory() as name:
        store = await a_store(Path(name), more)
        await everything("P12", Path(name), store, more, rounds=1)
        await store.close()
    small = await hot_day(hot, hot)
    large = await hot_day(10 * hot, hot)
    say("P13", "ours: one day of facts in SQLite, on ten times the history, of on one", hot, large, small)


def main(rows: int = 10_000_000, more: int = 30_000_000, hot: int = 100_000) -> None:
    asyncio.run(measure(rows, more, hot))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
