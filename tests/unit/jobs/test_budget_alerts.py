"""A budget that comes to its soft limit, and to its end: told once, and over with its period."""

import pytest

from mahavishnu.jobs.monitoring.alerts import check
from mahavishnu.model import Budget, Micros, Period, Spender
from mahavishnu.model.alert import Severity
from mahavishnu.ports import Charge
from mahavishnu.settings import AlertSettings
from mahavishnu.storage import open_store
from mahavishnu.testing.clock import ManualClock

DAY_S = 86_400


@pytest.fixture(params=["memory", "sqlite"])
async def house(request, tmp_path):
    clock = ManualClock()
    store = open_store("memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/store.db", clock)
    await store.open()
    yield store, clock
    await store.close()


async def spend(store, clock, micros):
    who = Spender(adapter="local", target="a", task_type="t")
    charge = Charge(execution_id=clock.new_id(), at_us=clock.now_us(), micros=Micros(micros), spender=who)
    await store.charge(charge, [])


async def test_the_soft_limit_opens_one_alert_which_gets_worse_and_ends_with_the_period(house):
    store, clock = house
    await store.set_budget(Budget(name="team", hard_micros=Micros(100), soft_micros=Micros(50), period=Period.DAY))
    await spend(store, clock, 49)
    assert (await check(store, clock, AlertSettings())).opened == []
    await spend(store, clock, 1)
    (opened,) = (await check(store, clock, AlertSettings())).opened
    assert (str(opened.condition), opened.severity) == ("budget:team", Severity.WARNING)
    assert "budget team has spent $0.00005" in opened.summary
    await spend(store, clock, 50)
    assert (await check(store, clock, AlertSettings())).opened == []
    (worse,) = await store.alerts(unresolved=True)
    assert worse.severity is Severity.CRITICAL
    clock.advance(DAY_S)
    (closed,) = (await check(store, clock, AlertSettings())).closed
    assert closed.id == opened.id
