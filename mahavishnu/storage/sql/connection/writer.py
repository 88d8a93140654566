"""The writer: one thread that commits whatever is waiting in one transaction."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from mahavishnu.errors import MahavishnuError, NotWritten, StoreSilent
from mahavishnu.errors.contained import Contained
from mahavishnu.storage.sql.connection.address import Address
from mahavishnu.storage.sql.connection.database import Database
from mahavishnu.storage.sql.connection.db_errors import is_passing, lies_in_the_row, strikes_everybody, unavailable
from mahavishnu.storage.sql.connection.transaction import Transaction
from mahavishnu.storage.sql.connection.waiting import Answer, Waiting, answer, wait
from mahavishnu.storage.sql.coordination.presence import Lease
from mahavishnu.storage.sql.facts.fact_rows import CANNOT_BE_WRITTEN, not_plain_json

log = logging.getLogger("mahavishnu.storage")

T = TypeVar("T")
Work = Callable[[Transaction], T]

MOST_JOBS = 4000
"""In one transaction; what is beyond waits for the next."""

REST_S = 0.1
"""Before the next batch, after a fault of the writer itself."""


_Job = tuple[Work[Any], int, Waiting]
"""What is to be done, how many facts it numbers, and the caller. A plain tuple: recording pays for it each time."""


class Writer:
    """Takes jobs from any thread and any event loop, and hands each its answer once that is durable.

    There is no timer: while one transaction commits, the next batch gathers. The lease is renewed here as well, so
    that no event loop, however busy, can lose it. Whatever a job raises, it fails alone, and the thread goes on.
    """

    def __init__(self, database: Database, lease: Lease, patience_s: float) -> None:
        """A broken connection is tried again for half of `patience_s`, after which its callers are told."""
        self._database = database
        self._lease = lease
        self._patience_s = patience_s
        self._retry_s = patience_s / 2
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._put = self._queue.put
        self._connection: Connection | None = None
        self._gone = False
        self._thread = threading.Thread(target=self._run, name="mahavishnu-writer", daemon=True)
        self.failures = 0
        """How often the thread itself failed, other than by what a job or the database raised."""
        self.last_failure = ""

    def start(self) -> None:
        self._thread.start()

    def submit(self, work: Work[T], *, facts: int, within_s: float) -> asyncio.Future[T]:
        """What the work returns, once its transaction is durable; `StoreSilent` where that is not known in time.

        The work is done also if its caller is cancelled or waits no longer. A future and no coroutine: this is what
        recording costs its caller.
        """
        waiting = wait(within_s, partial(self._silent, within_s))
        self._put((work, facts, waiting))
        if self._gone:
            self._turn_away()
        return waiting[0]

    def stop(self, within_s: float) -> bool:
        """Write what is waiting, and end the thread. Blocks; safe to call twice. False where it hangs after that time,
        and is left behind."""
        self._put(None)
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        going = True
        while going:
            batch: list[_Job] = []
            with Contained() as failed:
                batch, going = self._take()
                answer(self._write(batch))
                continue
            self._note(failed.failure)
            answer(self._failed(batch, failed.failure))
            time.sleep(REST_S)
        self._gone = True
        self._turn_away()
        self._disconnect()

    def _take(self) -> tuple[list[_Job], bool]:
        """What is waiting, or nothing once the lease is due; and whether to go on afterwards."""
        batch: list[_Job] = []
        try:
            job = self._queue.get(timeout=self._lease.every_s)
            while job is not None:
                batch.append(job)
                if len(batch) == MOST_JOBS:
                    break
                job = self._queue.get_nowait()
        except Empty:
            return batch, True
        return batch, job is not None

    def _write(self, batch: Sequence[_Job]) -> list[Answer]:
        """Every job's answer. Where a batch fails for the sake of one job, each has a transaction of its own."""
        with Contained() as failed:
            results = self._commit_patiently(batch)
            return [(waiting, result, None) for (_, _, waiting), result in zip(batch, results, strict=True)]
        if len(batch) > 1 and not strikes_everybody(failed.failure):
            return [given for job in batch for given in self._write([job])]
        return self._failed(batch, failed.failure)

    def _commit_patiently(self, batch: Sequence[_Job]) -> list[Any]:
        """Everything is idempotent by its id, so that a batch whose commit may or may not have arrived is repeated."""
        until = time.monotonic() + self._retry_s
        wait_s = 0.05
        while True:
            try:
                return self._commit(batch)
            except (MahavishnuError, *CANNOT_BE_WRITTEN):
                raise
            except SQLAlchemyError as error:
                self._disconnect()
                if not is_passing(error) or time.monotonic() > until:
                    raise
            time.sleep(wait_s)
            wait_s = min(wait_s * 2, 1.0)

    def _commit(self, batch: Sequence[_Job]) -> list[Any]:
        if not batch and not self._lease.due():
            return []
        if self._connection is None:
            self._connection = self._database.connect_to_write()
        with self._connection.begin():
            transaction = Transaction(self._connection, self._database, sum(facts for _, facts, _ in batch))
            entry = self._lease.enter(transaction)
            if not entry.moved:
                results = [work(transaction) for work, _, _ in batch]
                transaction.flush()
        self._lease.committed(entry)
        # Registering anew stands, also where a job with the old token then undoes its own transaction.
        return self._commit(batch) if entry.moved else results

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):
                connection.invalidate()
            connection.close()

    def _note(self, failure: BaseException) -> None:
        self.failures += 1
        self.last_failure = f"{type(failure).__name__}: {failure}"
        log.error("the writer failed and goes on: %s", self.last_failure, exc_info=failure)

    def _failed(self, batch: Sequence[_Job], failure: BaseException) -> list[Answer]:
        """Each caller has an error of its own: one that is raised in many places gathers all their tracebacks."""
        return [(waiting, None, self._told(failure)) for _, _, waiting in batch]

    def _told(self, failure: BaseException) -> MahavishnuError:
        """A failure as callers should see it."""
        match failure:
            case MahavishnuError():
                return failure
            case SQLAlchemyError():
                trouble = unavailable(self._database.address, failure)
                return NotWritten(url=trouble.url, problem=trouble.problem) if lies_in_the_row(failure) else trouble
            case Exception() if isinstance(failure, CANNOT_BE_WRITTEN):
                return NotWritten(url=self._database.address.shown, problem=not_plain_json(failure))
            case _:
                problem = f"what was to be written raised {type(failure).__name__}: {failure}"
                return NotWritten(url=self._database.address.shown, problem=problem)

    def _silent(self, seconds: float) -> StoreSilent:
        return silent(self._database.address, seconds, self._patience_s)

    def _turn_away(self) -> None:
        address = self._database.address
        with suppress(Empty):
            while True:
                job = self._queue.get_nowait()
                if job is not None:
                    answer([(job[2], None, address.unavailable("it was closed; open it again"))])


def silent(address: Address, seconds: float, patience_s: float) -> StoreSilent:
    return StoreSilent(
        url=address.shown,
        patience_over=seconds >= patience_s,
        problem=f"it has not answered within {seconds:.3g} s; see whether it is locked, overloaded or cut off,"
        " or raise store.patience_s",
    )
