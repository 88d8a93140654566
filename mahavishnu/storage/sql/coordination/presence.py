"""Which processes are alive: where each runs, how its lease is renewed, and how one is given up."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from sqlalchemy import Connection, bindparam, delete, exists, func, select

from mahavishnu.model import Execution, Process, Status
from mahavishnu.model.loop import LoopReport
from mahavishnu.ports import Clock
from mahavishnu.storage.sql.connection.tables import announcements, executions, keys, processes, reservations, starts
from mahavishnu.storage.sql.connection.transaction import IN_LIST, Transaction
from mahavishnu.storage.sql.facts.fact_rows import end_row, escaped, running_of, unescaped
from mahavishnu.storage.sql.money.accounts import give_up

DRIFT = 1.1
"""A lease counts as run out after this many times its length: two monotonic clocks may run at slightly other speeds."""

_REGISTER = (
    "INSERT INTO processes (id, host, pid, pid_started, started_at_us, renewed_at_us, lease_us, beat, token, released,"
    " loops)"
    " VALUES (:id, :host, :pid, :pid_started, :started_at_us, :renewed_at_us, :lease_us, 0, :token, 0, :loops)"
    " ON CONFLICT (id) DO UPDATE SET renewed_at_us = excluded.renewed_at_us, beat = processes.beat + 1,"
    " token = excluded.token, released = 0, loops = excluded.loops"
)
_STILL_OURS = "SELECT token FROM processes WHERE id = :id AND released = 0"
_RELEASE = "UPDATE processes SET released = 1 WHERE id = :id"
_TAKE_OVER = "UPDATE processes SET released = 1 WHERE id = :id AND beat = :beat AND released = 0"
_AS_SEEN = "SELECT 1 FROM processes WHERE id = :id AND beat = :beat AND released = :released"
_MOVE_FENCE = "UPDATE counter SET fence = fence + 1"
_FORGET = "DELETE FROM processes WHERE id = :id"
_FREE_KEYS = delete(keys).where(
    keys.c.process_id == bindparam("id_"),
    keys.c.succeeded == 0,
    # A key whose run succeeded answers for it, also where its settlement is still on its way.
    ~exists().where(executions.c.decision_id == keys.c.decision_id, executions.c.status == Status.SUCCEEDED.value),
)
_LEFT_RUNNING = (
    select(starts, announcements.c.run_id)
    .select_from(starts.outerjoin(announcements, announcements.c.execution_id == starts.c.id))
    .where(starts.c.process_id == bindparam("id_"), ~exists().where(executions.c.id == starts.c.id))
    .order_by(starts.c.position)
)
_PAID_FOR = select(reservations.c.execution_id).where(reservations.c.process_id == bindparam("id_"))
_ENDED_AMONG = select(executions.c.id).where(executions.c.id.in_(bindparam("ids", expanding=True)))
_RUNNING_EACH = (
    select(starts.c.process_id, func.count().label("running"))
    .where(starts.c.process_id.in_(select(processes.c.id)), ~exists().where(executions.c.id == starts.c.id))
    .group_by(starts.c.process_id)
)
_RESERVED_EACH = select(reservations.c.process_id, func.sum(reservations.c.micros).label("micros")).group_by(
    reservations.c.process_id
)


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
    """Whether the process with this pid, started then, still runs on this host. One that is stopped does."""
    # The process of another user may refuse the signal, and may be hidden as well; it is there.
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


class Lease:
    """This process's own row, renewed well before its lease runs out, and the token that fences it off.

    Used by the writer's thread; `token`, `holds` and `steady_since_s` may be read by any.
    """

    def __init__(self, process_id: str, clock: Clock, lease_s: float) -> None:
        self.process_id = process_id
        self.every_s = lease_s / 4
        self.token = 0
        """Grows whenever this process was given up and has registered again."""
        self.steady_since_s: float | None = None
        """Since when the lease has been renewed without a gap, by the monotonic clock."""
        self.loops: Callable[[], Sequence[LoopReport]] = tuple
        """How the background work of this process stands: written with each renewal, for people to read elsewhere."""
        self._clock = clock
        self._lease_s = lease_s
        self._fence = -1
        self._renewed_s = float("-inf")
        self._row = {
            "id": process_id,
            "host": escaped(here()),
            "pid": os.getpid(),
            "pid_started": started_at(os.getpid()),
            "started_at_us": clock.now_us(),
            "lease_us": round(lease_s * 1e6),
        }

    def due(self) -> bool:
        return self._clock.monotonic_s() - self._renewed_s >= self.every_s

    def steady(self) -> bool:
        """Whether the last renewal is recent enough for this process to judge others."""
        return self._clock.monotonic_s() - self._renewed_s < self._lease_s / 2

    def holds(self, token: int) -> bool:
        """Whether a run that began with this token may go on: no other process can have given it up by now."""
        return token == self.token and self._clock.monotonic_s() - self._renewed_s < self._lease_s

    def enter(self, transaction: Transaction) -> Entry:
        """Find out, at the start of a transaction, whether this process was given up; renew the lease if it is due.

        Costs a comparison as long as no process was given up at all.
        """
        now_s = self._clock.monotonic_s()
        due = now_s - self._renewed_s >= self.every_s
        token = self.token
        if transaction.fence != self._fence and not transaction.look(_STILL_OURS, {"id": self.process_id}):
            token, due = transaction.fence, True
        if due:
            row = {
                **self._row,
                "renewed_at_us": self._clock.now_us(),
                "token": token,
                "loops": json.dumps([asdict(loop) for loop in self.loops()]),
            }
            transaction.run(_REGISTER, row)
        transaction.token = token
        return Entry(token, transaction.fence, now_s if due else None, token != self.token)

    def committed(self, entry: Entry) -> None:
        """The transaction of this entry is durable."""
        self.token, self._fence = entry.token, entry.fence
        if entry.renewed_s is None:
            return
        if self.steady_since_s is None or entry.renewed_s - self._renewed_s >= self._lease_s / 2:
            self.steady_since_s = entry.renewed_s
        self._renewed_s = entry.renewed_s

    def release(self, transaction: Transaction) -> None:
        """What this process left running, if anything, is lost from now on."""
        transaction.run(_RELEASE, {"id": self.process_id})


@dataclass(frozen=True, slots=True)
class Entry:
    """How a transaction found this process: its token and fence, and when it renewed the lease, if it did.

    `moved`: it was given up, and has registered again under another token.
    """

    token: int
    fence: int
    renewed_s: float | None
    moved: bool = False


class Census:
    """Tells the processes that live from those that are gone. May be asked by several threads.

    On this host the kernel is asked. A process elsewhere is gone once its beat has stood still for its lease, by our
    own monotonic clock, while our own lease was renewed without a gap: no two clocks are compared, and a process that
    was itself stopped, or cut off from the store, judges no other until it has been back for as long.
    """

    def __init__(self, lease: Lease, clock: Clock) -> None:
        self._lease = lease
        self._clock = clock
        self._seen: dict[tuple[str, str], tuple[int, float]] = {}
        self._lock = Lock()

    def is_gone(self, process: Sequence[Any]) -> bool:
        """By a row of `processes`, whose values are all None where there is none: it was given up."""
        id_, host, pid, pid_started, _started_at_us, _renewed_at_us, lease_us, beat, _token, released = process[:10]
        if id_ == self._lease.process_id:
            return False
        if id_ is None or released:
            return True
        if unescaped(host) == here():
            return not is_running(pid, pid_started)
        return self.stands_still("process", id_, beat, lease_us / 1e6)

    def stands_still(self, kind: str, id_: str, beat: int, lease_s: float) -> bool:
        """Whether the beat of a process or a job has not moved for so long, as seen from here and without a gap."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            known = self._seen.get((kind, id_))
            if known is None or known[0] != beat:
                known = self._seen[kind, id_] = (beat, now_s)
        steady_since_s = self._lease.steady_since_s
        if steady_since_s is None or not self._lease.steady():
            return False
        return now_s - max(known[1], steady_since_s) >= lease_s * DRIFT

    def forget_all_but(self, kind: str, ids: set[str]) -> None:
        with self._lock:
            for seen in [key for key in self._seen if key[0] == kind and key[1] not in ids]:
                del self._seen[seen]


