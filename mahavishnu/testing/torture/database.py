"""The database behind the store's back: its rows as they stand, and the faults that strike a database.

The checks read tables with SQL of their own, so that a fault of the store's code cannot hide itself.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Event
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from mahavishnu.storage.sql.connection.address import parse
from mahavishnu.testing.torture.records import (
    AccountSum,
    BalanceRow,
    ExecutionRow,
    HeldKey,
    Records,
    ReservationRow,
    StartRow,
)

_QUERIES = {
    "starts": "SELECT id, decision_id, process_id, started_at_us FROM execution_starts WHERE position > :since",
    "executions": "SELECT id, decision_id, process_id, target, task_type, status, cost_micros FROM executions"
    " WHERE position > :since",
    "decisions": "SELECT id FROM decisions WHERE position > :since",
    "outcomes": "SELECT id FROM outcomes WHERE position > :since",
    "charges": "SELECT execution_id, SUM(micros) FROM ledger_entries WHERE position > :since"
    " AND kind IN ('charge', 'correct') GROUP BY execution_id",
    "open_starts": "SELECT s.id, s.decision_id, s.process_id, s.started_at_us FROM execution_starts s"
    " WHERE NOT EXISTS (SELECT 1 FROM executions e WHERE e.id = s.id)",
    "held": "SELECT k.key, k.decision_id, k.process_id FROM keys k WHERE k.succeeded = 0 AND NOT EXISTS"
    " (SELECT 1 FROM executions e WHERE e.decision_id = k.decision_id AND e.status = 'succeeded')",
    "reservations": "SELECT r.execution_id, r.process_id, r.micros, r.accounts, e.status FROM reservations r"
    " LEFT JOIN executions e ON e.id = r.execution_id",
    "sums": "SELECT kind, accounts, SUM(micros) FROM ledger_entries GROUP BY kind, accounts",
    "balances": "SELECT budget, label, spent, reserved FROM balances",
    "limits": "SELECT name, hard_micros FROM budgets WHERE hard_micros IS NOT NULL",
    "newest": "SELECT value FROM counter",
}


class Lookout:
    """A way into the database of a store that is not the store's own."""

    def __init__(self, url: str) -> None:
        address = parse(url)
        self.is_sqlite = address.is_sqlite
        self._engine = _engine(address.url, sqlite=address.is_sqlite)

    def close(self) -> None:
        with suppress(SQLAlchemyError):
            self._engine.dispose()

    def newest(self) -> int:
        with self._engine.connect() as connection:
            return int(connection.execute(text(_QUERIES["newest"])).scalar_one())

    def strangers(self) -> int:
        """Decisions that the kit has not caused; 0 also where there are no tables yet."""
        with suppress(DBAPIError), self._engine.connect() as connection:
            found = connection.execute(text("SELECT COUNT(*) FROM decisions WHERE task_type NOT LIKE 'torture%'"))
            return int(found.scalar_one())
        return 0

    def read(self, since: int) -> Records:
        """Every row of one moment: facts after the position `since`, and all of what is open, held or owed."""
        with self._engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN")
            else:
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            rows = {name: _rows(connection, query, since) for name, query in _QUERIES.items()}
        return Records(
            newest=rows["newest"][0][0],
            starts=tuple(StartRow(*row) for row in rows["starts"]),
            open_starts=tuple(StartRow(*row) for row in rows["open_starts"]),
            executions=tuple(ExecutionRow(*row) for row in rows["executions"]),
            decisions=tuple(row[0] for row in rows["decisions"]),
            outcomes=tuple(row[0] for row in rows["outcomes"]),
            charges={row[0]: int(row[1]) for row in rows["charges"]},
            held_keys=tuple(HeldKey(*row) for row in rows["held"]),
            reservations=tuple(
                ReservationRow(execution_id, process_id, int(micros), _accounts(accounts), status is not None)
                for execution_id, process_id, micros, accounts, status in rows["reservations"]
            ),
            sums=tuple(AccountSum(kind, _accounts(accounts), int(micros)) for kind, accounts, micros in rows["sums"]),
            balances=tuple(BalanceRow(*row) for row in rows["balances"]),
            limits={row[0]: int(row[1]) for row in rows["limits"]},
        )

    def hold_the_lock(self, seconds: float, lifted: Event) -> str:
        """Keep every writer waiting: SQLite's write lock, or the row of PostgreSQL's table `counter`. Blocks.

        What ended it early, or "".
        """
        try:
            with self._engine.connect() as connection:
                if self.is_sqlite:
                    connection.exec_driver_sql("PRAGMA busy_timeout = 20000")
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                else:
                    connection.exec_driver_sql("SELECT value FROM counter FOR UPDATE")
                lifted.wait(seconds)
                connection.exec_driver_sql("ROLLBACK")
        except SQLAlchemyError as error:
            return _short(error)
        return ""

    def end_sessions(self, seconds: float, lifted: Event) -> str:
        """End every other session of this database, again and again. Blocks; PostgreSQL alone has sessions.

        What ended it early, or "".
        """
        until = time.monotonic() + seconds
        try:
            with self._engine.connect() as connection:
                while time.monotonic() < until and not lifted.is_set():
                    connection.exec_driver_sql(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                    connection.rollback()
                    lifted.wait(0.05)
        except SQLAlchemyError as error:
            return _short(error)
        return ""


def lose_answers(share: Callable[[], float]) -> None:
    """From now on this share of this process's commits lands, and the answer to it is lost with the connection.

    It replaces SQLAlchemy's `do_commit`, in a worker of the kit and nowhere else: the driver commits, then its
    connection is closed, and the error is raised that the driver raises where a server goes away.
    """
    commit: Callable[[DefaultDialect, Any], None] = DefaultDialect.do_commit
    rng = random.Random()

    def and_lose(dialect: DefaultDialect, connection: Any) -> None:
        commit(dialect, connection)
        if rng.random() < share():
            # The pool's wrapper would only take the connection back.
            with suppress(DBAPIError, dialect.loaded_dbapi.Error):
                getattr(connection, "driver_connection", connection).close()
            raise dialect.loaded_dbapi.OperationalError(
                "disk I/O error" if dialect.name == "sqlite" else "server closed the connection unexpectedly"
            )

    DefaultDialect.do_commit = and_lose  # type: ignore[method-assign]


@contextmanager
def lookout(url: str) -> Iterator[Lookout]:
    found = Lookout(url)
    try:
        yield found
    finally:
        found.close()


def _engine(url: Any, *, sqlite: bool) -> Engine:
    engine = create_engine(url, poolclass=NullPool)
    if sqlite:
        # Transactions are begun by hand.
        event.listen(engine, "connect", lambda connection, _record: setattr(connection, "isolation_level", None))
    return engine


def _rows(connection: Connection, query: str, since: int) -> Sequence[Any]:
    return connection.execute(text(query), {"since": since} if ":since" in query else {}).all()


def _accounts(written: str) -> tuple[tuple[str, str], ...]:
    return tuple((budget, label) for budget, label in json.loads(written))


def _short(error: SQLAlchemyError) -> str:
    return " ".join(str(error).split())[:150]
