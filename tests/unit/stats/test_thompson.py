"""Beliefs and chances: what is learnt, how it fades, and how likely each is to be drawn."""

import math
from dataclasses import dataclass
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.stats.chances import chances
from mahavishnu.stats.columns import FEW
from mahavishnu.stats.draws import beta_draws
from mahavishnu.stats.thompson import Beliefs
from tests.examples import examples


@dataclass
class Seen:
    samples: float
    successes: float
    effective: float | None = None

    def __post_init__(self):
        self.effective = self.samples if self.effective is None else self.effective


def counts(beliefs, *names):
    successes, failures = beliefs.counts(beliefs.where(names))
    return [(pytest.approx(s), pytest.approx(f)) for s, f in zip(successes, failures, strict=True)]


def test_every_sample_weighs_less_with_every_one_after_it_whoever_it_was_of():
    beliefs = Beliefs(discount=0.9)
    totals = {"a": [0, 0], "b": [0, 0]}
    expected = {"a": [0.0, 0.0], "b": [0.0, 0.0]}
    rng = Random(1)
    for _ in range(200):
        name, succeeded = rng.choice("ab"), rng.random() < 0.7
        totals[name][0] += 1
        totals[name][1] += succeeded
        for each in expected.values():
            each[:] = [0.9 * count for count in each]
        expected[name][not succeeded] += 1
        beliefs.follow({name: Seen(*totals[name])})
    assert [tuple(expected["a"]), tuple(expected["b"])] == counts(beliefs, "a", "b")


def test_a_batch_without_order_weighs_as_much_as_one_with():
    together, apart = Beliefs(discount=0.99), Beliefs(discount=0.99)
    together.follow({"a": Seen(500, 400)})
    for number in range(1, 501):
        apart.follow({"a": Seen(number, number * 0.8)})
    assert counts(together, "a") == [tuple(apart.counts(apart.where(["a"]))[side][0] for side in (0, 1))]


def test_however_much_was_published_the_beliefs_stay_able_to_change():
    beliefs = Beliefs(discount=0.9998)
    beliefs.follow({"a": Seen(3_000_000, 2_850_000), "b": Seen(1_000_000, 500_000)})
    (a, b) = counts(beliefs, "a", "b")
    assert a == (3750 * 0.95, 3750 * 0.05)
    assert b == (625, 625)


def test_what_was_decayed_before_it_came_here_counts_for_kishs_n():
    beliefs = Beliefs(discount=1.0)
    beliefs.follow({"a": Seen(50.0, 40.0, effective=90.0)})
    assert counts(beliefs, "a") == [(72.0, 18.0)]


def test_a_correction_moves_a_sample_to_the_other_side_and_discounts_nobody():
    beliefs = Beliefs(discount=0.5)
    beliefs.follow({"a": Seen(1, 1), "b": Seen(0, 0)})
    beliefs.follow({"b": Seen(1, 1)})
    beliefs.follow({"b": Seen(1, 0)})
    assert counts(beliefs, "a", "b") == [(0.5, 0.0), (0.0, 1.0)]
    beliefs.follow({"a": Seen(1, 0)})
    assert counts(beliefs, "a") == [(0.0, 0.5)]


def test_a_day_that_passes_takes_away_in_proportion():
    beliefs = Beliefs(discount=1.0)
    beliefs.follow({"a": Seen(100, 90)})
    beliefs.follow({"a": Seen(80.0, 72.0, effective=99.0)})
    assert counts(beliefs, "a") == [(72, 8)]
    beliefs.follow({"a": Seen(81.0, 73.0)})
    assert counts(beliefs, "a") == [(73, 8)]


def test_a_hundred_thousand_outcomes_keep_their_meaning_when_the_unit_shrinks_away():
    beliefs = Beliefs(discount=0.5)
    for number in range(1, 2_001):
        beliefs.follow({"a": Seen(number, number)})
    ((successes, _),) = counts(beliefs, "a")
    assert successes == 2.0


