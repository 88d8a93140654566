"""The command `python -m mahavishnu.testing.torture`."""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from mahavishnu.errors import MahavishnuError
from mahavishnu.storage.sql.connection.address import shown_url
from mahavishnu.testing.torture.coordinator import ALL, Options, torture
from mahavishnu.testing.torture.database import lookout
from mahavishnu.testing.torture.faults import Server
from mahavishnu.testing.torture.plan import Kind

OK, BROKEN, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where every promise held, 1 where one did not, 2 where the kit could not go on, 130 after Ctrl-C."""
    given = _parser().parse_args(arguments)
    try:
        options = _options(given)
        report = asyncio.run(torture(options, _to_stderr if given.json else _to_stdout))
    except KeyboardInterrupt:
        _to_stderr("Interrupted; every process of the kit has ended.")
        return INTERRUPTED
    except (MahavishnuError, RuntimeError, ValueError) as problem:
        _to_stderr(f"The kit cannot go on: {problem}")
        return USAGE
    written = json.dumps(report.shape(), indent=2)
    if given.report:
        Path(given.report).write_text(written + "\n")
    if given.json:
        _to_stdout(written)
    return OK if report.holds else BROKEN


def _options(given: argparse.Namespace) -> Options:
    kinds = _kinds(given.faults)
    server = Server(pid=given.server_pid, stop=given.outage_command, start=given.outage_end_command)
    if bool(server.stop) != bool(server.start):
        raise ValueError("--outage-command and --outage-end-command belong together; give both")
    if not Path("/proc/self/stat").exists():
        raise ValueError("it needs Linux: it looks at processes in /proc; run it in a container")
    if given.store.startswith("memory:"):
        raise ValueError("a store in memory belongs to one process; give sqlite:///file.db or a PostgreSQL URL")
    with lookout(given.store) as looking:
        strangers = looking.strangers()
        if strangers and not given.used_store:
            raise ValueError(
                f"the store holds {strangers:,} decisions that are not the kit's; give an empty one, or --used-store"
            )
        if Kind.OUTAGE in kinds and looking.is_sqlite and server.stop:
            raise ValueError("SQLite has no server to stop; leave --outage-command out")
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    return Options(
        store=given.store,
        minutes=given.minutes,
        processes=given.processes,
        seed=seed,
        kinds=kinds,
        repeat=given.round,
        round_s=given.round_seconds,
        lease_s=given.lease_seconds,
        config=given.config,
        task_types=tuple(given.task_type),
        text=given.text,
        server=server,
        keep=given.keep,
        command=_command(given),
    )


def _kinds(faults: str) -> tuple[Kind, ...]:
    if not faults:
        return ALL
    known = ", ".join(ALL)
    try:
        return tuple(Kind(word.strip()) for word in faults.split(","))
    except ValueError as problem:
        raise ValueError(f"{problem}; --faults takes {known}") from None


def _command(given: argparse.Namespace) -> str:
    """The command that repeats one round, without its seed and its number. A password stays out of it."""
    words = ["python", "-m", "mahavishnu.testing.torture", "--store", shown_url(given.store)]
    words += ["--processes", str(given.processes), "--round-seconds", f"{given.round_seconds:g}"]
    words += ["--lease-seconds", f"{given.lease_seconds:g}"]
    for flag, value in (("--faults", given.faults), ("--config", given.config)):
        words += [flag, value] if value else []
    for task_type in given.task_type:
        words += ["--task-type", task_type]
    if given.server_pid is not None:
        words += ["--server-pid", str(given.server_pid)]
    return shlex.join(words)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mahavishnu.testing.torture",
        description="Work on one store with several processes while things go wrong, and check every promise.",
        epilog="The store keeps what the kit writes: give it one of its own.",
    )
    add = parser.add_argument
    add("--store", required=True, metavar="URL", help="sqlite:///file.db or postgresql://user@host/database")
    add("--minutes", type=_positive, default=5.0, help="rounds begin until then (default 5)")
    add("--processes", type=int, default=4, choices=range(1, 65), metavar="N", help="workers (default 4)")
    add("--seed", type=int, help="the faults are drawn from it (default: drawn, and printed)")
    add("--round", type=int, metavar="N", help="only the N-th round of this seed")
    add("--faults", default="", metavar="A,B", help=f"only these of {', '.join(ALL)}")
    add("--round-seconds", type=_positive, default=12.0, metavar="S", help="faults of one round (default 12)")
    add("--lease-seconds", type=_positive, default=1.0, metavar="S", help="lease of a worker (default 1)")
    add("--config", default="", metavar="FILE", help="your configuration, with the targets to torture")
    add("--task-type", action="append", default=[], metavar="TYPE", help="a task type of yours; may be repeated")
    add("--text", default="torture", help="the text of your tasks")
    add("--server-pid", type=int, metavar="PID", help="PostgreSQL here: stop it with SIGSTOP as a hang")
    add("--outage-command", default="", metavar="CMD", help="stops the server, such as pg_ctl stop -m fast")
    add("--outage-end-command", default="", metavar="CMD", help="starts the server again")
    add("--report", default="", metavar="FILE", help="write the JSON report there")
    add("--json", action="store_true", help="the JSON report on stdout, progress on stderr")
    add("--keep", action="store_true", help="keep the folder of a run in which everything held")
    add("--used-store", action="store_true", help="use a store that holds other decisions, too")
    return parser


def _positive(word: str) -> float:
    value = float(word)
    if not 0 < value < 100_000:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def _to_stdout(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _to_stderr(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
