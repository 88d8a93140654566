"""The torture kit over both kinds of store: about a minute of real processes and real signals, always the same faults.

What the seed draws is the same in every run; what the processes are doing when it strikes is not.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from mahavishnu.testing.torture import Kind, Options, torture

# Pairs that touch most promises: who is dead, who may spend, what a store that is away is owed, what callers hand in.
ROUNDS = {
    "sqlite": ((Kind.PAUSE, Kind.SKEW), (Kind.HANG, Kind.VALUES)),
    "postgres": ((Kind.KILL, Kind.OUTAGE), (Kind.ANSWERS, Kind.TARGETS)),
}
PROMISES = {
    "acknowledged",
    "aggregates",
    "alive",
    "books",
    "ends",
    "flat",
    "keys",
    "limits",
    "living",
    "refusals",
    "standing",
    "waits",
}


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_every_promise_holds_while_processes_and_stores_fail(kind, tmp_path, request, capsys):
    url = f"sqlite:///{tmp_path}/store.db" if kind == "sqlite" else request.getfixturevalue("postgres")()
    lines: list[str] = []
    options = Options(store=url, processes=3, seed=10, rounds=ROUNDS[kind], round_s=7.0)
    report = await torture(options, lines.append)
    written = "\n".join(lines)
    assert report.holds, written
    assert len(report.rounds) == 3
    assert {verdict.name for verdict in report.rounds[0].verdicts} == PROMISES
    # It was worked hard, and the limit was so small that it did bind.
    assert all(played.counts["executions"] > 20 for played in report.rounds[:2]), written
    assert sum(played.answers.get("budget-exhausted", 0) for played in report.rounds) > 0, written


def workers_of(url):
    """The pids of the processes that torture this store, the coordinator among them."""
    found = []
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if url.encode() in cmdline.read_bytes():
                found.append(int(cmdline.parent.name))
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left_behind_however_the_kit_is_ended(number, tmp_path):
    url = f"sqlite:///{tmp_path}/store.db"
    command = [sys.executable, "-m", "mahavishnu.testing.torture", "--store", url, "--processes", "2"]
    command += ["--faults", "pause", "--seed", "1", "--round-seconds", "30", "--lease-seconds", "5"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as kit:
        assert kit.stdout is not None
        assert any("pause worker" in line for line in kit.stdout)
        assert len(workers_of(url)) == 3
        kit.send_signal(number)
        kit.wait(60)
        assert kit.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    until = time.monotonic() + 30
    while workers_of(url):
        assert time.monotonic() < until, "a worker was left behind"
        time.sleep(0.05)
