"""Simulated experiments: who is treated is drawn as written down, and what came of it arrives late, or never."""

from statistics import mean

import pytest

from mahavishnu.stats.difference import DifferenceBet
from mahavishnu.stats.ratio import RatioBet
from mahavishnu.testing.scenarios import Always, Drift, SimulatedTarget, Simulation, hear


def simulation(control=0.9, treatment=0.9, **options):
    arms = (SimulatedTarget(name=name, success=Always(rate)) for name, rate in (("old", control), ("new", treatment)))
    return Simulation(**dict(zip(("control", "treatment"), arms, strict=True)), **options)


def test_the_treatment_is_given_its_share_while_that_ramps():
    heard = list(hear(simulation(share=Drift(0.05, 0.5, begins=0, ends=8_000), tasks=8_000), seed=1))
    assert mean(each.treated for each in heard[:1_000]) == pytest.approx(0.08, abs=0.03)
    assert mean(each.treated for each in heard[-1_000:]) == pytest.approx(0.47, abs=0.05)
    ratio = RatioBet()
    for each in heard:
        ratio.add(each.treated, each.probability)
    assert ratio.e_value < 100


def test_each_arm_succeeds_by_its_own_law():
    heard = list(hear(simulation(0.95, 0.60, share=Always(0.5), tasks=4_000), seed=2))
    rates = {arm: mean(each.attempt.succeeded for each in heard if each.treated is arm) for arm in (True, False)}
    assert rates == {True: pytest.approx(0.60, abs=0.04), False: pytest.approx(0.95, abs=0.02)}


def test_late_outcomes_all_arrive_and_missing_ones_do_not():
    assert len(list(hear(simulation(tasks=2_000, mean_delay=300), seed=3))) == 2_000
    assert len(list(hear(simulation(tasks=2_000, missing=0.05), seed=3))) == pytest.approx(1_900, abs=40)


def test_a_simulation_is_the_same_whenever_it_is_heard_of():
    late = simulation(tasks=500, mean_delay=50)
    assert list(hear(late, seed=4)) == list(hear(late, seed=4)) != list(hear(late, seed=5))


def test_a_simulation_is_read_by_the_bets_as_it_comes_in():
    bet = DifferenceBet(margin=0.02)
    for each in hear(simulation(0.9, 0.7, tasks=6_000, mean_delay=100, missing=0.05), seed=6):
        bet.add(each.treated, float(each.attempt.succeeded), each.probability)
    low, high = bet.interval(0.05)
    assert bet.worse > 20
    assert low <= -0.2 <= high < -0.02
