"""Hints: the cheaper target that would do, and what that would save."""

import pytest

from mahavishnu.model import Scorecard
from mahavishnu.planning.hints import hints
from mahavishnu.stats.sketch import bucket_of


def card(name, rate, usd, ms, samples=2000, task_type="etl"):
    successes, micros = round(samples * rate), round(usd * 1e6)
    return Scorecard(
        target=name,
        task_type=task_type,
        samples=samples,
        squares=samples,
        successes=successes,
        cost_micros=samples * micros,
        cost_samples=samples,
        cost={bucket_of(micros * 0.9): samples / 2, bucket_of(micros * 1.1): samples / 2},
        latency_us=round(successes * ms * 1000),
        latency={bucket_of(ms * 0.9): successes / 2, bucket_of(ms * 1.1): successes / 2},
    )


GOLD = card("gold", 0.95, 0.05, 1000.0)
TRAFFIC = {("gold", "etl"): 120.0}


def test_dollars_saved_and_minutes_added_are_those_of_an_hours_runs():
    (hint,) = hints([GOLD, card("iron", 0.95, 0.02, 1300.0)], TRAFFIC)
    assert (hint.target, hint.instead_of) == ("iron", "gold")
    assert hint.saved_usd.value == pytest.approx(120 * 0.03)
    assert hint.saved_usd.lo < hint.saved_usd.value < hint.saved_usd.hi
    assert hint.added_minutes.value == pytest.approx(120 * 0.3 / 60)
    assert str(hint).startswith("etl: iron instead of gold saves $3.6 an hour (3.57 to 3.63); waiting +0.6 min (")


@pytest.mark.parametrize(
    "other",
    [
        card("dearer", 0.99, 0.06, 500.0),
        card("as dear", 0.95, 0.05, 1000.0),
        card("worse", 0.90, 0.02, 900.0),
        card("slow", 0.95, 0.02, 1600.0),
        card("hardly known", 0.95, 0.02, 1000.0, samples=99),
        card("of another kind", 0.95, 0.02, 1000.0, task_type="rag"),
    ],
    ids=lambda each: each.target,
)
def test_no_hint_for_a_target_that_is_not_surely_cheaper_or_would_not_do(other):
    assert hints([GOLD, other], TRAFFIC) == []


def test_of_several_the_one_that_saves_most_and_the_largest_savings_first():
    cards = [GOLD, card("iron", 0.95, 0.02, 1000.0), card("tin", 0.95, 0.01, 1000.0)]
    cards += [card("gold", 0.95, 0.05, 1000.0, task_type="rag"), card("tin", 0.95, 0.02, 1000.0, task_type="rag")]
    found = hints(cards, {("gold", "rag"): 1000.0, ("gold", "etl"): 10.0, ("iron", "etl"): 10.0})
    assert [(hint.task_type, hint.instead_of, hint.target) for hint in found] == [
        ("rag", "gold", "tin"),
        ("etl", "gold", "tin"),
        ("etl", "iron", "tin"),
    ]


def test_without_traffic_or_evidence_there_is_nothing_to_say():
    assert hints([GOLD, card("iron", 0.95, 0.02, 1000.0)], {}) == []
    assert hints([], TRAFFIC) == []
    assert hints([GOLD, Scorecard(target="new", task_type="etl")], TRAFFIC) == []
