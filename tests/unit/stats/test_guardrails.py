"""Several guardrails: one false alarm in twenty for all of them together, and a name for what was broken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.stats.guardrails import Together, broken, combined

READINGS = st.dictionaries(st.text(min_size=1, max_size=3), st.floats(0, 1e6), min_size=1, max_size=5)


@given(READINGS, st.floats(0.001, 0.4))
def test_the_mean_acts_whenever_bonferroni_does(readings, alpha):
    if broken(readings, alpha, Together.BONFERRONI):
        assert broken(readings, alpha * (1 + 1e-9))


@given(READINGS, st.floats(0.001, 0.4), st.sampled_from(Together))
def test_it_names_something_exactly_when_there_is_enough_evidence(readings, alpha, together):
    names = broken(readings, alpha, together)
    assert bool(names) == (combined(readings, together) >= 1 / alpha)
    assert [readings[name] for name in names] == sorted((readings[name] for name in names), reverse=True)


def test_bonferroni_names_only_what_is_broken_for_itself():
    readings = {"success": 61.0, "latency": 70.0, "cost": 59.0}
    assert broken(readings, 0.05, Together.BONFERRONI) == ("latency", "success")
    assert broken(readings, 0.05) == ("latency", "success", "cost")


def test_the_mean_may_act_on_a_little_of_everything_and_then_names_the_most():
    assert broken({"success": 19.0, "latency": 45.0}, 0.05) == ("latency",)
    assert broken({"success": 30.0, "latency": 9.0}, 0.05) == ()


def test_one_guardrail_is_itself_and_none_is_nothing():
    for together in Together:
        assert combined({"success": 7.0}, together) == pytest.approx(7.0)
        assert combined({}, together) == 0
        assert broken({}, 0.05, together) == ()
