"""What every policy must keep, for this one: it is pure, it ranks each candidate once, its probabilities are true."""

from dataclasses import replace
from random import Random

import pytest
from mahavishnu_thrifty import Thrifty

from mahavishnu.model import NO_EVIDENCE, Candidate, Ranking, Snapshot, Target, Task

TASK = Task(type="etl", text="x")


def candidate(name: str, cost_micros: float, success_hi: float) -> Candidate:
    seen = replace(NO_EVIDENCE, samples=50, rate=success_hi, wilson_hi=success_hi, mean_cost_micros=cost_micros)
    return Candidate(Target(name=name, adapter="local", run="m:f", task_types=frozenset({"etl"})), seen)


CANDIDATES = [candidate("dear", 9000, 0.99), candidate("cheap", 100, 0.95), candidate("broken", 1, 0.4)]


def rank(seed: int, policy: Thrifty | None = None) -> Ranking:
    return (policy or Thrifty()).rank(TASK, CANDIDATES, Snapshot(), 0, Random(seed))


def test_the_same_arguments_give_the_same_ranking() -> None:
    assert rank(7) == rank(7)


@pytest.mark.parametrize("seed", range(20))
def test_each_candidate_has_one_rank_and_the_probabilities_sum_to_one(seed: int) -> None:
    ranking = rank(seed)
    assert sorted(each.target.name for each in ranking.order) == ["broken", "cheap", "dear"]
    assert sum(each.probability for each in ranking.chain) == pytest.approx(1)


def test_a_probability_is_how_often_the_candidate_comes_first() -> None:
    """10,000 seeded draws: a standard error of 0.3 points at most, and a tolerance of five of them."""
    firsts = [rank(seed).first.target.name for seed in range(10_000)]
    for ranked in rank(0).chain:
        name = ranked.candidate.target.name
        assert firsts.count(name) / 10_000 == pytest.approx(ranked.probability, abs=0.015)


def test_the_cheapest_reliable_target_is_preferred() -> None:
    assert [each.target.name for each in rank(1, Thrifty(explore=0)).order] == ["cheap", "dear", "broken"]


def test_another_option_is_another_version() -> None:
    assert Thrifty(explore=0.2).version != Thrifty().version
