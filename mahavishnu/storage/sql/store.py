"""The store in a database: SQLite or PostgreSQL, by its URL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from mahavishnu.errors import StoreUnavailable, TakenOver, UnknownName
from mahavishnu.model import DAY_US, Daily, Decision, Execution, Outcome, Process, Snapshot, Status
from mahavishnu.model.loop import LoopReport
from mahavishnu.model.unreadable import Rows
from mahavishnu.ports import (
    EVER,
    Between,
    Claim,
    Clock,
    Evidence,
    ExecutionQuery,
    Fact,
    JobRun,
    Keeping,
    Kept,
    Settlement,
    StoreInfo,
)
from mahavishnu.ports.presence import Finish
from mahavishnu.storage.lake import Lake
from mahavishnu.storage.sql import catalogue
from mahavishnu.storage.sql.alerts import SqlAlerts
from mahavishnu.storage.sql.connection import schema
from mahavishnu.storage.sql.connection.access import Access
from mahavishnu.storage.sql.connection.address import parse, shown_url
from mahavishnu.storage.sql.connection.database import READERS, Database
from mahavishnu.storage.sql.connection.db_errors import unavailable
from mahavishnu.storage.sql.connection.readers import Readers
from mahavishnu.storage.sql.connection.transaction import Transaction
from mahavishnu.storage.sql.connection.waiting import FOREVER
from mahavishnu.storage.sql.connection.writer import Work, Writer
from mahavishnu.storage.sql.coordination import jobs
from mahavishnu.storage.sql.coordination.idempotency import claim_key, holder_of
from mahavishnu.storage.sql.coordination.presence import (
    Census,
    Lease,
    Left,
    give_up_all,
    known_processes,
    left_by,
    left_by_the_gone,
)
from mahavishnu.storage.sql.coordination.withdrawal import withdraw
from mahavishnu.storage.sql.experiments.experiments import SqlExperiments
from mahavishnu.storage.sql.facts import aggregates, facts_read
from mahavishnu.storage.sql.facts.facts_write import Search, begun_before, record_facts
from mahavishnu.storage.sql.facts.identifiers import SqlIdentifiers
from mahavishnu.storage.sql.money.ledger import SqlLedger
from mahavishnu.storage.sql.money.queue import SqlQueue
from mahavishnu.storage.sql.targets import SqlTargets
from mahavishnu.storage.sql.workflows import SqlWorkflows

T = TypeVar("T")

PAGE = 250
"""Facts read at once, each of which may hold a large value; between two pages nothing is held."""


class SqlStore(SqlAlerts, SqlIdentifiers, SqlLedger, SqlQueue, SqlExperiments, SqlTargets, SqlWorkflows):
    """Everything is written by one thread and read by a few others: the event loop is never kept waiting.

    May be used from several event loops at once. Each object is a presence of its own, also two of one process.
    """

    def __init__(
        self, url: str, clock: Clock, *, lease_s: float = 15.0, patience_s: float = 10.0, lake: str = ""
    ) -> None:
        """`lake` is its folder; "" is one beside the SQLite file, or in the working directory. `patience_s` is how long
        a caller waits for an answer at the most."""
        self._url = url
        self._lake_folder = lake
        self._clock = clock
        self._patience_s = patience_s
        self._process_id = clock.new_id()
        self._lease = Lease(self._process_id, clock, lease_s)
        self._take_up: Callable[[], Awaitable[None]] | None = None
        self._census = Census(self._lease, clock)
        self._opened: Access | None = None

    # -- opening and closing -------------------------------------------------------------------------------------------

    async def open(self) -> None:
        if self._opened is not None:
            return
        readers = Readers(READERS)
        try:
            database = await readers.ask(partial(self._connect, schema.ready), FOREVER, self._closed)
        except BaseException:
            readers.stop(0.0)
            raise
        writer = Writer(database, self._lease, self._patience_s)
        writer.start()
        self._opened = Access(database, writer, self._lease, readers, self._patience_s)
        try:
            await self.renew()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is None:
            return
        with suppress(StoreUnavailable):
            # Where it cannot be given back it runs out by itself.
            await opened.write(opened.lease.release)
        await asyncio.to_thread(opened.shut)

    async def upgrade(self) -> None:
        """Bring the schema to the one that this version needs; the store need not be open."""
        (await asyncio.to_thread(self._connect, schema.migrate)).close()

    async def info(self) -> StoreInfo:
        database = self._ready().database
        revision, detail, lag, lake, rows = await asyncio.gather(
            self._read(schema.revision),
            self._read(database.describe, within_s=FOREVER),
            self._read(aggregates.lag, within_s=FOREVER),
            self._lake().detail(),
            self._read(facts_read.row_counts, within_s=FOREVER),
        )
        detail = {**detail, "cursor_lag": lag, **lake}
        return StoreInfo(url=database.address.shown, schema=revision, detail=detail, rows=rows)

    # -- facts ---------------------------------------------------------------------------------------------------------

    def record(
        self,
        facts: Sequence[Fact],
        *,
        settle: Settlement | None = None,
        token: int | None = None,
        within_s: float | None = None,
    ) -> Awaitable[int]:
        access = self._opened
        if access is None:
            return self._refused()
        work = partial(self._written, access, tuple(facts), settle, token)
        return access.write(work, facts=len(facts), within_s=within_s)

    def _written(
        self,
        access: Access,
        facts: Sequence[Fact],
        settle: Settlement | None,
        token: int | None,
        transaction: Transaction,
    ) -> int:
        if token not in (None, transaction.token):
            raise TakenOver(process_id=self._process_id)
        return record_facts(transaction, facts, settle, partial(self._search_for, access))

    async def newest(self) -> int:
        return await self._read(facts_read.newest_position)

    async def facts(
        self, since: int, upto: int | None = None, *, besides: str | None = None
    ) -> AsyncIterator[tuple[int, Evidence]]:
        newest = await self.newest()
        until = newest if upto is None else min(newest, upto)
        while since < until:
            page = await self._read(partial(facts_read.evidence, since=since, upto=until, besides=besides, limit=PAGE))
            for each in page:
                yield each
            if len(page) < PAGE:
                return
            since = page[-1][0]

    async def decision(self, decision_id: str) -> Decision | None:
        found = await self._read(partial(facts_read.decision, decision_id=decision_id))
        return found or await self._lake().decision(decision_id)

    async def decisions(self, last: int, task_type: str | None = None, within: Between = EVER) -> Sequence[Decision]:
        found = await self._read(partial(facts_read.newest_decisions, last=last, task_type=task_type, within=within))
        return found if len(found) >= last else await self._lake().decisions_besides(found, last, task_type, within)

    async def execution(self, execution_id: str) -> Execution | None:
        found = await self._read(partial(facts_read.execution, execution_id=execution_id))
        return found or await self._lake().execution(execution_id)

    async def executions(self, query: ExecutionQuery) -> Sequence[Execution]:
        found = await self._read(partial(facts_read.newest_executions, query=query))
        if query.status is Status.RUNNING or (query.last is not None and len(found) >= query.last):
            return found
        return await self._lake().executions_besides(found, query)

    async def outcomes(self, decision_id: str) -> Sequence[Outcome]:
        found = await self._read(partial(facts_read.outcomes_of, decision_id=decision_id))
        return await self._lake().outcomes_besides(found, decision_id)

    # -- keys and presence ---------------------------------------------------------------------------------------------

    async def claim(self, key: str, fingerprint: str, decision_id: str, *, within_s: float | None = None) -> Claim:
        return await self._write(
            partial(
                claim_key,
                key=key,
                fingerprint=fingerprint,
                decision_id=decision_id,
                process_id=self._process_id,
                census=self._census,
            ),
            within_s=within_s,
        )

    async def holder(self, key: str) -> Claim | None:
        return await self._read(holder_of(key, self._census))

    @property
    def process_id(self) -> str:
        return self._process_id

    @property
    def token(self) -> int:
        return self._lease.token

    def holds(self, token: int) -> bool:
        return self._lease.holds(token)

    async def renew(self, *, within_s: float | None = None) -> None:
        await self._write(_nothing_more, within_s=within_s)

    def say_of_loops(self, loops: Callable[[], Sequence[LoopReport]]) -> None:
        self._lease.loops = lambda: [*loops(), *self._own_loops()]

    def _own_loops(self) -> Sequence[LoopReport]:
        writer = None if self._opened is None else self._opened.writer
        if writer is None or not writer.failures:
            return ()
        return [LoopReport("writer", failures=writer.failures, last_failure=writer.last_failure)]

    async def reap(self, first: Finish | None = None) -> Sequence[Execution]:
        left = await self._read(partial(left_by_the_gone, census=self._census), within_s=FOREVER)
        if left and first is not None and not await first([process.id for process in left]):
            return []
        return await self._give_up(left)

    async def release(self, process_id: str) -> Sequence[Execution]:
        left = await self._read(partial(left_by, process_id=process_id), within_s=FOREVER)
        if left is None:
            raise UnknownName(kind="process", name=process_id, see="mahavishnu store processes")
        return await self._give_up([left])

    async def processes(self) -> Sequence[Process]:
        return await self._read(partial(known_processes, census=self._census), within_s=FOREVER)

    async def _give_up(self, left: Sequence[Left]) -> Sequence[Execution]:
        if not left:
            return []
        work = partial(give_up_all, left=left, now_us=self._clock.now_us())
        return await self._write(work, facts=sum(process.facts for process in left), within_s=FOREVER)

    def withdraw(self, begun: Sequence[Execution], at_us: int, *, settle: Settlement | None = None) -> Awaitable[int]:
        return self._write(partial(withdraw, begun=tuple(begun), settle=settle, at_us=at_us), facts=2 * len(begun))

    # -- what may change -----------------------------------------------------------------------------------------------

    async def latest(self) -> Snapshot:
        return await self._read(catalogue.latest_snapshot)

    async def newest_version(self) -> int:
        return await self._read(catalogue.newest_version)

    async def publish(self, snapshot: Snapshot) -> None:
        await self._write(partial(catalogue.publish_snapshot, snapshot=snapshot))
        if self._take_up is not None:
            await self._take_up()

    def when_published(self, take_up: Callable[[], Awaitable[None]]) -> None:
        self._take_up = take_up

    async def snapshot(self, version: int) -> Snapshot | None:
        return await self._read(partial(catalogue.snapshot_at, version=version))

    async def snapshots(self, last: int) -> Rows[Snapshot]:
        return await self._read(partial(catalogue.newest_snapshots, last=last))

    # -- aggregates, jobs and retention --------------------------------------------------------------------------------

    async def fold(self, limit: int = 10_000) -> int:
        while (
            addition := await self._read(partial(aggregates.next_addition, limit=limit), within_s=FOREVER)
        ) is not None:
            if await self._write(partial(aggregates.add, addition=addition), within_s=FOREVER):
                return addition.upto - addition.before.cursor
        return 0

    async def dailies(self, since_day: int | None = None) -> tuple[int, Sequence[Daily]]:
        return await self._read(partial(aggregates.read_dailies, since_day=since_day), within_s=FOREVER)

    async def recomputed(self, since_day: int | None = None) -> tuple[int, Sequence[Daily]]:
        return await self._lake().recomputed(since_day)

    async def replace_dailies(self, cursor: int, dailies: Sequence[Daily], since_day: int | None = None) -> bool:
        work = partial(aggregates.replace_dailies, cursor=cursor, found=dailies, since_day=since_day)
        return await self._write(work, within_s=FOREVER)

    async def claim_job(self, name: str, lease_s: float) -> str | None:
        return await self._write(
            partial(
                jobs.claim_job,
                name=name,
                run_id=self._clock.new_id(),
                process_id=self._process_id,
                now_us=self._clock.now_us(),
                lease_us=round(lease_s * 1e6),
                census=self._census,
            )
        )

    async def extend_job(self, run_id: str, lease_s: float) -> bool:
        return await self._write(partial(jobs.extend_job, run_id=run_id, lease_us=round(lease_s * 1e6)))

    async def finish_job(self, run_id: str, *, ok: bool, note: str) -> None:
        now_us = self._clock.now_us()
        await self._write(partial(jobs.finish_job, run_id=run_id, now_us=now_us, ok=ok, note=note))

    async def jobs(self) -> Rows[JobRun]:
        return await self._read(jobs.newest_jobs)

    async def retain(self, keeping: Keeping, today: int) -> Kept | None:
        return await self._lake().retain(keeping, today)

    def _write(self, work: Work[T], *, facts: int = 0, within_s: float | None = None) -> Awaitable[T]:
        access = self._opened
        return self._refused() if access is None else access.write(work, facts=facts, within_s=within_s)

    async def _refused(self) -> Any:
        """Raised to the caller when it awaits, as by every other method, and not when it calls."""
        raise self._closed()

    async def _read(self, query: Callable[[Connection], T], *, within_s: float | None = None) -> T:
        return await self._ready().read(query, within_s=within_s)

    def _recording(self, facts: Sequence[Fact], settle: Settlement | None, token: int | None = None) -> Work[int]:
        return partial(self._written, self._ready(), tuple(facts), settle, token)

    def _search_for(self, access: Access, facts: Sequence[Fact]) -> Search | None:
        """What finds those of them that are in the lake already; None where none is old enough to be."""
        yesterday_us = self._clock.now_us() - DAY_US
        if not any(begun_before(fact, yesterday_us) for fact in facts):
            return None
        return self._lake(access).search

    def _lake(self, access: Access | None = None) -> Lake:
        # Tidying up takes as long as it takes.
        access = replace(access or self._ready(), patience_s=FOREVER)
        folder = Path(self._lake_folder) if self._lake_folder else access.database.address.lake
        return Lake(access, folder, self._clock)

    def _ready(self) -> Access:
        if self._opened is None:
            raise self._closed()
        return self._opened

    def _closed(self) -> StoreUnavailable:
        return StoreUnavailable(url=shown_url(self._url), problem="it is not open; await its open() first")

    def _connect(self, prepare: Callable[[Database], None]) -> Database:
        address = parse(self._url)
        try:
            with ExitStack() as undo:
                database = Database(address, self._patience_s)
                undo.callback(database.close)
                prepare(database)
                undo.pop_all()
                return database
        except SQLAlchemyError as error:
            raise unavailable(address, error) from error
        except (OSError, ValueError) as error:
            raise address.unavailable(f"it cannot be opened ({error}); correct its name or its rights") from error


def _nothing_more(_transaction: Transaction) -> None:
    """The writer renews the lease in any transaction in which that is due."""
