"""Every policy at the edge: whatever the figures are, one is chosen, and the probabilities are probabilities."""

import math
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mahavishnu.model import NO_EVIDENCE, Candidate, Snapshot, Target, Task
from mahavishnu.model.objective import Objective
from mahavishnu.policies import chain, explain, recommendation
from mahavishnu.policies.adaptive import Adaptive, from_estimates
from mahavishnu.policies.preference import Preference
from mahavishnu.policies.published import Published
from mahavishnu.policies.statistical import Statistical
from mahavishnu.stats.columns import FEW
from tests.edges import ANY, COUNTS, HUGE, LARGEST, TINIEST, Register, said

tried = Register("mahavishnu.policies")
inf, nan = math.inf, math.nan
edges = settings(max_examples=40, deadline=None)
MOST_WEIGHT = 1e9
TASK = Task(type="t", text="x")
ORDER = ("t1", "gone", "t0", "t2", "t3")
WILSON = st.one_of(st.floats(0, 1), st.just(nan))
ESTIMATES = st.builds(
    replace,
    st.just(NO_EVIDENCE),
    samples=ANY,
    effective=ANY,
    successes=ANY,
    rate=st.none() | ANY,
    wilson_lo=WILSON,
    wilson_hi=WILSON,
    p50_ms=st.none() | ANY,
    p95_ms=st.none() | ANY,
    mean_cost_micros=st.none() | ANY,
    quality=st.none() | ANY,
    last_at_us=st.sampled_from((0, 2**63 - 1, 10**30)),
)
BROKEN = replace(
    NO_EVIDENCE, samples=nan, effective=nan, successes=nan, rate=nan, wilson_lo=nan, wilson_hi=nan, p50_ms=nan,
    p95_ms=nan, mean_cost_micros=nan, quality=nan,
)  # fmt: skip
DEAR = replace(NO_EVIDENCE, samples=100, effective=100, successes=90, rate=0.9, mean_cost_micros=LARGEST)
GOOD = replace(
    NO_EVIDENCE, samples=500, effective=500, successes=450, rate=0.9, wilson_lo=0.87, wilson_hi=0.92, p50_ms=9
)


def candidates(estimates):
    return [
        Candidate(Target(name=f"t{place}", adapter="local", run="m:f", task_types={"t"}, place=place), seen)
        for place, seen in enumerate(estimates)
    ]


def is_ranking(ranking, count):
    names = [each.candidate.target.name for each in ranking.chain]
    chances = [each.probability for each in ranking.chain]
    assert sorted(names) == [f"t{place}" for place in sorted(range(count), key=str)]
    assert ranking.first.target.name == names[0]
    assert all(0 <= chance <= 1 for chance in chances)
    assert abs(sum(chances) - 1) <= 1e-9
    assert ranking.why
    return dict(zip(names, ranking.chain, strict=True))


def test_every_public_function_and_method_has_a_test_at_the_edge():
    assert (tried.missing(), tried.gone()) == ([], [])


@tried("recommendation.recommend", "recommendation.Recommendation.best")
@edges
@given(st.lists(ESTIMATES, min_size=1, max_size=4), st.sampled_from((1, FEW)))
def test_a_recommendation_ranks_whatever_was_estimated(estimates, times):
    rows = candidates(estimates * times)
    found = recommendation.recommend(TASK, rows, Snapshot(), Statistical())
    assert found.best in rows
    assert len(found.ranked) == len(rows)


@tried("chain.following")
@edges
@given(st.lists(st.sampled_from((nan, inf, -inf, 0.0, LARGEST, TINIEST)), max_size=6), st.lists(st.sampled_from("abc")))
def test_the_chain_has_every_candidate_once_whatever_is_expected_or_published(expected, published):
    names = ["abcdef"[index] for index in range(len(expected))]
    assert sorted(chain.following(published, names, expected)) == list(range(len(names)))


@tried("chain.undrawn")
@edges
@given(st.lists(ESTIMATES, min_size=1, max_size=4))
def test_a_ranking_without_a_draw_is_certain_of_the_first_whatever_was_estimated(estimates):
    rows = candidates(estimates)
    ranking = chain.undrawn(rows, "given", "rank")
    assert is_ranking(ranking, len(rows))["t0"].probability == 1.0
    assert [link.candidate for link in ranking.chain] == rows


@tried("adaptive.Adaptive.rank", "adaptive.Adaptive.draw", "adaptive.Adaptive.chances", "adaptive.Adaptive.expected")
@tried("adaptive.Adaptive.weighing", "adaptive.Adaptive.worth", "adaptive.from_estimates")
@edges
@given(
    st.lists(ESTIMATES, min_size=1, max_size=4),
    st.sampled_from((1, FEW)),
    st.sampled_from((0.0, TINIEST, 1.0, 1e12, HUGE, LARGEST, nan)),
    st.integers(0, 5),
)
@example([BROKEN, GOOD], 1, 5.0, 1)
@example([BROKEN, GOOD], FEW, 5.0, 1)
@example([DEAR, DEAR], 1, LARGEST, 1)
@example([DEAR, GOOD], FEW, LARGEST, 1)
@example([replace(GOOD, mean_cost_micros=inf), GOOD], 1, 5.0, 1)
@example([replace(GOOD, mean_cost_micros=-1e-17), GOOD], 1, LARGEST, 1)
def test_the_adaptive_policy_draws_from_any_estimates(estimates, times, price, seed):
    rows = candidates(estimates * times)
    known = from_estimates(rows)
    snapshot = Snapshot(prices={"t": price})
    for policy in (Adaptive(), Adaptive(speed_weight=0.1, cost_weight=0.1, quality_weight=0.1)):
        is_ranking(policy.rank(TASK, known, snapshot, 0, Random(seed)), len(rows))
        weighed = policy.weighing(Objective(cost=MOST_WEIGHT, quality=MOST_WEIGHT), price)
        assert abs(sum(weighed.chances(known)) - 1) <= 1e-9
        assert np.isfinite(np.asarray(weighed.expected(known))).all()
        assert all(0 <= policy.worth(each) <= 1 + 1e-12 for each in rows)


