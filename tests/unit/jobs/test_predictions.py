"""What the evidence of four weeks says of the fifth, which nobody has seen: success, latency and cost."""

import statistics
from random import Random

import pytest

from mahavishnu.jobs.scores import fold
from mahavishnu.model import Execution, Status
from mahavishnu.model.scorecard import DAY_US
from mahavishnu.settings import EvidenceSettings
from mahavishnu.stats.evidence import estimate
from mahavishnu.storage import open_store
from mahavishnu.testing.clock import ManualClock
from mahavishnu.testing.scenarios import Always, Drift, SimulatedTarget

A_DAY, WEEKS = 150, 5
TASKS = A_DAY * 7 * WEEKS

TARGETS = [
    SimulatedTarget(
        name="steady",
        success=Always(0.97),
        latency_ms=Always(120.0),
        latency_sigma=0.4,
        cost_usd=Always(0.002),
        cost_sigma=0.5,
    ),
    SimulatedTarget(
        name="ageing",
        success=Drift(0.95, 0.90, begins=0, ends=TASKS),
        latency_ms=Drift(400.0, 440.0, begins=0, ends=TASKS),
        latency_sigma=0.3,
        cost_usd=Drift(0.010, 0.011, begins=0, ends=TASKS),
        cost_sigma=0.3,
    ),
    SimulatedTarget(
        name="poor", success=Always(0.70), latency_ms=Always(15.0), latency_sigma=0.6, cost_usd=Always(0.0005)
    ),
]


def executed(clock, target, number, rng):
    made = target.attempt(number, rng)
    return Execution(
        id=clock.new_id(),
        decision_id=clock.new_id(),
        process_id="p",
        target=target.name,
        adapter="simulated",
        task_type="t",
        attempt=1,
        fallback=False,
        randomised=True,
        status=Status.SUCCEEDED if made.succeeded else Status.FAILED,
        started_at_us=clock.now_us(),
        ended_at_us=clock.now_us(),
        latency_us=int(made.latency_ms * 1000),
        cost_micros=int(made.cost_usd * 1e6),
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_week_that_was_held_back_is_predicted_within_a_tenth(seed):
    clock, rng = ManualClock(seed=seed), Random(seed)
    store = open_store("memory:", clock)
    await store.open()
    weeks = []
    for number in range(TASKS):
        if number % A_DAY == 0 and number:
            clock.advance(DAY_US / 1e6)
        weeks.append([executed(clock, each, number, rng) for each in TARGETS])
    seen, held_back = weeks[: 4 * 7 * A_DAY], weeks[4 * 7 * A_DAY :]
    known = ManualClock()
    known.advance((seen[-1][0].started_at_us - known.now_us()) / 1e6)
    await store.record([each for row in seen for each in row])
    snapshot = (await fold(store, known, EvidenceSettings())).after
    await store.close()
    for place, target in enumerate(TARGETS):
        came = [row[place] for row in held_back]
        good = [each for each in came if each.status is Status.SUCCEEDED]
        predicted = estimate(snapshot.scorecards[target.name, "t"])
        assert predicted.rate == pytest.approx(len(good) / len(came), rel=0.1)
        assert predicted.p50_ms == pytest.approx(statistics.median(each.latency_ms for each in good), rel=0.1)
        assert predicted.p95_ms == pytest.approx(
            statistics.quantiles([each.latency_ms for each in good], n=20)[-1], rel=0.1
        )
        assert predicted.mean_cost_micros == pytest.approx(statistics.mean(each.cost_micros for each in came), rel=0.1)
