"""The torture kit over both kinds of store: about a minute of real processes and real signals, always the same faults.

What the seed draws is the same in every run; what the processes are doing when it strikes is not.
"""

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
    assert "budget-exhausted" in report.rounds[0].answers, written
