"""Every public function of planning at the edge: a plan that adds up, or the reason why there is none."""

import math
from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mahavishnu.errors import InvalidTask, UnknownName
from mahavishnu.model import NO_EVIDENCE, Scorecard, Task
from mahavishnu.planning import allocation, constraints, dominance, hints, pareto, prices, terms
from mahavishnu.planning.constraints import Failing, Relaxation
from mahavishnu.planning.hints import Figure, Hint
from mahavishnu.planning.terms import Bound, Capacity, Give, Impossible, Offer, Plan, Problem, Promise, Spending, Worth
from mahavishnu.stats.evidence import estimate
from tests.edges import ANY, COUNTS, HISTOGRAMS, HUGE, LARGEST, TINIEST, TINY, Register, is_interval

tried = Register("mahavishnu.planning")
inf, nan = math.inf, math.nan
edges = settings(max_examples=40, deadline=None)
TYPES, TARGETS = st.sampled_from(("t", "u")), st.sampled_from(("a", "b", "c"))
OFFERS = st.lists(
    st.builds(
        Offer, task_type=TYPES, target=TARGETS, success=ANY, cost_usd=ANY, p95_ms=st.none() | ANY, rate=ANY, samples=ANY
    ),
    max_size=5,
)
PROBLEMS = st.builds(
    Problem,
    offers=OFFERS,
    volumes=st.dictionaries(TYPES, ANY),
    spendings=st.lists(st.builds(Spending, name=st.just("all"), usd=ANY), max_size=1),
    capacities=st.lists(st.builds(Capacity, target=TARGETS, runs=ANY), max_size=1),
    promises=st.lists(
        st.builds(Promise, task_type=TYPES, max_latency_ms=st.none() | ANY, min_success_rate=st.none() | ANY),
        max_size=1,
    ),
)
FIGURES = st.builds(lambda value, down, up: Figure(value, value - down, value + up), ANY, ANY, ANY)


def offers(*figures):
    return [
        Offer(task_type="t", target=target, success=success, rate=success, samples=100, cost_usd=cost)
        for target, success, cost in figures
    ]


def of(usd=1.0, volume=100, *figures):
    return Problem(offers=offers(*figures), volumes={"t": volume}, spendings=[Spending(name="all", usd=usd)])


PAIR = ("a", 0.6, 0.01), ("b", 0.9, 0.1)


def test_every_public_function_and_method_has_a_test_at_the_edge():
    assert (tried.missing(), tried.gone()) == ([], [])


@tried("terms.sound")
@edges
@given(PROBLEMS)
def test_a_sound_problem_has_numbers_only_and_stays_as_it_is(problem):
    found = terms.sound(problem)
    numbers = [each.usd for each in found.spendings] + [each.runs for each in found.capacities]
    numbers += [each.min_success_rate or 0.0 for each in found.promises]
    for each in found.offers:
        numbers += [each.success, each.rate, each.cost_usd, each.samples]
    assert all(map(math.isfinite, [*numbers, *found.volumes.values()]))
    assert terms.sound(found) == found


@tried("allocation.solve", "allocation.worth", "allocation.relaxed")
@settings(edges, max_examples=20)
@given(PROBLEMS)
@example(of(1.0, 100, ("a", nan, 0.01), ("b", 0.5, nan)))
@example(of(1.0, 100, ("a", 0.5, inf)))
@example(of(1.0, inf, *PAIR))
@example(of(nan, 100, *PAIR))
@example(of(inf, 100, *PAIR))
@example(of(-1.0, 100, *PAIR))
@example(of(0.0, 100, *PAIR))
@example(of(1.0, 10**30, *PAIR))
@example(of(1.0, TINIEST, *PAIR))
@example(of(HUGE, 1e200, ("a", 0.5, 1e200)))
@example(of(1.0, 100, ("a", 0.5, LARGEST), ("b", 0.4, TINIEST)))
@example(replace(of(1.0, 100, *PAIR), promises=[Promise(task_type="t", min_success_rate=nan, max_latency_ms=nan)]))
@example(replace(of(1.0, 100, *PAIR), promises=[Promise(task_type="t", min_success_rate=HUGE)]))
@example(replace(of(100.0, 100, *PAIR), capacities=[Capacity(target="b", runs=-1e-17)]))
def test_a_plan_shares_out_all_runs_or_names_what_stands_against_it(problem):
    plan = allocation.solve(problem)
    if isinstance(plan, Impossible):
        assert str(plan)
        assert isinstance(allocation.relaxed(problem, plan), Problem)
    else:
        assert all(abs(sum(shares.values()) - 1) <= 1e-5 for shares in plan.shares.values())
        assert all(0 < share <= 1 for shares in plan.shares.values() for share in shares.values())
        assert math.isfinite(plan.successes)
        assert math.isfinite(plan.cost_usd)
        assert all(0 <= price < inf for price in plan.prices.values())
    try:
        found = allocation.worth(problem, "all")
    except UnknownName:
        assert isinstance(plan, Plan)
        assert "all" not in plan.prices
    else:
        assert str(found)


