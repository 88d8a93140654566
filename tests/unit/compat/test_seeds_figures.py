"""The figures that the adaptive router's seed names: each test fails when its figure is another one."""

from dataclasses import replace
from datetime import UTC, datetime
from math import pi, tan
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.engine.running.attempts import next_step
from mahavishnu.errors import Transient
from mahavishnu.jobs.monitoring.rules import Watcher
from mahavishnu.jobs.monitoring.state import Block, Cost, History, Level, State, Track
from mahavishnu.jobs.schedule import JOBS
from mahavishnu.model import NO_EVIDENCE, Candidate, Snapshot, Target, Task
from mahavishnu.model.alert import AlertKind, Severity
from mahavishnu.model.experiment import Change, Experiment
from mahavishnu.model.objective import Objective, objective_of
from mahavishnu.policies.adaptive import Adaptive
from mahavishnu.policies.statistical import Statistical
from mahavishnu.settings import AlertSettings, AttemptSettings, LakeSettings
from mahavishnu.stats.intervals import wilson
from mahavishnu.stats.scoring import Scoring

HALF_WAY_MS = 1000.0
"""Half of the speed, by the logarithm, between the fastest and the slowest that are told apart."""


def sooner(by):
    """The median of a target whose speed scores so much above the half, by the arc tangent of the logarithm."""
    return HALF_WAY_MS * 10 ** (-tan(by * pi) * 2 / pi)


def seen(successes, samples=1000, p50_ms=HALF_WAY_MS, cost_usd=0.0):
    lo, hi = wilson(successes, samples)
    return replace(
        NO_EVIDENCE,
        samples=samples,
        effective=samples,
        successes=successes,
        rate=successes / samples,
        wilson_lo=lo,
        wilson_hi=hi,
        p50_ms=p50_ms,
        mean_cost_micros=cost_usd * 1e6,
    )


def candidate(name, evidence, place=0):
    return Candidate(Target(name=name, adapter="local", run="m:f", task_types={"etl"}, place=place), evidence)


# -- scores ------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 1000), st.floats(100, 10_000))
def test_a_score_is_seven_tenths_success_and_three_tenths_speed(successes, p50_ms):
    speed = Scoring().speed(seen(successes, p50_ms=p50_ms))
    assert Scoring().score(seen(successes, p50_ms=p50_ms)) == pytest.approx(0.7 * successes / 1000 + 0.3 * speed)
    assert Scoring().score(seen(successes)) == pytest.approx(0.7 * successes / 1000 + 0.3 * 0.5)


def test_the_weights_decide_which_of_two_targets_goes_first():
    # 0.7 · 0.06 = 0.042 of success against 0.3 · 0.15 = 0.045 of speed, and 0.3 · 0.135 = 0.0405.
    surer = candidate("surer", seen(96_000, 100_000))
    faster = candidate("faster", seen(90_000, 100_000, p50_ms=sooner(0.15)), place=1)
    hardly = candidate("faster", seen(90_000, 100_000, p50_ms=sooner(0.135)), place=1)
    policy = Statistical(exploration=0.0)
    task = Task(type="etl", text="x")
    assert policy.rank(task, [surer, faster], Snapshot(), 0, Random(0)).first.target.name == "faster"
    assert policy.rank(task, [surer, hardly], Snapshot(), 0, Random(0)).first.target.name == "surer"


@pytest.mark.parametrize(
    ("word", "most"), [("interactive", "latency"), ("batch", "cost"), ("critical", "success"), ("weighted", "success")]
)
def test_the_seeds_strategies_weigh_most_what_they_are_for(word, most):
    weights = objective_of(word).weights
    assert max(weights, key=weights.__getitem__) == most


def test_the_weighted_objective_is_six_tenths_success_and_four_tenths_cost_or_as_it_is_set():
    assert objective_of("weighted").weights == {"success": 0.6, "cost": 0.4, "latency": 0.0, "quality": 0.0}
    weighed = Scoring().good_at(objective_of("weighted"))
    # $0.01 is half way, by the logarithm, from $0.0001 to $1.
    assert weighed.score(seen(900, cost_usd=0.01)) == pytest.approx(0.6 * 0.9 + 0.4 * 0.5)
    own = Scoring().good_at(objective_of({"success": 1, "cost": 3}))
    assert own.score(seen(900, cost_usd=0.01)) == pytest.approx(0.25 * 0.9 + 0.75 * 0.5)


@given(
    st.builds(
        Objective, success=st.floats(0.01, 10), cost=st.floats(0, 10), latency=st.floats(0, 10), quality=st.just(0.0)
    ),
    st.booleans(),
)
def test_a_target_that_is_better_in_everything_is_preferred_by_every_weighing(objective, first):
    better = candidate("better", seen(980, p50_ms=400.0, cost_usd=0.002), place=0 if first else 1)
    worse = candidate("worse", seen(900, p50_ms=2000.0, cost_usd=0.02), place=1 if first else 0)
    ranking = Statistical(exploration=0.0).rank(
        Task(type="etl", text="x", objective=objective), [worse, better], Snapshot(), 0, Random(0)
    )
    assert [link.candidate.target.name for link in ranking.chain] == ["better", "worse"]


