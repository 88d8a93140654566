"""Simulations: what they count is what the product's own bets would have done, outcome by outcome."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from mahavishnu.errors import InvalidExperiment
from mahavishnu.jobs.experiments.simulation import Scenario, _run, simulate
from mahavishnu.stats.difference import DifferenceBet
from mahavishnu.stats.paths import Arrivals


def by_the_product(scenario: Scenario, seed: int, run: int) -> float:
    """After how many treated outcomes the product rolls it back."""
    arrivals = Arrivals(share=scenario.share, candidates=scenario.candidates, delay=scenario.delay)
    draws = np.random.default_rng([seed, run])
    seen = arrivals.rates(draws, scenario.baseline, scenario.baseline + scenario.effect)
    bet = DifferenceBet(scenario.margin)
    for treated, succeeded, share in zip(*seen, strict=True):
        bet.add(bool(treated), float(succeeded), float(share))
        if bet.treated >= scenario.min_evidence and bet.worse >= 1 / scenario.alpha:
            return float(bet.treated)
    return inf


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(effect=-0.2, share=0.3, candidates=300, min_evidence=30),
        Scenario(effect=-0.2, share=0.3, candidates=300, min_evidence=30, margin=0.05, delay=40.0),
        Scenario(effect=-0.5, share=0.5, candidates=120, min_evidence=100),
    ],
)
def test_a_simulated_run_stops_where_the_product_stops(scenario: Scenario):
    expected = [by_the_product(scenario, 1, run) for run in range(6)]
    assert [_run(scenario, 1, run) for run in range(6)] == expected
    assert any(each < inf for each in expected)


def test_harm_is_found_and_what_is_equal_stays():
    harmful = simulate(Scenario(effect=-0.15, candidates=1_000), runs=40, seed=2)
    assert harmful.rolled_back == 40
    assert harmful.median is not None
    assert harmful.p90 is not None
    assert 100 <= harmful.median <= harmful.p90 < 400
    equal = simulate(Scenario(effect=0.0, candidates=1_000), runs=60, seed=2)
    # 5 % are allowed; more than 9 of 60 would come in one case of 500.
    assert equal.rolled_back <= 9
    assert (equal.median, equal.p90) == (None, None)
    assert equal.lo <= equal.rate <= equal.hi
    assert not equal.scenario.harmful


def test_the_same_seed_draws_the_same_and_says_how_far_it_is():
    told: list[int] = []
    scenario = Scenario(effect=-0.1, candidates=300)
    first = simulate(scenario, runs=8, seed=3, progress=told.append)
    assert told == list(range(1, 9))
    assert simulate(scenario, runs=8, seed=3) == first


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"baseline": 1.0}, "the baseline must lie"),
        ({"effect": 0.5}, "together must lie between 0 and 1"),
        ({"share": 0.0}, "the share must lie"),
        ({"margin": 0.5}, "the margin must lie"),
        ({"alpha": 0.7}, "alpha must lie"),
        ({"missing": 1.0}, "missing must lie"),
        ({"delay": float("nan")}, "the delay must be"),
        ({"min_evidence": 0}, "1 or more outcomes"),
        ({"candidates": 10}, "at least as many candidates"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(wrong: dict[str, float], words: str):
    with pytest.raises(InvalidExperiment, match=words):
        Scenario(**wrong)


def test_it_is_drawn_at_least_once():
    with pytest.raises(InvalidExperiment, match="1 to 100000 times"):
        simulate(Scenario(), runs=0)
