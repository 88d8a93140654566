"""The figures of the three adapters that the adaptive router's seed names."""

import asyncio
from decimal import Decimal

import pytest

pytest.importorskip("agno", reason="needs mahavishnu[agno]")
pytest.importorskip("prefect", reason="needs mahavishnu[prefect]")
pytest.importorskip("llama_index.core", reason="needs mahavishnu[llamaindex]")

from mahavishnu.model import Target, Task, Usage
from mahavishnu.model.money import to_usd
from mahavishnu.plugins import load_adapter
from mahavishnu.ports import Call


@pytest.mark.parametrize(
    ("adapter", "usage", "usd"),
    [
        ("prefect", Usage(seconds=10.0), "0.001"),
        ("agno", Usage(seconds=10.0, agent_seconds=30.0), "0.006"),
        ("llamaindex", Usage(seconds=10.0, queries=4), "0.0002"),
    ],
)
def test_a_run_in_the_cloud_costs_the_seeds_rate_and_a_local_one_nothing(adapter, usage, usd):
    prices = load_adapter(adapter)().prices
    assert to_usd(prices["cloud"].cost(usage)) == Decimal(usd)
    assert prices["local"].cost(usage) == 0


def test_the_local_adapter_is_free():
    target = Target(name="a", adapter="local", run="m:f", task_types={"t"})
    assert target.cost_model.cost(Usage(seconds=3600.0, queries=5)) == 0


async def test_agno_has_ten_runs_under_way_at_once_and_a_batch_of_more_is_answered_whole(monkeypatch):
    from agno.agent import Agent

    from mahavishnu_agno import AgnoAdapter
    from mahavishnu_agno.offline import OfflineModel

    under_way, most, full = 0, 0, asyncio.Event()

    class Watched(OfflineModel):
        async def ainvoke_stream(self, messages, **given):
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            if most == 10:
                full.set()
            await full.wait()
            async for word in super().ainvoke_stream(messages, **given):
                yield word
            under_way -= 1

    async def announce(_):
        pass

    monkeypatch.setitem(globals(), "watched", Agent(model=Watched()))
    adapter = AgnoAdapter()
    place = Target(name="a", adapter="agno", run=f"{__name__}:watched", task_types={"any"})
    calls = [Call(execution_id=f"e{n}", deadline_s=None, idempotency_key=None, announce=announce) for n in range(25)]
    runs = (adapter.run(Task(type="any", text=f"{n}"), place, call) for n, call in enumerate(calls))
    results = await asyncio.wait_for(asyncio.gather(*runs), 20)
    assert [result.value for result in results] == [f"Simulated answer to: {n}" for n in range(25)]
    assert most == 10
