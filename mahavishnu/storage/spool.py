"""The spool: facts on the local disk, for as long as the store cannot take them."""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from sqlalchemy import Table

from mahavishnu.model import Decision, Execution, Micros, Spender
from mahavishnu.ports import Charge, Settlement
from mahavishnu.storage.sql.connection.address import parse, shown_url, wherever
from mahavishnu.storage.sql.connection.tables import assignments, decisions, executions, starts
from mahavishnu.storage.sql.facts.fact_rows import (
    CANNOT_BE_WRITTEN,
    Row,
    assignment_of,
    assignment_row,
    decision_of,
    decision_row,
    end_row,
    ended_of,
    running_of,
    start_row,
)

log = logging.getLogger("mahavishnu.storage")

FOLDER = "mahavishnu-spool"


@dataclass(frozen=True, slots=True, eq=False)
class Spooled:
    """What is to be written in one transaction, and waits for it.

    `withdrawn` are starts that are to be undone, if they are there at all.
    """

    facts: tuple[Decision | Execution, ...] = ()
    charge: Charge | None = None
    settle: Settlement | None = None
    withdrawn: tuple[Execution, ...] = ()

    @property
    def executions(self) -> Sequence[Execution]:
        return [each for each in self.facts if isinstance(each, Execution)]


def spool_of(url: str, process_id: str, folder: str = "") -> Spool | None:
    """The spool of one process for the store of a URL: beside its file, or in the working directory; None in memory."""
    if url.startswith("memory:"):
        return None
    address = parse(url)
    # By the URL as people may see it: whoever is given another password still finds what was kept for the same store.
    name = sha256(shown_url(wherever(url)).encode()).hexdigest()[:16]
    beside = address.path.with_name(FOLDER) if address.is_sqlite else Path(FOLDER)
    return Spool(Path(folder) if folder else beside, name, process_id)


