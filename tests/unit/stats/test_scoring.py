"""Scores keep order: the faster and the cheaper of two targets scores higher, at every scale."""

from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st

from mahavishnu.model import NO_EVIDENCE
from mahavishnu.model.objective import objective_of
from mahavishnu.stats.scoring import Scoring
from tests.examples import examples

FACTORS = st.floats(1.01, 1000.0)


@given(st.floats(1e-4, 1e10), FACTORS)
@example(3.0, 20.0)
@example(0.01, 1.01)
@example(9_999.0, 1.01)
@examples(60)
def test_the_faster_of_two_targets_has_the_higher_speed_at_every_scale(ms, factor):
    fast, slow = replace(NO_EVIDENCE, p50_ms=ms), replace(NO_EVIDENCE, p50_ms=ms * factor)
    assert 1 > Scoring().speed(fast) > Scoring().speed(slow) > 0


@given(st.floats(1e-3, 1e12), FACTORS)
@example(1.0, 20.0)
@examples(60)
def test_the_cheaper_of_two_targets_is_the_cheaper_at_every_scale_and_free_is_the_cheapest(micros, factor):
    cheap, dear = replace(NO_EVIDENCE, mean_cost_micros=micros), replace(NO_EVIDENCE, mean_cost_micros=micros * factor)
    free = replace(NO_EVIDENCE, mean_cost_micros=0.0)
    assert 1 == Scoring().cheapness(free) > Scoring().cheapness(cheap) > Scoring().cheapness(dear) > 0


def test_the_scale_is_even_around_its_middle():
    speeds = [Scoring().speed(replace(NO_EVIDENCE, p50_ms=ms)) for ms in (100.0, 1_000.0, 10_000.0)]
    assert [round(speed, 3) for speed in speeds] == [0.82, 0.5, 0.18]


def test_interactive_tells_60_ms_from_3_ms():
    weighed = Scoring().good_at(objective_of("interactive"))
    fast, slow = (replace(NO_EVIDENCE, rate=1.0, p50_ms=ms) for ms in (3.0, 60.0))
    assert weighed.score(fast) > weighed.score(slow) + 0.03