def test_the_smallest_costs_are_not_taken_for_nothing():
    # HiGHS drops coefficients below 1e-9.
    plan = allocation.solve(of(6e-12, 1e-4, ("a", 0.6, 1e-9), ("b", 0.9, 1e-7)))
    assert plan.shares["t"]["b"] == pytest.approx((6e-8 - 1e-9) / (1e-7 - 1e-9), rel=1e-4)
    assert plan.prices["all"] == pytest.approx(0.3 / (1e-7 - 1e-9), rel=1e-6)


@tried("prices.prices")
@edges
@given(PROBLEMS, st.integers(0, 2))
@example(of(nan, 100, *PAIR), 1)
@example(of(inf, 100, *PAIR), 1)
@example(of(1.0, 100, ("a", 2.0, 0.01), ("b", -1.0, 0.1)), 1)
@example(replace(of(1.0, 100), offers=[Offer(task_type="t", target="a", success=0.5, cost_usd=1, samples=HUGE)]), 1)
@example(replace(of(1.0, 100), offers=[Offer(task_type="t", target="a", success=0.5, cost_usd=1, samples=nan)]), 1)
def test_a_price_is_a_number_of_0_or_more_for_every_type_that_is_expected(problem, draws):
    found = prices.prices(problem, Random(1), draws)
    assert all(0 <= price < inf for price in found.values())
    if draws:
        assert found.keys() == {task_type for task_type, volume in problem.volumes.items() if volume > 0}


@tried("terms.offer")
@edges
@given(st.none() | ANY, ANY, st.none() | ANY)
@example(nan, 100, 5.0)
@example(0.5, 100, inf)
def test_what_is_offered_has_a_rate_and_a_cost_that_are_numbers(rate, effective, micros):
    seen = replace(NO_EVIDENCE, rate=rate, effective=effective, mean_cost_micros=micros)
    found = terms.offer("t", "a", seen)
    assert found is None or (0 <= found.success <= 1 and 0 <= found.rate <= 1 and 0 <= found.cost_usd < inf)


@tried("terms.Worth.__str__", "terms.Give.__str__", "terms.Impossible.__str__")
@tried("terms.Spending.covers", "terms.Spending.of_targets")
@edges
@given(ANY, ANY, st.sampled_from(("dollar", "run", "point", "ms")))
@example(TINIEST, LARGEST, "dollar")
def test_any_number_can_be_said_of_a_bound(one, other, unit):
    bound = Bound(name="total", value=one, unit=unit)
    assert str(Worth(bound=bound, looser=one, tighter=other, period="day")).startswith("total: one ")
    give = Give(bound=bound, needed=other)
    assert str(Impossible(binding=("total",), gives=(give,), missing=("t",))).endswith("would do")
    spending = Spending(name="total", usd=one, target="a")
    assert spending.of_targets
    assert not spending.covers(Offer(task_type="t", target="b", success=one, cost_usd=other))


@tried("constraints.failing", "constraints.relaxation", "constraints.Relaxation.__str__")
@tried("constraints.Failing.__str__", "constraints.Failing.demands", "constraints.Failing.change")
@edges
@given(st.lists(st.none() | ANY, min_size=5, max_size=5), COUNTS, COUNTS)
@example([inf, inf, nan, 0.0, inf], 100, 100)
@example([TINIEST, LARGEST, -1e-17, 1e-17, 1e30], 100, 100)
@example([None, None, 0.1, None, None], 5, TINIEST)
def test_what_breaks_a_constraint_can_be_said_and_relaxed(figures, effective, samples):
    cost, p95, rate, quality, p50 = figures
    seen = replace(
        NO_EVIDENCE, mean_cost_micros=cost, p95_ms=p95, rate=rate, quality=quality, p50_ms=p50,
        effective=effective, samples=samples, successes=samples, rated=effective,
    )  # fmt: skip
    task = Task(
        type="t", text="x", max_cost_usd="0.000001", max_latency_ms=1, min_success_rate=0.9, min_quality=0.9,
        deadline_ms=1,
    )  # fmt: skip
    broken = constraints.failing(task, seen)
    for each in broken:
        assert each.name in str(each)
        assert each.demands.is_infinite() or each.change >= 0
    found = constraints.relaxation({"a": broken})
    assert found is None if not broken else str(found).endswith("would admit a")
    assert str(Relaxation(target="a", limits={"x": (TINIEST, Decimal("inf"))})).endswith("would admit a")


def test_a_limit_of_next_to_nothing_is_infinitely_far_from_what_it_would_have_to_be():
    each = Failing(name="max_cost_usd", limit=TINIEST, figure=1.0, interval=(0.0, inf), samples=nan)
    assert (str(each.demands), each.change) == ("1", inf)
    assert str(each).startswith("mean cost $1")


