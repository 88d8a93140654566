"""The tests for a planned sample: over what was read, and of each unit its first outcome."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from mahavishnu.jobs.experiments.fixed_sample import look_once
from mahavishnu.model import Status
from mahavishnu.model.experiment import Assignment, Change, Experiment, ExperimentRun
from mahavishnu.stats.fixed import two_proportions
from mahavishnu.storage.memory.store import MemoryStore
from mahavishnu.testing.clock import ManualClock
from tests.history import decision_of, executions

EXPERIMENT = Experiment(name="e", treatment=Change(policy="statistical"), unit="user")


async def looked(*, cursor: int | None = None):
    draws = Random(4)
    store = MemoryStore(ManualClock())
    await store.open()
    counts = {True: [0, 0], False: [0, 0]}
    for number, run in enumerate(executions(600, 20_000, 1, seed=4)):
        user, treated = number // 2, number // 2 % 3 == 0
        ended = replace(run, fallback=False, status=Status.SUCCEEDED if draws.random() < 0.8 else Status.FAILED)
        assignment = Assignment(experiment="e", unit=f"user-{user}", treated=treated, probability=1 / 3)
        await store.record([replace(decision_of(ended), assignments=(assignment,)), ended])
        if number % 2 == 0:
            counts[treated][0] += ended.status is Status.SUCCEEDED
            counts[treated][1] += 1
    run = ExperimentRun(experiment=EXPERIMENT, cursor=await store.newest() if cursor is None else cursor)
    found = await look_once(store, run)
    await store.close()
    return found, counts


async def test_only_the_first_outcome_of_each_unit_is_compared():
    found, counts = await looked()
    assert (found.treated, found.controls) == (100, 200)
    assert found.success == two_proportions(*counts[True], *counts[False])
    assert found.latency is not None
    assert found.cost is not None
    assert found.quality is not None
    assert found.latency.lo < found.latency.difference < found.latency.hi


async def test_nothing_is_compared_that_was_not_read():
    found, _ = await looked(cursor=0)
    assert (found.treated, found.controls, found.success, found.latency) == (0, 0, None, None)


@pytest.mark.parametrize("fewest", [2, 40])
async def test_it_goes_on_over_pages(fewest: int, monkeypatch: pytest.MonkeyPatch):
    whole, _ = await looked()
    monkeypatch.setattr("mahavishnu.jobs.experiments.fixed_sample.PAGE", fewest)
    assert (await looked())[0] == whole