def take_over(transaction: Transaction, process: Sequence[Any]) -> None:
    """Take something from a process that is gone: from now on it is refused whatever its old token vouches for."""
    if process[0] is not None and transaction.run(_TAKE_OVER, {"id": process[0], "beat": process[7]}):
        transaction.run(_MOVE_FENCE, {})


@dataclass(frozen=True, slots=True)
class Left:
    """A process that is to be given up as it was seen, what it left running, and what it had set money aside for."""

    id: str
    whose: str
    beat: int
    released: int
    running: Sequence[Execution]
    paid_for: Sequence[str]

    @property
    def facts(self) -> int:
        return len(self.running) + len(self.paid_for)

    def give_up(self, transaction: Transaction, now_us: int) -> Sequence[Execution]:
        """End what still runs as lost, give back what was set aside, free its keys. Returns those that had no end.

        Nothing is done where the process has renewed its lease since it was seen.
        """
        if not transaction.look(_AS_SEEN, {"id": self.id, "beat": self.beat, "released": self.released}):
            return []
        ended = self._ended(transaction)
        ends = [lost(start, self.whose, now_us) for start in self.running if start.id not in ended]
        for end in ends:
            transaction.add(executions, end_row(transaction.position(), end))
        give_up(transaction, self.paid_for, now_us)
        transaction.flush()
        transaction.change(_FREE_KEYS, {"id_": self.id})
        transaction.run(_FORGET, {"id": self.id})
        transaction.run(_MOVE_FENCE, {})
        return ends

    def _ended(self, transaction: Transaction) -> set[str]:
        ids = [start.id for start in self.running]
        chunks = (ids[first : first + IN_LIST] for first in range(0, len(ids), IN_LIST))
        return {row.id for chunk in chunks for row in transaction.find(_ENDED_AMONG, {"ids": chunk})}