@tried("constraints.constraints_of")
def test_constraints_pass_numbers_on_as_they_are_and_name_what_there_is_not():
    assert constraints.constraints_of({"max_latency_ms": HUGE, "min_quality": None}) == {"max_latency_ms": HUGE}
    with pytest.raises(InvalidTask, match="did you mean"):
        constraints.constraints_of({"max_cots": nan})


@tried("hints.less", "hints.Figure.times", "hints.Hint.__str__")
@edges
@given(FIGURES, FIGURES, ANY)
@example(Figure(1e200, 0.0, 1e201), Figure(1.0, 0.0, 1e200), HUGE)
@example(Figure(1.0, 0.0, inf), Figure(1.0, 0.0, inf), 0.0)
@example(Figure(inf, 0.0, inf), Figure(inf, 0.0, inf), 1.0)
def test_a_difference_of_figures_lies_in_its_interval_where_it_is_a_number(one, other, factor):
    found = hints.less(one, other)
    known = all(figure.lo <= figure.value <= figure.hi and math.isfinite(figure.value) for figure in (one, other))
    if known and math.isfinite(found.value):
        assert is_interval(found[1:], -inf, inf, found.value)
    scaled = found.times(factor)
    hint = Hint(
        task_type="t", instead_of="a", target="b", runs_per_hour=factor, saved_usd=scaled, added_minutes=scaled,
        added_success=scaled,
    )  # fmt: skip
    assert str(hint).startswith("t: b instead of a saves $")


def card(target, figures, latency, cost):
    names = ("samples", "squares", "successes", "cost_micros", "cost_samples", "latency_us", "quality_ppm")
    known = dict(zip(names, figures, strict=True))
    return Scorecard(target=target, task_type="t", latency=latency, cost=cost, quality_samples=figures[0], **known)


def known_card(target, scale=1.0, micros=1000.0, ms=100.0):
    return card(
        target, (500 * scale, 500 * scale, 450 * scale, 500 * micros, 500, 450 * ms * 1000, 0), {230: 450}, {345: 500}
    )


PRICES = ("a", 1e9), ("b", 1000.0)
CARDS = st.lists(
    st.builds(card, TARGETS, st.tuples(*(ANY for _ in range(7))), HISTOGRAMS, HISTOGRAMS)
    | st.builds(
        known_card, TARGETS, st.sampled_from((1.0, 1e-3, TINY, 1e30)), st.sampled_from((1.0, 1e9, HUGE, 1e-17))
    ),
    max_size=4,
)


@tried("hints.hints")
@edges
@given(CARDS, ANY)
@example([known_card("a", micros=HUGE / 500), known_card("b")], 60)
@example([known_card("a", micros=1e9), known_card("b")], inf)
@example([replace(known_card(name, 100.0, micros), latency={35_000: 5, 230: 445}) for name, micros in PRICES], TINIEST)
@example([card("a", (500, 500, 450, 1e300, 500, 1, 0), {230: HUGE, 231: HUGE}, {345: 500}), known_card("b")], 60)
def test_a_hint_saves_a_number_of_dollars(cards, runs):
    for hint in hints.hints(cards, {(each.target, "t"): runs for each in cards}):
        for figure in (hint.saved_usd, hint.added_minutes, hint.added_success):
            assert math.isfinite(figure.value)
            assert figure.lo <= figure.value <= figure.hi
        assert hint.saved_usd.lo > 0


@tried("dominance.dominates")
@edges
@given(CARDS)
def test_no_two_targets_dominate_each_other_and_none_itself(cards):
    seen = [estimate(one) for one in cards]
    for one in seen:
        assert not any(dominance.dominates(one, other) and dominance.dominates(other, one) for other in seen)


@tried("pareto.frontier")
@edges
@given(CARDS, st.sampled_from((0, 1, 50)))
@example([known_card("a", micros=HUGE / 500), known_card("b")], 50)
@example([known_card("a", scale=1e30), known_card("b", scale=TINY)], 50)
@example([known_card("a"), card("b", (5, 5, 5, inf, 5, inf, inf), {0: 5}, {0: 5})], 50)
@example([known_card("a"), known_card("b")], 0)
@example([card("a", (1e10, TINIEST, 5, 5, 5, 5, 5), {35_000: 5, 0: 1}, {35_000: 5, 0: 1}), known_card("b")], 50)
def test_a_frontier_gives_every_target_a_probability(cards, draws):
    for standing in pareto.frontier(cards, draws):
        assert 0 <= standing.probability <= 1
        assert 0 <= standing.success <= 1
        assert 0 <= standing.cost_micros < inf
        assert standing.target not in standing.dominated_by or sum(each.target == standing.target for each in cards) > 1