class Spool:
    """One file for one process and store, a line for each transaction; there is none while nothing waits.

    Everything here blocks, and may be called from several threads. The file is locked for as long as its owner lives,
    which the kernel sees to: whoever gets the lock has found what a dead process left.
    """

    def __init__(self, folder: Path, store: str, process_id: str) -> None:
        self._folder = folder.absolute()
        self._store = store
        self.path = self._path_of(process_id)
        self._file: BinaryIO | None = None
        self._lock = Lock()
        self._unwritten: dict[Spooled, bytes] = {}
        self._written: set[Spooled] = set()

    def add(self, spooled: Spooled, line: bytes) -> None:
        """Have it written by the next `flush`, in any thread."""
        self._unwritten[spooled] = line

    def flush(self) -> None:
        """What was added before is durable when this returns: of many callers at once, one writes the lines of all.

        Raises `OSError`; the lines then wait for the next flush.
        """
        with self._lock:
            waiting = self._unwritten.copy()
            if not waiting:
                return
            _append(self._file or self._create(), b"".join(waiting.values()))
            for spooled in waiting:
                self._unwritten.pop(spooled, None)
            self._written.update(waiting)

    def forget(self, spooled: Iterable[Spooled]) -> None:
        """These are in the store, or not wanted any more. The file goes with the last of them."""
        with self._lock:
            for done in spooled:
                self._unwritten.pop(done, None)
                self._written.discard(done)
            if not self._written and self._file is not None:
                self.path.unlink(missing_ok=True)
                self._let_go()

    def close(self) -> None:
        """Leave what still waits to whoever opens the same store next."""
        with self._lock:
            self._let_go()

    def abandoned(self) -> Abandoned | None:
        """What one dead process left, if any did: nobody else gets it until it is closed."""
        for path in sorted(self._folder.glob(f"{self._store}-*.jsonl")):
            if path != self.path and (file := _claimed(path)) is not None:
                return Abandoned(path, file)
        return None

    def is_being_written(self, process_id: str) -> bool:
        """Whether another process has taken what this dead one left, and is not done with it."""
        try:
            with self._path_of(process_id).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def _path_of(self, process_id: str) -> Path:
        return self._folder / f"{self._store}-{process_id}.jsonl"

    def _create(self) -> BinaryIO:
        # Tasks and answers stand in it, which are nobody else's business.
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with ExitStack() as undo:
            file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
            undo.callback(file.close)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _sync_folder(self._folder)
            undo.pop_all()
        self._file = file
        return file

    def _let_go(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()


class Abandoned:
    """What a dead process left. Close it, whether it was written or not."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self._file = file
        self.spooled, self._unreadable = _read(file)

    @property
    def running(self) -> Sequence[Execution]:
        """What it had begun and not ended, as far as was kept."""
        known = [execution for each in self.spooled for execution in each.executions]
        begun = {each.id: each for each in known if not each.status.ended}
        ended = {each.id for each in known if each.status.ended}
        return [each for id_, each in begun.items() if id_ not in ended]

    def settle(self, left_over: int) -> None:
        """All of it is in the store but so many, which stay for people to look at, with what could not be read."""
        left_over += self._unreadable
        if not left_over:
            self.path.unlink(missing_ok=True)
            return
        kept = self.path.with_suffix(".left-over")
        self.path.rename(kept)
        log.error("%s lines of %s could not be written; it is kept for you to look at", left_over, kept)

    def close(self) -> None:
        self._file.close()


def _append(file: BinaryIO, lines: bytes) -> None:
    """All of it or nothing: half a line in the middle would spoil the one behind it."""
    descriptor = file.fileno()
    end = os.fstat(descriptor).st_size
    try:
        rest = lines
        while rest:
            rest = rest[os.pwrite(descriptor, rest, end + len(lines) - len(rest)) :]
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, end)
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _claimed(path: Path) -> BinaryIO | None:
    """The file, locked; None where its owner lives, or somebody else was first."""
    with ExitStack() as undo:
        try:
            file = undo.enter_context(path.open("r+b"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return None
        if os.fstat(file.fileno()).st_nlink == 0:
            return None
        undo.pop_all()
        return file


def _read(file: BinaryIO) -> tuple[list[Spooled], int]:
    """What a file holds, and how many of its lines cannot be read.

    The last line of a process that was killed may be cut short: nobody was answered for that one.
    """
    spooled: list[Spooled] = []
    unreadable = 0
    for line in file:
        if not line.endswith(b"\n"):
            break
        try:
            spooled.append(_spooled(json.loads(line)))
        except (LookupError, AttributeError, *CANNOT_BE_WRITTEN):
            unreadable += 1
    return spooled, unreadable


def line_of(spooled: Spooled) -> bytes:
    """Raises one of `CANNOT_BE_WRITTEN`."""
    return json.dumps(_document(spooled)).encode() + b"\n"


def _document(spooled: Spooled) -> dict[str, Any]:
    return {
        "facts": [_fact_document(fact) for fact in spooled.facts],
        "charge": None if spooled.charge is None else asdict(spooled.charge),
        "settle": None if spooled.settle is None else asdict(spooled.settle),
        "withdrawn": [_fact_document(start) for start in spooled.withdrawn],
    }


def _spooled(document: dict[str, Any]) -> Spooled:
    charge, settle = document["charge"], document.get("settle")
    if charge is not None:
        spender = Spender(**charge.pop("spender"))
        charge = Charge(**{**charge, "micros": Micros(charge["micros"])}, spender=spender)
    withdrawn = (_fact(start) for start in document.get("withdrawn", ()))
    return Spooled(
        facts=tuple(_fact(fact) for fact in document["facts"]),
        charge=charge,
        settle=None if settle is None else Settlement(**settle),
        withdrawn=tuple(start for start in withdrawn if isinstance(start, Execution)),
    )


def _fact_document(fact: Decision | Execution) -> dict[str, Any]:
    """The rows that the store would have made of it, by the names of the columns."""
    match fact:
        case Decision():
            drawn = [_named(assignments, assignment_row(0, fact, each)) for each in fact.assignments]
            return {"decision": _named(decisions, decision_row(0, fact)), "assignments": drawn}
        case Execution() if fact.status.ended:
            return {"end": _named(executions, end_row(0, fact))}
        case Execution():
            return {"start": _named(starts, start_row(0, fact)), "run_id": fact.run_id}


def _fact(document: dict[str, Any]) -> Decision | Execution:
    match document:
        case {"decision": row}:
            drawn = (assignment_of(_row(assignments, each)) for each in document.get("assignments", ()))
            return decision_of(_row(decisions, row), drawn)
        case {"end": row}:
            return ended_of(_row(executions, row), None)
        case _:
            return running_of(_row(starts, document["start"]), document["run_id"])


def _named(table: Table, row: Row) -> dict[str, Any]:
    return dict(zip(table.columns.keys(), row, strict=True))


def _row(table: Table, named: dict[str, Any]) -> Row:
    return tuple(named.get(name) for name in table.columns.keys())  # noqa: SIM118 (columns are iterated, not named)
