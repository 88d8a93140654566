"""The processes of a store: shown, and given up by hand."""

import asyncio
import json
import os
from typing import Any

from mahavishnu.engine.clock import SystemClock
from mahavishnu.model import Status
from mahavishnu.model.loop import LoopReport
from mahavishnu.storage import SqlStore
from mahavishnu.testing.samples import Samples

URL = "sqlite:///mahavishnu.db"


async def begin(*, loops: tuple[LoopReport, ...] = ()) -> tuple[SqlStore, str]:
    """A store that was opened here, as another process would, with an attempt that runs; and the id of that."""
    store = SqlStore(URL, SystemClock(), lease_s=1.0)
    store.say_of_loops(lambda: loops)
    await store.open()
    make = Samples(SystemClock())
    decision = make.decision()
    start = make.start(decision, store.process_id)
    await store.record([decision, start])
    return store, start.id


def test_a_process_that_hangs_is_seen_and_given_up_by_hand(cli: Any):
    behind = LoopReport("evidence", failures=3, last_failure="ValueError: no", stale=True)
    store, started = asyncio.run(begin(loops=(behind,)))
    try:
        (found,) = cli.ok("store", "processes")
        assert (found["process"], found["pid"], found["lives"]) == (store.process_id, os.getpid(), True)
        assert found["running"] == 1
        assert [(loop["name"], loop["stale"], loop["failures"]) for loop in found["loops"]] == [("evidence", True, 3)]
        ended = cli("store", "processes")
        assert "behind: evidence" in ended.out
        rows = json.loads(cli("doctor", "--json").out)
        (row,) = [row for row in rows if row["check"] == f"process {store.process_id}"]
        assert row["status"] == "warning"
        assert "evidence is behind (3 failures, the last: ValueError: no)" in row["detail"]
        assert cli.ok("store", "release", store.process_id) == {"process": store.process_id, "lost": [started]}
        assert cli.ok("executions", "--last", "1")[0]["status"] == Status.LOST
    finally:
        asyncio.run(store.close())


def test_a_process_that_is_not_there_is_named_with_where_to_look(cli: Any):
    ended = cli("store", "release", "never-was")
    assert ended.code == 2
    assert ended.sentence.endswith('There is no process "never-was"; mahavishnu store processes shows what there is.')