COUNTS = st.one_of(
    st.floats(-1e300, 1e300), st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 1.0, 1e15]), st.integers(-5, 500)
)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), COUNTS, COUNTS, COUNTS), max_size=30), st.sampled_from([0.5, 0.9998, 1])
)
def test_no_totals_whatever_make_a_belief_anything_but_two_finite_counts(moves, discount):
    beliefs = Beliefs(discount)
    beliefs.follow({name: Seen(0, 0) for name in "abc"})
    for name, samples, successes, effective in moves:
        beliefs.follow({name: Seen(samples, successes, effective)})
    for column in beliefs.counts(beliefs.where("abc")):
        assert all(math.isfinite(count) and count >= 0 for count in column)
    # And it goes on learning: enough of one kind, and that is what is believed.
    for step in range(1, 4):
        beliefs.follow({"a": Seen(1e9, step * 1e8)})
    beliefs.follow({"a": Seen(0, 0)})
    beliefs.follow({"a": Seen(100, 100)})
    ((successes, *_), (failures, *_)) = beliefs.counts(beliefs.where("abc"))
    assert successes > failures


def test_few_and_many_see_the_same_counts():
    names = [f"t{number}" for number in range(FEW + 5)]
    beliefs = Beliefs()
    beliefs.follow({name: Seen(100 + place, 50 + place) for place, name in enumerate(names)})
    few = beliefs.counts(beliefs.where(names[3:8]))
    for many in (beliefs.counts(beliefs.where(names)), beliefs.counts(beliefs.where(names[::-1]))):
        assert sorted(many[0])[3:8] == few[0]
    assert list(beliefs.counts(beliefs.where(names))[1][3:8]) == few[1]


def test_a_discount_that_is_none_is_refused():
    for nonsense in (0.0, -1.0, 1.01, math.nan):
        with pytest.raises(ValueError, match="discount"):
            Beliefs(nonsense)


# -- chances -----------------------------------------------------------------------------------------------------------


def by_simulation(base, weight, alpha, beta, draws=400_000, seed=5):
    rng = np.random.default_rng(seed)
    won = np.argmax(
        np.asarray(base)[:, None] + weight * rng.beta(np.c_[alpha], np.c_[beta], (len(base), draws)), axis=0
    )
    return np.bincount(won, minlength=len(base)) / draws


CASES = {
    "close": ([0.3] * 4, [480, 96, 12, 3], [21, 5, 2, 1]),
    "nothing known": ([0.0] * 8, [1] * 8, [1] * 8),
    "only successes, bases apart": ([0.0, 0.01, 0.02], [28, 27, 6], [1, 1, 1]),
    "sharp and blunt": ([0.0, 0.1, 0.25], [4700, 1, 300], [300, 1, 200]),
    "one that always fails": ([0.3, 0.3], [1, 50], [400, 3]),
}


@pytest.mark.parametrize("case", CASES)
def test_chances_are_the_frequencies(case):
    base, alpha, beta = CASES[case]
    found = chances(np.array(base), 0.7, np.array(alpha, float), np.array(beta, float))
    frequencies = by_simulation(base, 0.7, alpha, beta)
    # Four standard errors of 400,000 trials, and what the quadrature is allowed.
    assert np.abs(found - frequencies).max() < 4 * 0.5 / math.sqrt(400_000) + 3e-4
    assert found.sum() == pytest.approx(1)


@examples(50)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(1, 1e9), st.floats(1, 1e9)), min_size=1, max_size=40),
    st.sampled_from([0.0, 0.01, 0.7, 5.0]),
)
def test_chances_are_probabilities_that_sum_to_one(candidates, weight):
    base, alpha, beta = np.array(candidates).T
    found = chances(base, weight, alpha, beta)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert found.sum() == pytest.approx(1)


def test_draws_have_the_mean_of_their_distributions_and_follow_their_seed():
    alpha, beta = np.array([8.0, 1.0, 300.0]), np.array([2.0, 9.0, 100.0])
    rng = Random(3)
    drawn = np.array([beta_draws(alpha, beta, rng) for _ in range(4000)])
    assert drawn.mean(axis=0) == pytest.approx([0.8, 0.1, 0.75], abs=0.01)
    assert (beta_draws(alpha, beta, Random(9)) == beta_draws(alpha, beta, Random(9))).all()
    assert (beta_draws(alpha, beta, Random(9)) != beta_draws(alpha, beta, Random(10))).any()
