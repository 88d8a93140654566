"""What experiments ask of the rooms around them: the spool, undoing, counting on, reading little."""

import pytest
from sqlalchemy import event

from mahavishnu.errors import UnknownName
from mahavishnu.storage import Memory, MemoryStore, SqlStore
from mahavishnu.storage.spool import Spool, Spooled, line_of
from mahavishnu.testing.clock import ManualClock
from mahavishnu.testing.samples import ODD_TEXT, Samples


@pytest.fixture
async def store(tmp_path):
    opened = SqlStore(f"sqlite:///{tmp_path}/store.db", ManualClock())
    await opened.open()
    yield opened
    await opened.close()


def keep(spool, spooled):
    spool.add(spooled, line_of(spooled))
    spool.flush()


def test_what_waits_on_the_local_disk_keeps_what_it_was_in_experiments(tmp_path):
    make = Samples(ManualClock())
    drawn = make.assigned(unit=ODD_TEXT, treated=True, probability=1 / 3)
    waiting = (drawn, make.start(drawn), make.decision(), make.assigned(probability=None))
    spool = Spool(tmp_path, "store", "dead")
    keep(spool, Spooled(waiting))
    spool.close()
    left = Spool(tmp_path, "store", "living").abandoned()
    assert left is not None
    assert [each.facts for each in left.spooled] == [waiting]
    left.close()


async def test_what_is_not_recorded_after_all_was_in_no_experiment():
    clock, memory = ManualClock(), Memory()
    store, make = MemoryStore(clock, memory), Samples(clock)
    await store.open()
    kept, lost = make.assigned(unit="kept"), make.assigned(unit="lost")
    await store.record([kept])
    with pytest.raises(UnknownName):
        await store.record([lost, *make.run(lost), *make.run(kept), make.outcome(make.decision(), completed=True)])
    assert await store.decision(lost.id) is None
    assert await store.observations("e", 0, 9) == []
    assert [(each.unit, each.heard) for each in await store.assigned("e", 0, 2**62, 9)] == [("kept", False)]
    await store.close()


async def test_every_assignment_has_a_position_of_its_own(store):
    make = Samples(ManualClock())
    decisions = [make.assigned(), make.decision(), make.assigned("other")]
    assert await store.record([*decisions, *make.run(decisions[0])]) == 7 == await store.newest()
    positions = [each.position for name in ("e", "other") for each in await store.assigned(name, 0, 2**62, 9)]
    assert positions == [2, 5]
    assert [each.position for each in await store.observations("e", 0, 9)] == [7]
    rows = (await store.info()).rows
    assert (rows["assignments"], rows["experiments"], rows["experiment_units"]) == (2, 0, 0)


async def test_the_check_of_every_minute_reads_what_is_fresh(store):
    make = Samples(ManualClock())
    for _ in range(3):
        decisions = [make.assigned() for _ in range(100)]
        await store.record([*decisions, *(end for each in decisions for end in make.run(each))])
    plans = []

    def explain(connection, cursor, statement, parameters, context, executemany):
        if statement.startswith("SELECT executions.position"):
            about = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.extend(row[3] for row in about.fetchall())

    engine = store._ready().database.engine
    event.listen(engine, "before_cursor_execute", explain)
    assert len(await store.observations("e", await store.newest() - 10, 5000)) == 5
    # It begins with the newest executions, and never with all that were ever assigned.
    begins = [plan for plan in plans if "executions" in plan]
    assert len(begins) == 2
    assert all("INTEGER PRIMARY KEY (rowid>" in plan for plan in begins)
    assert not any(plan.startswith("SCAN") or "TEMP B-TREE" in plan for plan in plans)
