"""The writer: one thread that commits whatever is waiting in one transaction."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from mahavishnu.errors import MahavishnuError
from mahavishnu.storage.database import Database
from mahavishnu.storage.presence import Lease
from mahavishnu.storage.rows import CANNOT_BE_WRITTEN, not_plain_json
from mahavishnu.storage.transaction import Transaction
from mahavishnu.storage.trouble import is_passing, strikes_everybody, unavailable

T = TypeVar("T")
Work = Callable[[Transaction], T]

MOST_JOBS = 4000
"""In one transaction; what is beyond waits for the next."""

PATIENCE_S = 5.0
"""How long a broken connection is tried again before those who wait are told."""


_Job = tuple[Work[Any], int, asyncio.Future[Any]]
"""What is to be done, how many facts it numbers, and who waits for it. A plain tuple: whoever records pays for it."""

_Answer = tuple[asyncio.Future[Any], Any, MahavishnuError | None]
"""Who waits, and what for: a result or an error."""


class Writer:
    """Takes jobs from any thread and any event loop, and hands each its answer once that is durable.

    There is no timer: while one transaction commits, the next batch gathers. The lease is renewed here as well, so
    that no event loop, however busy, can lose it.
    """

    def __init__(self, database: Database, lease: Lease) -> None:
        self._database = database
        self._lease = lease
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._put = self._queue.put
        self._connection: Connection | None = None
        self._gone = False
        self._thread = threading.Thread(target=self._run, name="mahavishnu-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, work: Work[T], *, facts: int = 0) -> asyncio.Future[T]:
        """What the work returns, once its transaction is durable. The work is done even if its caller is cancelled.

        A future and no coroutine: this is what recording costs whoever records.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._put((work, facts, future))
        if self._gone:
            self._turn_away()
        return future

    def stop(self) -> None:
        """Write what is waiting, and end the thread. Blocks; safe to call twice."""
        self._put(None)
        self._thread.join()

    def _run(self) -> None:
        batch: list[_Job] = []
        going = True
        try:
            while going:
                batch, going = self._take()
                _answer(self._write(batch))
                batch = []
        finally:
            # Also after a fault of our own: nobody may be left waiting for a thread that has ended.
            self._gone = True
            self._refuse(batch)
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

    def _write(self, batch: Sequence[_Job]) -> list[_Answer]:
        """Every job's answer. Where a batch fails for the sake of one job, each has a transaction of its own."""
        try:
            results = self._commit_patiently(batch)
        except (SQLAlchemyError, MahavishnuError, *CANNOT_BE_WRITTEN) as error:
            if len(batch) > 1 and not strikes_everybody(error):
                return [answer for job in batch for answer in self._write([job])]
            return [(future, None, self._told(error)) for _, _, future in batch]
        return [(future, result, None) for (_, _, future), result in zip(batch, results, strict=True)]

    def _commit_patiently(self, batch: Sequence[_Job]) -> list[Any]:
        """Everything is idempotent by its id, so that a batch whose commit may or may not have arrived is repeated."""
        until = time.monotonic() + PATIENCE_S
        wait_s = 0.05
        while True:
            try:
                return self._commit(batch)
            except SQLAlchemyError as error:
                self._disconnect()
                if not is_passing(error) or time.monotonic() > until:
                    raise
            time.sleep(wait_s)
            wait_s = min(wait_s * 2, 1.0)

    def _commit(self, batch: Sequence[_Job]) -> list[Any]:
        due_us = self._lease.due_us()
        if not batch and due_us is None:
            return []
        if self._connection is None:
            self._connection = self._database.connect_to_write()
        with self._connection.begin():
            transaction = Transaction(self._connection, self._database, sum(facts for _, facts, _ in batch))
            if due_us is not None:
                self._lease.renew(transaction, due_us)
            results = [work(transaction) for work, _, _ in batch]
            transaction.flush()
        if due_us is not None:
            self._lease.renewed(due_us)
        return results

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):
                connection.invalidate()
            connection.close()

    def _told(self, error: Exception) -> MahavishnuError:
        """An error as those who wait should see it."""
        match error:
            case MahavishnuError():
                return error
            case SQLAlchemyError():
                return unavailable(self._database.address, error)
            case _:
                return self._database.address.unavailable(not_plain_json(error))

    def _turn_away(self) -> None:
        with suppress(Empty):
            while True:
                job = self._queue.get_nowait()
                if job is not None:
                    self._refuse([job])

    def _refuse(self, batch: Iterable[_Job]) -> None:
        address = self._database.address
        _answer((future, None, address.unavailable("it was closed; open it again")) for _, _, future in batch)


def _answer(answers: Iterable[_Answer]) -> None:
    """Wake those who wait: one call for each event loop, however many of its tasks wait."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Answer]] = {}
    for each in answers:
        by_loop.setdefault(each[0].get_loop(), []).append(each)
    for loop, some in by_loop.items():
        # A loop that has been closed since has nobody left who waits.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_resolve, some)


def _resolve(answers: Iterable[_Answer]) -> None:
    for future, result, error in answers:
        if future.done():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
