"""Simulated targets, and what learning costs the policies on them: bar B6 in small."""

from random import Random
from statistics import mean

import pytest

from mahavishnu.policies.adaptive import Adaptive
from mahavishnu.policies.preference import Preference
from mahavishnu.testing.scenarios import Always, Drift, Scenario, SimulatedTarget, Step, play

ARMS = (0.95, 0.93, 0.90, 0.88, 0.85, 0.80, 0.75, 0.60)


def scenario(*laws, **options):
    laws = [law if callable(law) else Always(law) for law in laws]
    targets = [SimulatedTarget(name=f"t{place}", success=law) for place, law in enumerate(laws)]
    return Scenario(name="test", targets=targets, **options)


def regret(played, seeds):
    return mean(play(played, Adaptive(), seed).regret for seed in seeds)


def test_the_price_of_learning_is_bounded_when_nothing_changes():
    # The bar is 145 over 100 seeds; over two it is met with a fifth to spare in all but a few cases of a thousand.
    assert regret(scenario(*ARMS), range(2)) <= 145 * 1.2


def test_a_target_that_turns_bad_is_left():
    course = play(scenario(Step(0.95, 0.60, at=4_000), *ARMS[1:], tasks=8_000), Adaptive(), seed=1)
    assert course.share(0, since=6_500) < 0.1
    assert course.regret <= 320 * 1.2


def test_a_target_that_recovers_is_found_again():
    recovering = scenario(*ARMS[:6], Step(0.75, 0.98, at=3_000), ARMS[7], tasks=10_000)
    course = play(recovering, Adaptive(), seed=2)
    assert course.share(6, since=9_000) > 0.5
    stubborn = play(recovering, Adaptive(), seed=2, discount=1.0)
    assert course.regret < stubborn.regret


def test_late_and_missing_outcomes_cost_little():
    # The bar for the whole 20,000 tasks, with a tenth for the delay, kept although a fifth is never heard of.
    late = play(scenario(*ARMS, tasks=8_000, mean_delay=200, missing=0.2), Adaptive(), seed=1)
    assert late.regret < 145 * 1.1
    assert late.share(0, since=6_000) + late.share(1, since=6_000) > 0.6


@pytest.mark.parametrize("arms", [(0.92, 0.90, 0.85, 0.80, 0.70), tuple(0.96 - 0.03 * n for n in range(12))])
def test_other_targets_are_learnt_as_well(arms):
    course = play(scenario(*arms, tasks=6_000), Adaptive(), seed=3)
    assert course.share(0, since=4_000) + course.share(1, since=4_000) > 0.6


def test_a_fixed_order_pays_for_what_it_does_not_see():
    played = scenario(0.5, 0.9, tasks=1_000)
    assert play(played, Preference(order=("t0",)), seed=1).regret == pytest.approx(400)
    assert play(played, Preference(order=("t1",)), seed=1).regret == 0


def test_a_scenario_is_the_same_whenever_it_is_played():
    played = scenario(0.9, 0.8, tasks=300)
    assert play(played, Adaptive(), seed=1) == play(played, Adaptive(), seed=1)
    assert play(played, Adaptive(), seed=1) != play(played, Adaptive(), seed=2)


def test_a_target_follows_its_laws():
    target = SimulatedTarget(
        name="t", success=Drift(1.0, 0.0, begins=0, ends=1_000), latency_ms=Always(200.0), latency_sigma=0.5,
        cost_usd=Step(0.01, 0.05, at=500),
    )  # fmt: skip
    rng = Random(1)
    attempts = [target.attempt(number, rng) for number in range(1_000)]
    assert sum(each.succeeded for each in attempts[:100]) > 80 > 20 > sum(each.succeeded for each in attempts[900:])
    assert sorted(each.latency_ms for each in attempts)[500] == pytest.approx(200, rel=0.1)
    assert {each.cost_usd for each in attempts} == {0.01, 0.05}
