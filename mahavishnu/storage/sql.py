"""The store in a database: SQLite or PostgreSQL, by its URL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from mahavishnu.errors import StoreUnavailable
from mahavishnu.model import Decision, Execution, Outcome, Snapshot, Target
from mahavishnu.model.workflow_run import StepEnd, WorkflowEnd, WorkflowRun, WorkflowStart
from mahavishnu.ports import Claim, Clock, Evidence, ExecutionQuery, Fact, Settlement, StoreInfo
from mahavishnu.storage import catalogue, reads, schema, workflows
from mahavishnu.storage.address import parse, shown_url
from mahavishnu.storage.database import READERS, Database
from mahavishnu.storage.keys import claim_key, holder_of
from mahavishnu.storage.presence import Census, Lease, remains
from mahavishnu.storage.recording import record_facts
from mahavishnu.storage.transaction import Transaction
from mahavishnu.storage.trouble import unavailable
from mahavishnu.storage.writer import Work, Writer

T = TypeVar("T")

PAGE = 250
"""Facts read at once, each of which may hold a large value; between two pages nothing is held."""


@dataclass(frozen=True, slots=True)
class _Opened:
    database: Database
    writer: Writer
    lease: Lease
    readers: ThreadPoolExecutor


class SqlStore:
    """Everything is written by one thread and read by a few others: the event loop is never kept waiting.

    May be used from several event loops at once. Each object is a presence of its own, also two of one process.
    """

    def __init__(self, url: str, clock: Clock, *, lease_s: float = 15.0) -> None:
        self._url = url
        self._clock = clock
        self._lease_s = lease_s
        self._process_id = clock.new_id()
        self._census = Census(self._process_id, clock)
        self._opened: _Opened | None = None

    # -- opening and closing -------------------------------------------------------------------------------------------

    async def open(self) -> None:
        if self._opened is not None:
            return
        readers = ThreadPoolExecutor(READERS, thread_name_prefix="mahavishnu-reader")
        try:
            database = await asyncio.get_running_loop().run_in_executor(readers, self._connect, schema.ready)
        except BaseException:
            readers.shutdown(wait=False)
            raise
        lease = Lease(self._process_id, self._clock, self._lease_s)
        writer = Writer(database, lease)
        writer.start()
        self._opened = _Opened(database, writer, lease, readers)
        try:
            await writer.submit(_take_the_lease)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is None:
            return
        with suppress(StoreUnavailable):
            # Where it cannot be given back it runs out by itself.
            await opened.writer.submit(opened.lease.release)
        await asyncio.to_thread(_shut, opened)

    async def upgrade(self) -> None:
        """Bring the schema to the one that this version needs; the store need not be open."""
        database = await asyncio.to_thread(self._connect, schema.migrate)
        database.close()

    async def info(self) -> StoreInfo:
        database = self._ready().database
        revision, detail, rows = await asyncio.gather(
            self._read(schema.revision), self._read(database.describe), self._read(reads.row_counts)
        )
        return StoreInfo(url=database.address.shown, schema=revision, detail=detail, rows=rows)

    # -- facts ---------------------------------------------------------------------------------------------------------

    async def record(self, facts: Sequence[Fact], *, settle: Settlement | None = None) -> None:
        facts = tuple(facts)
        await self._write(partial(record_facts, facts=facts, settle=settle), facts=len(facts))

    async def newest(self) -> int:
        return await self._read(reads.newest_position)

    async def facts(
        self, since: int, upto: int | None = None, *, besides: str | None = None
    ) -> AsyncIterator[tuple[int, Evidence]]:
        newest = await self.newest()
        until = newest if upto is None else min(newest, upto)
        while since < until:
            page = await self._read(partial(reads.evidence, since=since, upto=until, besides=besides, limit=PAGE))
            for each in page:
                yield each
            if len(page) < PAGE:
                return
            since = page[-1][0]

    async def decision(self, decision_id: str) -> Decision | None:
        return await self._read(partial(reads.decision, decision_id=decision_id))

    async def decisions(self, last: int, task_type: str | None = None) -> Sequence[Decision]:
        return await self._read(partial(reads.newest_decisions, last=last, task_type=task_type))

    async def execution(self, execution_id: str) -> Execution | None:
        return await self._read(partial(reads.execution, execution_id=execution_id))

    async def executions(self, query: ExecutionQuery) -> Sequence[Execution]:
        return await self._read(partial(reads.newest_executions, query=query))

    async def outcomes(self, decision_id: str) -> Sequence[Outcome]:
        return await self._read(partial(reads.outcomes_of, decision_id=decision_id))

    # -- keys and presence ---------------------------------------------------------------------------------------------

    async def claim(self, key: str, fingerprint: str, decision_id: str) -> Claim:
        return await self._write(
            partial(
                claim_key,
                key=key,
                fingerprint=fingerprint,
                decision_id=decision_id,
                process_id=self._process_id,
                census=self._census,
            )
        )

    async def holder(self, key: str) -> Claim | None:
        return await self._read(holder_of(key, self._census))

    @property
    def process_id(self) -> str:
        return self._process_id

    async def reap(self) -> Sequence[Execution]:
        left = await self._read(partial(remains, census=self._census))
        if left.empty:
            return []
        return await self._write(partial(left.bury, now_us=self._clock.now_us()), facts=left.facts)

    # -- what may change -----------------------------------------------------------------------------------------------

    async def latest(self) -> Snapshot:
        return await self._read(catalogue.latest_snapshot)

    async def publish(self, snapshot: Snapshot) -> None:
        await self._write(partial(catalogue.publish_snapshot, snapshot=snapshot))

    async def targets(self) -> Sequence[Target]:
        return await self._read(catalogue.added_targets)

    async def add_target(self, target: Target) -> None:
        await self._write(partial(catalogue.add_target, target=target))

    async def remove_target(self, name: str) -> None:
        await self._write(partial(catalogue.remove_target, name=name))

    async def switches(self) -> Mapping[str, bool]:
        return await self._read(catalogue.hand_switches)

    async def switch_target(self, name: str, enabled: bool) -> None:
        await self._write(partial(catalogue.switch_target, name=name, enabled=enabled))

    # -- workflows -----------------------------------------------------------------------------------------------------

    async def record_workflow_start(self, start: WorkflowStart) -> None:
        await self._write(partial(workflows.record_start, start=start), facts=1)

    async def record_step_end(self, end: StepEnd) -> None:
        await self._write(partial(workflows.record_step_end, end=end), facts=1)

    async def record_workflow_end(self, end: WorkflowEnd) -> None:
        await self._write(partial(workflows.record_end, end=end), facts=1)

    async def workflow(self, run_id: str) -> WorkflowRun | None:
        return await self._read(partial(workflows.workflow_run, run_id=run_id, census=self._census))

    async def workflows(self, last: int) -> Sequence[WorkflowRun]:
        return await self._read(partial(workflows.newest_runs, last=last, census=self._census))

    async def request_cancel(self, run_id: str) -> bool:
        now_us = self._clock.now_us()
        return await self._write(partial(workflows.request_cancel, run_id=run_id, at_us=now_us), facts=1)

    async def cancel_requested(self, run_id: str) -> bool:
        return await self._read(partial(workflows.cancel_requested, run_id=run_id))

    # ------------------------------------------------------------------------------------------------------------------

    async def _write(self, work: Work[T], *, facts: int = 0) -> T:
        return await self._ready().writer.submit(work, facts=facts)

    async def _read(self, query: Callable[[Connection], T]) -> T:
        opened = self._ready()
        return await asyncio.get_running_loop().run_in_executor(opened.readers, opened.database.read, query)

    def _ready(self) -> _Opened:
        if self._opened is None:
            raise StoreUnavailable(url=shown_url(self._url), problem="it is not open; await its open() first")
        return self._opened

    def _connect(self, prepare: Callable[[Database], None]) -> Database:
        address = parse(self._url)
        try:
            with ExitStack() as undo:
                database = Database(address)
                undo.callback(database.close)
                prepare(database)
                undo.pop_all()
                return database
        except SQLAlchemyError as error:
            raise unavailable(address, error) from error
        except (OSError, ValueError) as error:
            raise address.unavailable(f"it cannot be opened ({error}); correct its name or its rights") from error


def _take_the_lease(_transaction: Transaction) -> None:
    """Nothing to do: the writer's first transaction takes the lease before anything else."""


def _shut(opened: _Opened) -> None:
    opened.writer.stop()
    opened.readers.shutdown(wait=True)
    opened.database.close()
