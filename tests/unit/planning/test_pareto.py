"""The Pareto frontier: worked by hand, and how sure it is."""

import pytest

from mahavishnu.model import Scorecard
from mahavishnu.planning.pareto import frontier
from mahavishnu.stats.sketch import bucket_of


def card(name, rate, micros, ms=100.0, samples=1000, *, quality=None, spread=1.0):
    """Half of the costs and latencies are `spread` times lower than the mean, in proportion; half are higher."""
    successes = round(samples * rate)
    low, high = 2 / (1 + spread), 2 * spread / (1 + spread)

    def counts(mean, number):
        if spread == 1.0:
            return {bucket_of(mean): number}
        return {bucket_of(mean * low): number / 2, bucket_of(mean * high): number / 2}

    return Scorecard(
        target=name,
        task_type="t",
        samples=samples,
        squares=samples,
        successes=successes,
        cost_micros=samples * micros,
        cost_samples=samples,
        cost=counts(micros, samples),
        latency_us=round(successes * ms * 1000),
        latency=counts(ms, successes),
        quality_ppm=0 if quality is None else round(samples * quality * 1e6),
        quality_samples=0 if quality is None else samples,
    )


def dominated(cards):
    return {each.target: each.dominated_by for each in frontier(cards)}


def probabilities(cards, **options):
    return {each.target: each.probability for each in frontier(cards, **options)}


def test_by_hand_five_targets_of_which_three_are_on_the_frontier():
    cards = [
        card("best", 0.99, 5000, 300.0),
        card("cheap", 0.80, 100, 300.0),
        card("fast", 0.90, 5000, 50.0),
        card("slower", 0.90, 5000, 60.0),
        card("bad", 0.70, 6000, 400.0),
    ]
    assert dominated(cards) == {
        "best": (),
        "cheap": (),
        "fast": (),
        "slower": ("fast",),
        "bad": ("best", "cheap", "fast", "slower"),
    }


def test_two_that_are_the_same_in_everything_do_not_dominate_each_other():
    assert dominated([card("a", 0.9, 100), card("b", 0.9, 100)]) == {"a": (), "b": ()}


def test_as_good_in_all_and_better_in_one_dominates():
    assert dominated([card("a", 0.9, 100), card("b", 0.9, 101)]) == {"a": (), "b": ("a",)}


def test_free_targets_stand_beside_dear_ones():
    found = frontier([card("free", 0.9, 0), card("free-too", 0.8, 0), card("dear", 0.95, 1000)])
    assert {each.target: each.dominated_by for each in found} == {"free": (), "free-too": ("free",), "dear": ()}
    assert {each.target: round(each.probability) for each in found} == {"free": 1, "free-too": 0, "dear": 1}


def test_one_alone_is_the_frontier_and_nobody_is_none():
    (alone,) = frontier([card("a", 0.5, 100)])
    assert (alone.dominated_by, alone.probability, alone.on_frontier) == ((), 1.0, True)
    assert frontier([]) == ()


def test_what_was_never_seen_or_never_succeeded_is_left_out():
    cards = [card("a", 0.9, 100), Scorecard(target="new", task_type="t"), card("failing", 0.0, 1)]
    assert dominated(cards) == {"a": ()}


def test_quality_counts_where_all_of_them_are_rated():
    rated = [card("a", 0.9, 100, quality=0.7), card("b", 0.9, 200, quality=0.9)]
    assert dominated(rated) == {"a": (), "b": ()}
    unrated = [card("a", 0.9, 100), card("b", 0.9, 200, quality=0.9)]
    assert dominated(unrated) == {"a": (), "b": ("a",)}


def test_more_evidence_makes_membership_surer():
    few, many = (
        probabilities([card("a", 0.9, 100, samples=size), card("b", 0.8, 110, 110.0, samples=size, spread=3.0)])["b"]
        for size in (10, 1000)
    )
    assert 0.3 < few < 0.9
    assert many < 0.15


def test_of_two_equals_at_the_same_cost_and_speed_each_is_better_half_of_the_time():
    found = probabilities([card("a", 0.9, 100), card("b", 0.9, 100)], draws=20_000)
    # The rest is spread alike over cost and latency: none has any, so only success is drawn.
    assert found == {"a": pytest.approx(0.5, abs=0.02), "b": pytest.approx(0.5, abs=0.02)}


def test_the_probability_of_a_cost_being_lower_is_that_of_the_normal_distribution():
    # Same success (of so many that it hardly varies) would tie; so the dearer one is better there for sure.
    cards = [card("a", 0.99, 100, samples=400, spread=3.0), card("b", 0.5, 104, samples=400, spread=3.0)]
    # log mean ± s/(m·√399) each, s/m = (3 - 1)/(3 + 1): the difference of logs 0.0392 over 0.0354 is 1.108 sigma. b is
    # undominated when it is cheaper, or faster, which is as uncertain around the same mean: 1 - 0.866 · 0.5.
    assert probabilities(cards, draws=40_000)["b"] == pytest.approx(1 - 0.866 * 0.5, abs=0.015)


def test_the_seed_decides():
    cards = [card("a", 0.9, 100, samples=30), card("b", 0.88, 101, samples=30)]
    assert frontier(cards, seed=3) == frontier(cards, seed=3)
    assert frontier(cards, seed=3) != frontier(cards, seed=4)


def test_many_targets_are_drawn_in_parts():
    cards = [card(f"t{n}", 0.5 + n / 1000, 100 + n) for n in range(120)]
    assert len(frontier(cards, draws=300)) == 120