def test_of_two_that_score_the_same_the_default_place_and_then_the_name_decides_whichever_comes_first():
    policy, task = Statistical(exploration=0.0), Task(type="etl", text="x")
    later = [candidate("a", seen(900), place=1), candidate("c", seen(900)), candidate("b", seen(900))]
    for pool in (later, later[::-1]):
        ranking = policy.rank(task, pool, Snapshot(), 0, Random(0))
        assert [link.candidate.target.name for link in ranking.chain] == ["b", "c", "a"]


def test_of_two_that_score_the_same_the_one_that_is_surer_to_succeed_goes_before_the_default_place():
    policy, by_speed = Statistical(exploration=0.0), Task(type="etl", text="x", objective=Objective(latency=1))
    surer, other = candidate("z", seen(950), place=1), candidate("a", seen(900))
    for pool in ([surer, other], [other, surer]):
        ranking = policy.rank(by_speed, pool, Snapshot(), 0, Random(0))
        assert [link.candidate.target.name for link in ranking.chain] == ["z", "a"]
    assert ranking.chain[0].components["score_lo"] == ranking.chain[1].components["score_lo"]


def test_where_it_is_wanted_the_draw_is_spread_fairly_over_those_that_are_as_good():
    equals = [candidate(name, seen(900, p50_ms=HALF_WAY_MS)) for name in "abc"]
    ranking = Adaptive().rank(Task(type="etl", text="x"), equals, Snapshot(), 0, Random(0))
    assert [link.probability for link in ranking.chain] == pytest.approx([1 / 3] * 3, abs=0.02)


# -- times -------------------------------------------------------------------------------------------------------------


def test_a_recalculation_is_due_on_sundays_at_three_utc_and_on_no_other_day():
    from mahavishnu.jobs.cron import due_at_us

    for day in range(22, 29):
        now = datetime(2026, 11, day, 3, 0, tzinfo=UTC)
        due = due_at_us(JOBS["recalculate"].cron, int(now.timestamp()) * 1_000_000)
        assert datetime.fromtimestamp(due / 1e6, UTC) == datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
    assert datetime(2026, 11, 22, tzinfo=UTC).strftime("%A") == "Sunday"


def test_raw_facts_are_kept_ninety_days_and_sums_a_year():
    keeping = LakeSettings().keeping
    assert (keeping.raw_days, keeping.aggregate_days) == (90, 365)


def test_a_tenth_of_what_is_frequent_is_kept_whole_and_the_share_of_any_task_type_can_be_set():
    keeping = LakeSettings(rates={"etl": 0.5}).keeping
    assert (keeping.frequent_rate, keeping.rates) == (0.1, {"etl": 0.5})


def test_a_wait_doubles_with_every_try_up_to_its_bound():
    class Longest(Random):
        def uniform(self, a, b):
            return b

    rules = AttemptSettings(retries=10, backoff_ms=100, backoff_max_ms=1000)
    waits = [
        next_step(
            Transient("busy"), tries=tries, task=Task(type="t", text="x"), remaining_s=60, rules=rules, rng=Longest()
        )
        for tries in range(1, 6)
    ]
    assert [step.wait_s for step in waits] == [0.1, 0.2, 0.4, 0.8, 1.0]


# -- experiments -------------------------------------------------------------------------------------------------------


def test_an_experiment_has_a_tenth_of_the_tasks_where_nothing_else_is_said():
    assert Experiment(name="e", treatment=Change(policy="statistical")).share == 0.1


# -- alerts ------------------------------------------------------------------------------------------------------------


def alarmed(**state):
    (finding,) = Watcher(State(**state), AlertSettings()).alarmed()
    return finding


@pytest.mark.parametrize(("failures", "severity"), [(200, Severity.WARNING), (201, Severity.CRITICAL)])
def test_a_degraded_adapter_is_critical_below_eighty_percent(failures, severity):
    track = Track(alarmed=True, samples=1000, hits=failures)
    finding = alarmed(failures={"etl": {"a": track}})
    assert (finding.condition.kind, finding.severity) == (AlertKind.DEGRADATION, severity)


@pytest.mark.parametrize(("mean", "severity"), [(5_999, Severity.WARNING), (6_000, Severity.CRITICAL)])
def test_costs_are_critical_from_three_times_the_average_before(mean, severity):
    level = Level(track=Track(alarmed=True, samples=100, hits=100), micros=100 * mean)
    history = History(newer=Block(samples=500, micros=500 * 2_000))
    finding = alarmed(costs={"etl": {"a": Cost(middle=level, history=history)}})
    assert (finding.condition.kind, finding.severity) == (AlertKind.COST_SPIKE, severity)