def left_by_the_gone(connection: Connection, census: Census) -> list[Left]:
    """Looked for before the transaction that gives them up, so that a long list keeps no other from writing."""
    rows = connection.execute(select(processes)).all()
    census.forget_all_but("process", {row.id for row in rows})
    return [_left(connection, row) for row in rows if census.is_gone(row)]


def left_by(connection: Connection, process_id: str) -> Left | None:
    """What one process would leave behind, whether it is gone or not; None where there is no such process."""
    row = connection.execute(select(processes).where(processes.c.id == process_id)).first()
    return None if row is None else _left(connection, row)


def _left(connection: Connection, row: Any) -> Left:
    return Left(
        id=row.id,
        whose=f"pid {row.pid} on {_hostname(row.host)}",
        beat=row.beat,
        released=row.released,
        running=[running_of(start, run_id) for *start, run_id in connection.execute(_LEFT_RUNNING, {"id_": row.id})],
        paid_for=[id_ for (id_,) in connection.execute(_PAID_FOR, {"id_": row.id})],
    )


def give_up_all(transaction: Transaction, left: Sequence[Left], now_us: int) -> list[Execution]:
    return [end for process in left for end in process.give_up(transaction, now_us)]


def known_processes(connection: Connection, census: Census) -> list[Process]:
    """Every process that has not been given up, the oldest first."""
    running = {row.process_id: row.running for row in connection.execute(_RUNNING_EACH)}
    reserved = {row.process_id: int(row.micros) for row in connection.execute(_RESERVED_EACH)}
    return [
        Process(
            id=row.id,
            host=_hostname(row.host),
            pid=row.pid,
            started_at_us=row.started_at_us,
            renewed_at_us=row.renewed_at_us,
            lives=not census.is_gone(row),
            running=running.get(row.id, 0),
            reserved_micros=reserved.get(row.id, 0),
            loops=_loops_of(row.loops),
        )
        for row in connection.execute(select(processes).order_by(processes.c.started_at_us))
    ]


def _loops_of(text: str) -> tuple[LoopReport, ...]:
    """None where another version wrote something else: a process is shown all the same."""
    try:
        return tuple(LoopReport(**loop) for loop in json.loads(text))
    except (TypeError, ValueError):
        return ()


def _hostname(host: str) -> str:
    return unescaped(host).partition(" ")[0]


def lost(start: Execution, whose: str, now_us: int) -> Execution:
    """The end of an execution whose process is gone."""
    return replace(
        start,
        status=Status.LOST,
        ended_at_us=max(now_us, start.started_at_us),
        error_code="lost",
        error=f"the process that ran it ({whose}) is gone",
    )
