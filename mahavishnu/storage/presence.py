"""Which processes are alive: leases, the host and the pid they were given on, and what the dead left running."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, bindparam, delete, exists, select, text, update

from mahavishnu.model import Execution, Status
from mahavishnu.ports import Clock
from mahavishnu.storage.accounts import give_up
from mahavishnu.storage.rows import end_row, escaped, running_of, unescaped
from mahavishnu.storage.tables import announcements, executions, processes, reservations, starts
from mahavishnu.storage.transaction import IN_LIST, Transaction

_RENEW = text(
    "INSERT INTO processes (id, host, pid, pid_started, lease_until_us, started_at_us)"
    " VALUES (:id, :host, :pid, :pid_started, :lease_until_us, :started_at_us)"
    " ON CONFLICT (id) DO UPDATE SET lease_until_us = excluded.lease_until_us"
)
_RELEASE = update(processes).where(processes.c.id == bindparam("id_")).values(lease_until_us=0)
# Only as it was when it was found gone: one that woke up in between has renewed its lease, and stays.
_BURY = delete(processes).where(processes.c.id == bindparam("id_"), processes.c.lease_until_us == bindparam("lease"))
_LEFT_RUNNING = (
    select(starts, announcements.c.run_id)
    .select_from(starts.outerjoin(announcements, announcements.c.execution_id == starts.c.id))
    .where(starts.c.process_id == bindparam("id_"), ~exists().where(executions.c.id == starts.c.id))
    .order_by(starts.c.position)
)
_PAID_FOR = select(reservations.c.execution_id).where(reservations.c.process_id == bindparam("id_"))
_ENDED_AMONG = select(executions.c.id).where(executions.c.id.in_(bindparam("ids", expanding=True)))


@cache
def here() -> str:
    """Where a pid means the same process: this host since it was started, and this namespace of pids."""
    parts = [socket.gethostname()]
    boot = Path("/proc/sys/kernel/random/boot_id")
    namespace = Path("/proc/self/ns/pid")
    if boot.exists():
        parts.append(boot.read_text().strip())
    if namespace.is_symlink():
        parts.append(str(namespace.readlink()))
    return " ".join(parts)


def started_at(pid: int) -> int | None:
    """When a process was started, in the kernel's ticks: tells it from a later one with the same pid. None: unknown."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def is_running(pid: int, pid_started: int | None) -> bool:
    """Whether the process with this pid, started then, still runs on this host."""
    # A process of somebody else may not be asked, and may be hidden as well; it is there, and has its lease.
    with suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    fields = _stat(pid)
    if not fields:
        return True
    # A process that has ended keeps its pid until its parent has asked after it.
    return fields[0] not in ("Z", "X") and pid_started in (None, int(fields[19]))


def _stat(pid: int) -> list[str]:
    """What the kernel says of a process, from the third field on; empty where it says nothing."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    # The second field is the program's name in brackets, and may hold anything.
    return stat.rpartition(")")[2].split()


class Census:
    """Tells the processes that live from those that are gone."""

    def __init__(self, own_id: str, clock: Clock) -> None:
        self._own_id = own_id
        self._clock = clock

    def is_gone(self, process: Sequence[Any]) -> bool:
        """By a row of `processes`, whose values are all None where there is none: it was buried."""
        process_id, host, pid, pid_started, lease_until_us, _started_at_us = process
        if process_id == self._own_id:
            return False
        if process_id is None or lease_until_us <= self._clock.now_us():
            return True
        return bool(unescaped(host) == here() and not is_running(pid, pid_started))


class Lease:
    """This process's own row, renewed well before it runs out."""

    def __init__(self, process_id: str, clock: Clock, lease_s: float) -> None:
        self.every_s = lease_s / 4
        self._clock = clock
        self._lease_us = round(lease_s * 1e6)
        self._every_us = round(self.every_s * 1e6)
        self._renewed_us: int | None = None
        self._row = {
            "id": process_id,
            "host": escaped(here()),
            "pid": os.getpid(),
            "pid_started": started_at(os.getpid()),
            "started_at_us": clock.now_us(),
        }

    def due_us(self) -> int | None:
        """The time to renew it with, if it should be renewed now. A clock that was put back makes it due as well."""
        now_us = self._clock.now_us()
        if self._renewed_us is not None and 0 <= now_us - self._renewed_us < self._every_us:
            return None
        return now_us

    def renew(self, transaction: Transaction, now_us: int) -> None:
        transaction.change(_RENEW, {**self._row, "lease_until_us": now_us + self._lease_us})

    def renewed(self, now_us: int) -> None:
        """The renewal is durable."""
        self._renewed_us = now_us

    def release(self, transaction: Transaction) -> None:
        """What this process left running, if anything, is lost from now on."""
        transaction.change(_RELEASE, {"id_": self._row["id"]})


class Remains:
    """The processes that are gone, what they left running, and the executions that they had set money aside for."""

    def __init__(
        self, gone: Sequence[tuple[str, int]], running: Sequence[tuple[Execution, str]], paid_for: Sequence[str]
    ) -> None:
        self._gone = gone
        self._running = running
        self._paid_for = paid_for

    @property
    def empty(self) -> bool:
        return not self._gone

    @property
    def facts(self) -> int:
        return len(self._running) + len(self._paid_for)

    def bury(self, transaction: Transaction, now_us: int) -> list[Execution]:
        """End what still runs as lost, and give back what was set aside; returns those that had no end until now."""
        ended = self._ended(transaction)
        ends = [lost(start, whose, now_us) for start, whose in self._running if start.id not in ended]
        for end in ends:
            transaction.add(executions, end_row(transaction.position(), end))
        give_up(transaction, self._paid_for, now_us)
        for process_id, lease_until_us in self._gone:
            transaction.change(_BURY, {"id_": process_id, "lease": lease_until_us})
        return ends

    def _ended(self, transaction: Transaction) -> set[str]:
        ids = [start.id for start, _whose in self._running]
        chunks = (ids[first : first + IN_LIST] for first in range(0, len(ids), IN_LIST))
        return {row.id for chunk in chunks for row in transaction.find(_ENDED_AMONG, {"ids": chunk})}


def remains(connection: Connection, census: Census) -> Remains:
    """Looked for before the transaction that buries them, so that a long list keeps nobody from writing."""
    gone = [row for row in connection.execute(select(processes)).all() if census.is_gone(row)]
    running = [
        (running_of(start, run_id), f"pid {row.pid} on {unescaped(row.host).partition(' ')[0]}")
        for row in gone
        for *start, run_id in connection.execute(_LEFT_RUNNING, {"id_": row.id}).all()
    ]
    paid_for = [id_ for row in gone for (id_,) in connection.execute(_PAID_FOR, {"id_": row.id}).all()]
    return Remains([(row.id, row.lease_until_us) for row in gone], running, paid_for)


def lost(start: Execution, whose: str, now_us: int) -> Execution:
    """The end of an execution whose process is gone."""
    return replace(
        start,
        status=Status.LOST,
        ended_at_us=max(now_us, start.started_at_us),
        error_code="lost",
        error=f"the process that ran it ({whose}) is gone",
    )
