"""What a decision and an execution cost by themselves, in CPU time, which a busy machine makes no longer."""

import time

from mahavishnu.app import open_app
from mahavishnu.model import Task
from mahavishnu.settings import load_settings

BATCHES, CALLS = 6, 20
TASK = Task(type="nothing", text="x")


async def least_cpu_ms(call):
    """The mean of the cheapest batch: what else the process does can only add to the others."""
    spent = []
    for _ in range(BATCHES):
        began = time.process_time()
        for _ in range(CALLS):
            await call(TASK)
        spent.append((time.process_time() - began) / CALLS * 1000)
    return min(spent)


async def test_routing_takes_less_than_50_ms_and_a_recorded_execution_less_than_5(tmp_path):
    targets = {f"t{n}": {"run": "builtins:str", "task_types": ["nothing"]} for n in range(20)}
    tables = {"store": {"url": f"sqlite:///{tmp_path}/store.db"}, "targets": targets}
    async with open_app(load_settings(None, {}, tables)) as app:
        assert await least_cpu_ms(app.orchestrator.route) < 50
        # The target does nothing, so that all of this is ours: deciding, the recorded start and the recorded end.
        assert await least_cpu_ms(app.orchestrator.execute) < 5
        assert sum(stat.scorecard.samples for stat in app.orchestrator.stats("nothing")) == BATCHES * CALLS
