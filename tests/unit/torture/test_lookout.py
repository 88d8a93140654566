"""The kit's own way into a database: it sees a store as it is, and as it was broken by hand."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from mahavishnu.engine.clock import SystemClock
from mahavishnu.model import Account, Budget, Micros, Reservation, Spender
from mahavishnu.ports import Charge
from mahavishnu.storage import SqlStore
from mahavishnu.testing.samples import Samples
from mahavishnu.testing.torture import key_checks, money_checks, record_checks
from mahavishnu.testing.torture.database import lookout
from mahavishnu.testing.torture.records import Ack, Journal, Life, Scene

SPENDER = Spender(adapter="local", target="a", task_type="etl")
CHECKS = (
    money_checks.limits,
    money_checks.books,
    key_checks.keys,
    record_checks.acknowledged,
    record_checks.living,
    record_checks.ends,
)


async def record(file):
    """One paid execution, and a key that its decision claimed. Returns what a worker would have said of it."""
    store = SqlStore(f"sqlite:///{file}", SystemClock())
    await store.open()
    make = Samples(SystemClock())
    await store.set_budget(Budget(name="team", hard_micros=Micros(1000)))
    decision = make.decision()
    start = make.start(decision, store.process_id)
    reservation = Reservation(
        execution_id=start.id,
        process_id=store.process_id,
        at_us=start.started_at_us,
        micros=Micros(900),
        spender=SPENDER,
        accounts=(Account(budget="team", label="total"),),
    )
    assert await store.reserve(reservation, [decision, start]) is None
    await store.claim("k", "f", decision.id)
    end = replace(make.end(start), cost_micros=Micros(700))
    charge = Charge(execution_id=start.id, at_us=start.started_at_us, micros=end.cost_micros, spender=SPENDER)
    await store.charge(charge, [end])
    await store.close()
    ack = Ack(
        worker="w0.1",
        at_ns=1,
        decision_id=decision.id,
        key=None,
        succeeded=True,
        replayed=False,
        executions=((end.id, end.status.value, end.cost_micros),),
    )
    return Journal(acks=[ack]), Life(worker="w0.1", process_id=store.process_id)


@pytest.fixture(scope="module")
def pattern(tmp_path_factory):
    file = tmp_path_factory.mktemp("recorded") / "store.db"
    return file, *asyncio.run(record(file))


@pytest.fixture
def recorded(pattern, tmp_path):
    """The file of a store with one paid execution, which was acknowledged; and what its worker said."""
    file, journal, life = pattern
    return Path(shutil.copy(file, tmp_path)), journal, life


def broken(recorded, *statements):
    file, journal, life = recorded
    with closing(sqlite3.connect(file)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    with lookout(f"sqlite:///{file}") as looking:
        scene = Scene(records=looking.read(0), journal=journal, lives=(life,))
    return [verdict.name for check in CHECKS if not (verdict := check(scene)).holds]


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("UPDATE marks SET position = position", []),
        ("UPDATE budgets SET hard_micros = 699", ["limits"]),
        ("UPDATE balances SET spent = spent - 1", ["books"]),
        ("UPDATE balances SET reserved = 1", ["books"]),
        ("UPDATE ledger_entries SET micros = 701 WHERE kind = 'charge'", ["books"]),
        ("UPDATE executions SET cost_micros = 699", ["acknowledged"]),
        ("UPDATE executions SET status = 'lost'", ["keys", "acknowledged", "living"]),
        ("DELETE FROM executions", ["keys", "acknowledged", "ends"]),
        ("DELETE FROM execution_starts", ["ends"]),
        ("DELETE FROM decisions", ["acknowledged", "ends"]),
    ],
)
def test_rows_that_were_changed_by_hand_break_the_promises_they_touch(recorded, statement, names):
    assert broken(recorded, statement) == names


def test_only_what_came_after_a_position_belongs_to_a_round(recorded):
    file, _journal, _life = recorded
    with lookout(f"sqlite:///{file}") as looking:
        newest = looking.newest()
        later = looking.read(newest)
        assert (later.starts, later.executions, later.decisions, later.charges) == ((), (), (), {})
        assert (later.newest, later.limits) == (newest, {"team": 1000})
        assert looking.strangers() == 1


def test_a_lock_that_is_held_keeps_writers_out_until_it_is_lifted(recorded):
    file, _journal, _life = recorded
    lifted = Event()

    class Asked(Event):
        """Tries to write while the lock is held."""

        def wait(self, timeout=None):
            with (
                closing(sqlite3.connect(file, timeout=0)) as connection,
                pytest.raises(sqlite3.OperationalError, match="locked"),
            ):
                connection.execute("UPDATE counter SET value = value")
            lifted.set()
            return True

    with lookout(f"sqlite:///{file}") as looking:
        assert looking.hold_the_lock(10, Asked()) == ""
    assert lifted.is_set()
    with closing(sqlite3.connect(file, timeout=0)) as connection, connection:
        connection.execute("UPDATE counter SET value = value")


def test_a_store_that_is_not_there_yet_holds_no_decisions_of_others(tmp_path):
    with lookout(f"sqlite:///{tmp_path}/none.db") as looking:
        assert looking.strangers() == 0
