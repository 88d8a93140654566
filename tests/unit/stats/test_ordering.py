"""Preference orders move for a reason, and only for one."""

import math
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng

from mahavishnu.stats.ordering import LatencyTest, Showing, reorder
from mahavishnu.stats.sketch import bucket_of

NAMES = ("a", "b", "c", "d", "e")


def shown(successes, samples, latency=None, score=None, trusted=True):
    rate = successes / samples
    return Showing(samples=samples, rate=rate, score=rate if score is None else score, trusted=trusted,
                   latency=latency or {})  # fmt: skip


def latencies(center, count, sigma=0.4, seed=1):
    random = Random(seed)
    return Counter(bucket_of(random.lognormvariate(math.log(center), sigma)) for _ in range(count))


SHOWINGS = st.builds(
    Showing,
    samples=st.floats(0, 5000) | st.just(math.nan),
    rate=st.none() | st.floats(0, 1) | st.just(math.nan),
    score=st.none() | st.floats(0, 1),
    trusted=st.booleans(),
    latency=st.dictionaries(st.integers(200, 260), st.floats(-1, 500), max_size=4),
)
ORDERS = st.lists(st.sampled_from([*NAMES, "gone"]), unique=True)


@given(ORDERS, st.permutations(NAMES), st.dictionaries(st.sampled_from(NAMES), SHOWINGS))
def test_the_order_is_always_one_of_the_targets_that_there_are_and_always_the_same_one(previous, default, showings):
    made = reorder(previous, default, showings)
    assert sorted(made.order) == sorted(NAMES)
    assert made == reorder(previous, default, dict(reversed(showings.items())))


@given(ORDERS, st.permutations(NAMES), st.dictionaries(st.sampled_from(NAMES), SHOWINGS))
def test_who_is_not_trusted_stands_at_its_default_place(previous, default, showings):
    made = reorder(previous, default, showings)
    for place, name in enumerate(default):
        if name not in showings or not showings[name].counts:
            assert made.order[place] == name


@given(st.permutations(NAMES), st.permutations(NAMES), st.dictionaries(st.sampled_from(NAMES), SHOWINGS))
def test_a_second_time_on_the_same_evidence_nothing_moves(previous, default, showings):
    settled = reorder(previous, default, showings).order
    again = reorder(settled, default, showings)
    assert (again.order, again.swaps) == (settled, ())


@given(st.permutations(NAMES), st.permutations(NAMES), st.integers(101, 400))
def test_without_significance_nothing_moves(previous, default, samples):
    # Scores differ, as they always do; the evidence behind them does not.
    showings = {name: shown(samples - 1, samples, {230: samples}, score=place) for place, name in enumerate(NAMES)}
    made = reorder(previous, default, showings)
    assert (made.order, made.swaps) == (tuple(previous), ())


def test_a_higher_success_rate_moves_a_target_up_and_the_sentence_says_why():
    made = reorder(["prefect", "agno"], ["prefect", "agno"], {"prefect": shown(692, 744), "agno": shown(788, 812)})
    assert made.order == ("agno", "prefect")
    assert [str(each) for each in made.swaps] == [
        "agno moves before prefect: 97.0 % of 812 against 93.0 % of 744, p = 0.0005"
    ]


@pytest.mark.parametrize("test", LatencyTest)
def test_where_success_does_not_differ_the_faster_one_moves_up(test):
    slow = shown(190, 200, latencies(900, 190), score=0.8)
    fast = shown(189, 200, latencies(400, 189), score=0.9)
    made = reorder(["slow", "fast"], ["slow", "fast"], {"slow": slow, "fast": fast}, latency_test=test)
    assert made.order == ("fast", "slow")
    assert "where success does not differ" in made.swaps[0].why
    assert "p < 0.0001" in made.swaps[0].why


def test_the_faster_one_does_not_pass_where_its_successes_are_fewer_for_certain():
    sure = shown(990, 1000, latencies(900, 990), score=0.8)
    fast = shown(900, 1000, latencies(400, 900), score=0.9)
    assert reorder(["sure", "fast"], ["sure", "fast"], {"sure": sure, "fast": fast}).swaps == ()


def test_what_the_score_does_not_prefer_stays_however_certain_the_difference():
    sure = shown(990, 1000, score=0.8)
    fast = shown(900, 1000, score=0.9)
    assert reorder(["fast", "sure"], ["fast", "sure"], {"sure": sure, "fast": fast}).order == ("fast", "sure")


def test_the_best_of_many_goes_all_the_way_up():
    showings = {name: shown(3600 + 100 * place, 4000) for place, name in enumerate(NAMES[:4])}
    made = reorder(NAMES[:4], NAMES[:4], showings)
    assert made.order == ("d", "c", "b", "a")
    assert len(made.swaps) == 6


def test_a_new_target_enters_at_its_default_place_and_one_that_is_gone_leaves():
    showings = {"a": shown(900, 1000), "c": shown(990, 1000)}
    made = reorder(["c", "gone", "a"], ["a", "new", "c"], showings)
    assert made.order == ("c", "new", "a")
    assert made.swaps == ()


def test_the_first_order_begins_from_the_default_one():
    assert reorder([], NAMES, {}).order == NAMES


@pytest.mark.parametrize("calls", [200, pytest.param(800, marks=pytest.mark.soak)])
@pytest.mark.parametrize("targets", [2, 6])
def test_equals_are_swapped_no_more_often_than_alpha(targets, calls):
    # So many calls on targets that are the same in everything, and three standard errors of 5 %: 2.3 points over 800.
    draws = default_rng(5)
    names = [f"t{number}" for number in range(targets)]
    false = 0
    for _ in range(calls):
        showings = {}
        for name in names:
            wins = int(draws.binomial(300, 0.9))
            buckets = Counter((draws.standard_normal(wins) * 30 + 300).round().astype(int).tolist())
            showings[name] = shown(wins, 300, buckets, score=float(draws.random()))
        false += bool(reorder(names, names, showings).swaps)
    assert false / calls <= 0.05 + 3 * (0.05 * 0.95 / calls) ** 0.5
