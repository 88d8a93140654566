"""Runs of jobs: who has claimed one, until when, and how the newest ended."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, text, update

from mahavishnu.model.unreadable import Rows
from mahavishnu.ports import JobRun
from mahavishnu.storage.sql.connection.tables import jobs, processes
from mahavishnu.storage.sql.connection.transaction import Transaction
from mahavishnu.storage.sql.coordination.presence import Census
from mahavishnu.storage.sql.facts.fact_rows import escaped, unescaped
from mahavishnu.storage.unreadable import read_each, shown

_HELD = (
    select(jobs.c.run_id, jobs.c.ended_at_us, jobs.c.lease_us, jobs.c.beat, processes)
    .select_from(jobs.outerjoin(processes, processes.c.id == jobs.c.process_id))
    .where(jobs.c.name == bindparam("name_"))
)
_TAKE = text(
    "INSERT INTO jobs (name, run_id, process_id, started_at_us, lease_us, beat, note)"
    " VALUES (:name, :run_id, :process_id, :now_us, :lease_us, 0, '')"
    " ON CONFLICT (name) DO UPDATE SET run_id = excluded.run_id, process_id = excluded.process_id,"
    " started_at_us = excluded.started_at_us, lease_us = excluded.lease_us, beat = 0,"
    " ended_at_us = NULL, ok = NULL, note = ''"
)
_OURS = (jobs.c.run_id == bindparam("run"), jobs.c.ended_at_us.is_(None))
_EXTEND = update(jobs).where(*_OURS).values(lease_us=bindparam("lease"), beat=jobs.c.beat + 1)
_FINISH = update(jobs).where(*_OURS)


def claim_job(
    transaction: Transaction, name: str, run_id: str, process_id: str, now_us: int, lease_us: int, census: Census
) -> str | None:
    for held_by, ended_at_us, held_for_us, beat, *owner in transaction.find(_HELD, {"name_": escaped(name)}):
        lives = ended_at_us is None and not census.is_gone(owner)
        if lives and not census.stands_still("job", held_by, beat, held_for_us / 1e6):
            return None
    transaction.change(
        _TAKE,
        {
            "name": escaped(name),
            "run_id": run_id,
            "process_id": process_id,
            "now_us": now_us,
            "lease_us": lease_us,
        },
    )
    return run_id


def extend_job(transaction: Transaction, run_id: str, lease_us: int) -> bool:
    return transaction.change(_EXTEND, {"run": run_id, "lease": lease_us}) > 0


def finish_job(transaction: Transaction, run_id: str, now_us: int, ok: bool, note: str) -> None:
    said: dict[str, object] = {"run": run_id, "ended_at_us": now_us, "ok": int(ok), "note": escaped(note)}
    transaction.change(_FINISH, {**said, "succeeded_at_us": now_us} if ok else said)


def newest_jobs(connection: Connection) -> Rows[JobRun]:
    rows = connection.execute(select(jobs).order_by(jobs.c.name))
    return read_each("job", rows, lambda row: shown(row.name), _run_of)


def _run_of(row: Row[Any]) -> JobRun:
    if row.ok not in (None, 0, 1):
        raise ValueError(f"it ended {row.ok!r}, which is neither well (1) nor badly (0)")
    return JobRun(
        name=unescaped(row.name),
        run_id=row.run_id,
        started_at_us=row.started_at_us,
        ended_at_us=row.ended_at_us,
        ok=None if row.ok is None else bool(row.ok),
        note=unescaped(row.note),
        succeeded_at_us=row.succeeded_at_us,
    )