def test_a_target_with_broken_figures_is_chosen_no_more_often_than_one_that_is_slow_dear_and_bad():
    worst = replace(NO_EVIDENCE, p50_ms=1e9, mean_cost_micros=1e12, quality=0.0)
    policy = Adaptive(cost_weight=0.1, quality_weight=0.1, price=0.001)
    broken, bad = (policy.chances(from_estimates(candidates([GOOD, seen])))[1] for seen in (BROKEN, worst))
    assert broken <= bad + 1e-9


@tried("statistical.Statistical.rank", "statistical.Statistical.draw")
@edges
@given(st.lists(ESTIMATES, min_size=1, max_size=4), st.sampled_from((0.0, TINIEST, 0.5)), st.integers(0, 5))
@example([BROKEN, GOOD], 0.05, 1)
@example([replace(GOOD, wilson_lo=nan), GOOD], 0.0, 1)
@example([replace(GOOD, wilson_lo=inf, wilson_hi=inf, rate=inf), GOOD], 0.0, 1)
def test_the_statistical_policy_ranks_any_estimates(estimates, exploration, seed):
    rows = candidates(estimates)
    for snapshot in (Snapshot(), Snapshot(orders={"t": ("t1", "gone", "t0")})):
        for explore_after_s in (0.0, TINIEST, HUGE, inf):
            policy = Statistical(exploration=exploration, explore_after_s=explore_after_s, quality_weight=0.1)
            is_ranking(policy.rank(TASK, rows, snapshot, 10**30, Random(seed)), len(rows))
    task = replace(TASK, objective=Objective(success=TINIEST, latency=TINIEST))
    is_ranking(Statistical().rank(task, rows, Snapshot(), 0, Random(seed)), len(rows))


def test_a_target_with_a_broken_interval_stands_behind_one_that_is_known():
    rows = candidates([replace(GOOD, wilson_lo=nan), replace(GOOD, wilson_lo=0.1)])
    assert Statistical(exploration=0).rank(TASK, rows, Snapshot(), 0, Random(1)).first.target.name == "t1"


@tried("preference.Preference.rank", "preference.Preference.name", "preference.Preference.version")
@tried("adaptive.Adaptive.name", "adaptive.Adaptive.version", "statistical.Statistical.name")
@tried("statistical.Statistical.version", "published.Published.rank", "published.Published.name")
@tried("published.Published.version")
@edges
@given(st.lists(ESTIMATES, min_size=1, max_size=4))
@example([BROKEN])
def test_a_fixed_order_stands_whatever_the_estimates(estimates):
    policy = Preference(order=("t1", "gone"))
    ranking = policy.rank(TASK, candidates(estimates), Snapshot(), 0, Random(0))
    is_ranking(ranking, len(estimates))
    assert ranking.first.target.name == ("t1" if len(estimates) > 1 else "t0")
    followed = Published().rank(TASK, candidates(estimates), Snapshot(orders={"t": ORDER}), 0, Random(0))
    is_ranking(followed, len(estimates))
    assert followed.first.target.name == ranking.first.target.name
    assert (Published().name, Published().version == policy.version) == ("published", False)
    assert (policy.name, Adaptive().name, Statistical().name) == ("preference", "adaptive", "statistical")
    assert Adaptive(price=TINIEST).version != Adaptive().version != Statistical().version != policy.version


@tried("adaptive.Adaptive", "statistical.Statistical")
@edges
@given(ANY, st.sampled_from(("price", "prior_successes", "exploration", "success_weight", "slow_ms", "dear_usd")))
@example(inf, "slow_ms")
@example(LARGEST, "dear_usd")
@example(nan, "exploration")
def test_an_option_that_is_no_number_is_refused(value, option):
    policy, refused = said(lambda: Adaptive(**{option: value}))
    if policy is None:
        assert " must " in refused
    else:
        is_ranking(policy.rank(TASK, candidates([GOOD, DEAR]), Snapshot(), 0, Random(1)), 2)
    for name in ("exploration", "failing_below", "explore_after_s"):
        with pytest.raises(ValueError, match=name):
            Statistical(**{name: nan})


@tried(
    "explain.figures",
    "explain.weighed_by",
    "explain.percent",
    "explain.money",
    "explain.milliseconds",
    "explain.version_of",
)
@edges
@given(ANY, COUNTS, ESTIMATES)
@example(nan, inf, BROKEN)
@example(TINIEST, TINIEST, DEAR)
def test_any_number_can_be_said(number, count, seen):
    for say in (explain.percent, explain.money, explain.milliseconds):
        assert say(number)
    assert explain.figures(candidates([seen])[0])
    assert explain.weighed_by(Objective(success=MOST_WEIGHT, cost=TINIEST), count) is not None
    assert explain.version_of(number, code=1).startswith("1-")
