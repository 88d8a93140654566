"""What an experiment will take: by the runs and the successes of the last seven days of its task types."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from mahavishnu.errors import InvalidExperiment
from mahavishnu.jobs.experiments.prospects import Traffic, prospect, prospect_of, traffic
from mahavishnu.model import Status, day_of
from mahavishnu.model.experiment import Change, Experiment, Guardrail, Measure
from mahavishnu.storage.memory.store import MemoryStore
from mahavishnu.testing.clock import BEGAN_US, ManualClock
from tests.history import executions

EXPERIMENT = Experiment(name="e", treatment=Change(policy="statistical"), task_types=frozenset({"etl"}))


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    found = MemoryStore(ManualClock())
    await found.open()
    yield found
    await found.close()


async def recorded(store: MemoryStore) -> None:
    """800 runs of etl in four days, nine of ten succeeded, and 80 of something else."""
    runs = executions(880, day_of(BEGAN_US) - 4, 4, seed=1)
    await store.record(
        [
            replace(
                run,
                task_type="rag" if number % 11 == 0 else "etl",
                status=Status.FAILED if number % 10 == 3 else Status.SUCCEEDED,
            )
            for number, run in enumerate(runs)
        ]
    )


async def test_traffic_is_of_the_task_types_that_take_part(store: MemoryStore):
    await recorded(store)
    clock = ManualClock()
    found = await traffic(store, clock, {"etl"})
    days = (BEGAN_US - (day_of(BEGAN_US) - 4) * 86_400_000_000) / 86_400_000_000
    assert found.a_day == pytest.approx(800 / days)
    assert found.success == pytest.approx(0.9, abs=0.01)
    everything = await traffic(store, clock, {"*"})
    assert everything.a_day == pytest.approx(880 / days)
    assert await traffic(store, clock, {"chat"}) == Traffic(a_day=0.0, success=None)


async def test_an_experiment_takes_as_long_as_its_part_of_the_traffic_needs(store: MemoryStore):
    await recorded(store)
    whole = await prospect_of(store, ManualClock(), EXPERIMENT)
    half = await prospect_of(store, ManualClock(), replace(EXPERIMENT, traffic=0.5))
    assert whole.watched == half.watched
    assert half.days(half.planned) == pytest.approx(2 * (whole.days(whole.planned) or 0))


async def test_without_any_runs_nobody_says_how_long_it_takes(store: MemoryStore):
    found = await prospect_of(store, ManualClock(), EXPERIMENT)
    assert (found.baseline, found.detect, found.a_day) == (0.9, 0.05, None)
    assert found.days(found.watched) is None


async def test_what_lies_within_the_margin_is_not_looked_for(store: MemoryStore):
    lenient = replace(EXPERIMENT, guardrails=(Guardrail(measure=Measure.SUCCESS, margin=0.02),))
    found = await prospect_of(store, ManualClock(), lenient)
    assert found.detect == pytest.approx(0.07)
    assert found.watched.treated > prospect(detect=0.07).watched.treated
    with pytest.raises(InvalidExperiment, match="below the baseline"):
        await prospect_of(store, ManualClock(), EXPERIMENT, detect=0.95)
    with pytest.raises(ValueError, match="larger than the margin"):
        prospect(detect=0.05, margin=0.05)
