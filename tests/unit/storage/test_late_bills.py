"""A bill that comes late may pass a limit: what docs/money.md says of that."""

import pytest

from mahavishnu.engine.clock import SystemClock
from mahavishnu.model import Budget, Micros
from mahavishnu.storage import open_store
from mahavishnu.testing.samples import Samples

LIMIT = Budget(name="all", hard_micros=Micros(1000))


@pytest.mark.parametrize("url", ["memory:", "sqlite:///x.db"])
async def test_a_late_bill_passes_the_limit_and_what_costs_something_waits_for_room(monkeypatch, tmp_path, url):
    monkeypatch.chdir(tmp_path)
    make, store = Samples(SystemClock()), open_store(url, SystemClock())
    await store.open()
    await store.set_budget(LIMIT)
    first, under_way, next_, free = (make.start(make.decision()) for _ in range(4))
    await store.reserve(make.reservation(first, 400), [])
    await store.charge(make.charge(first, 400), [])
    await store.reserve(make.reservation(under_way, 500), [])

    await store.correct(first.id, Micros(1200), first.started_at_us, "invoice 17")
    shortfall = await store.reserve(make.reservation(next_, 1), [])
    assert shortfall is not None
    assert (shortfall.balance.spent_micros, shortfall.balance.room_micros) == (1200, 0)
    assert await store.reserve(make.reservation(free, 0), []) is None
    await store.charge(make.charge(under_way, 300), [])

    await store.correct(first.id, Micros(600), first.started_at_us, "credit note")
    shortfall = await store.reserve(make.reservation(next_, 101), [])
    assert shortfall is not None
    assert (shortfall.balance.spent_micros, shortfall.balance.room_micros) == (900, 100)
    assert await store.reserve(make.reservation(next_, 100), []) is None
    await store.close()
