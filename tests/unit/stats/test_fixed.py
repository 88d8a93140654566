"""Fixed-horizon tests and the samples they need: the textbooks' figures, and the power that was promised."""

import numpy as np
import pytest
from scipy.stats import ttest_ind

from mahavishnu.stats.fixed import Sample, two_proportions, welch
from mahavishnu.stats.power import needed_for_rates, needed_for_times, power_of, usual_for_betting
from tests.bench.simulations import Simulation, assignment, found_after


def test_the_interval_is_newcombes():
    # His example (a): 56 of 70 against 48 of 80, method 10.
    found = two_proportions(56, 70, 48, 80)
    assert (found.difference, found.lo, found.hi) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)
    assert found.test == "two-proportion z test"


def test_welch_is_scipys():
    draws = np.random.default_rng(1)
    a, b = draws.normal(5.2, 1.0, 40), draws.normal(5.0, 0.5, 300)
    theirs = ttest_ind(a, b, equal_var=False)
    ours = welch(*(Sample(count=len(each), mean=each.mean(), variance=each.var(ddof=1)) for each in (a, b)))
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-9)
    assert (ours.lo, ours.hi) == pytest.approx(tuple(theirs.confidence_interval()), rel=1e-9)


def test_too_little_says_nothing():
    assert two_proportions(0, 0, 5, 10) is None
    assert welch(Sample(count=1, mean=1.0, variance=0.0), Sample(count=9, mean=1.0, variance=1.0)) is None
    assert welch(Sample(count=9, mean=1.0, variance=float("nan")), Sample(count=9, mean=1.0, variance=1.0)) is None


def test_two_constants_are_the_same_or_as_different_as_can_be():
    one, other = Sample(count=9, mean=1.0, variance=0.0), Sample(count=9, mean=2.0, variance=0.0)
    assert (welch(one, one).p, welch(one, other).p) == (1.0, 0.0)


def test_the_sample_for_five_points_at_a_tenth_of_the_traffic():
    need = needed_for_rates(baseline=0.9, detect=0.05, share=0.1, power=0.8)
    assert (need.treated, need.requests) == (432, 4317)
    assert need.days(20_000) == pytest.approx(0.216, abs=1e-3)


@pytest.mark.parametrize(("baseline", "detect", "share"), [(0.9, 0.05, 0.1), (0.8, 0.05, 0.3), (0.95, 0.03, 0.5)])
def test_the_sample_has_the_power_that_was_asked_for(baseline, detect, share):
    need = needed_for_rates(baseline=baseline, detect=detect, share=share)
    draws, control = np.random.default_rng(2), need.requests - need.treated
    worse = draws.binomial(need.treated, baseline - detect, 600)
    usual = draws.binomial(control, baseline, 600)
    found = [
        two_proportions(int(b), need.treated, int(a), control).p <= 0.05 for b, a in zip(worse, usual, strict=True)
    ]
    # 80 % and, by the pooled variance of the z test, a little more where the smaller arm is the worse one.
    assert 0.75 <= np.mean(found) <= 0.92


def test_times_have_the_power_that_was_asked_for():
    need = needed_for_times(sigma=1.0, factor=1.2, share=0.2)
    draws, found = np.random.default_rng(3), 0
    for _ in range(400):
        a, b = draws.normal(np.log(1.2), 1, need.treated), draws.normal(0, 1, need.requests - need.treated)
        samples = (Sample(count=len(each), mean=each.mean(), variance=each.var(ddof=1)) for each in (a, b))
        found += welch(*samples).p <= 0.05
    assert 0.74 <= found / 400 <= 0.86


@pytest.mark.parametrize(("baseline", "detect", "share"), [(0.9, 0.05, 0.1), (0.9, 0.10, 0.3), (0.8, 0.15, 0.1)])
def test_the_bet_takes_about_as_long_as_was_said(baseline, detect, share):
    need, found = usual_for_betting(baseline=baseline, detect=detect, share=share), []
    for run in range(150):
        simulation = Simulation(share=share, candidates=need.treated * 4)
        seen = simulation.rates(np.random.default_rng([4, run]), baseline, baseline - detect)
        found.append(found_after(assignment(*seen) >= 20, seen[0], 30))
    assert need.treated == pytest.approx(np.median(found), rel=0.25)


def test_what_no_bet_can_find_is_said():
    with pytest.raises(ValueError, match="larger"):
        usual_for_betting(baseline=0.9, detect=0.001)
    with pytest.raises(ValueError, match="must"):
        usual_for_betting(baseline=0.9, detect=0.0)


def test_less_to_be_found_more_power_and_a_smaller_share_need_more():
    usual = needed_for_rates(baseline=0.9, detect=0.05, share=0.1).requests
    assert needed_for_rates(baseline=0.9, detect=0.04, share=0.1).requests > usual
    assert needed_for_rates(baseline=0.9, detect=0.05, share=0.1, power=0.9).requests > usual
    assert needed_for_rates(baseline=0.9, detect=0.05, share=0.05).requests > usual
    assert needed_for_rates(baseline=0.9, detect=0.05, share=0.1, sides=1).requests < usual
    assert power_of(baseline=0.9, detect=0.05, requests=usual // 2, share=0.1) < 0.8


@pytest.mark.parametrize(
    "wrong",
    [
        {"detect": 0.0},
        {"detect": 0.95},
        {"baseline": 1.0},
        {"share": 0.0},
        {"share": 1.0},
        {"power": 1.0},
        {"alpha": 0.0},
    ],
)
def test_a_sample_for_the_impossible_is_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        needed_for_rates(**{"baseline": 0.9, "detect": 0.05, **wrong})
    with pytest.raises(ValueError, match="must"):
        needed_for_times(sigma=1.0, factor=1.0)
    with pytest.raises(ValueError, match="must"):
        needed_for_rates(baseline=0.9, detect=0.05).days(0)
