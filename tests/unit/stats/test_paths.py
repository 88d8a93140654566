"""Whole runs at once: what is looked up quickly is what would be found by looking at everything."""

import numpy as np
import pytest

from mahavishnu.stats.paths import Arrivals, found_after, success, success_reached

NEEDED = 20.0


@pytest.mark.parametrize(("margin", "treatment"), [(0.0, 0.9), (0.0, 0.8), (0.02, 0.8), (0.02, 0.99)])
def test_where_the_evidence_is_reached_is_told_without_working_out_all_of_it(margin, treatment):
    for run in range(10):
        seen = Arrivals(candidates=500, share=0.3).rates(np.random.default_rng([1, run]), 0.9, treatment)
        expected = success(*seen, margin) >= NEEDED
        assert (success_reached(*seen, NEEDED, margin) == expected).all()


def test_a_rule_is_looked_for_from_the_least_evidence_on_and_at_controls_only_where_that_is_asked():
    reached = np.array([True, False, True, True])
    treated = np.array([True, True, False, True])
    assert found_after(reached, treated) == 1
    assert found_after(reached, treated, 2) == 3
    assert found_after(reached, treated, 2, at_controls=True) == 2
    assert found_after(reached, treated, 4) == np.inf
    assert found_after(reached[:0], treated[:0]) == np.inf


def test_outcomes_get_lost_and_come_late_but_no_other_ones_come():
    arrivals = Arrivals(candidates=1_000, delay=100.0, slower=2.0, missing=0.05)
    treated, share, way, order = arrivals.arms(np.random.default_rng(2))
    assert len(treated) == len(share) == len(way)
    assert len(set(order.tolist())) == len(order) < len(way)
    assert not (np.diff(order) > 0).all()
