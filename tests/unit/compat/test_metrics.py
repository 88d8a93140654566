"""The adaptive router's records and functions, right at the edges where the originals were not."""

import math
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mahavishnu.compat import metrics
from mahavishnu.compat.metrics import (
    ABTest,
    AdapterStats,
    CostTracking,
    ExecutionRecord,
    RoutingDecision,
    TaskTypeStats,
    calculate_confidence_interval,
    calculate_percentiles,
)
from mahavishnu.model import Scorecard, Status
from mahavishnu.stats.intervals import wilson
from mahavishnu.testing.clock import ManualClock
from mahavishnu.testing.samples import Samples


@pytest.fixture
def samples():
    return Samples(ManualClock())


def card(target="a", task_type="etl", **sums):
    return Scorecard(target=target, task_type=task_type, **sums)


def test_every_name_of_the_design_is_there():
    names = {"ExecutionRecord", "AdapterStats", "TaskTypeStats", "CostTracking", "RoutingDecision", "ABTest"}
    names |= {"ExecutionTracker", "calculate_percentiles", "calculate_confidence_interval"}
    assert names <= set(metrics.__all__)
    assert all(hasattr(metrics, name) for name in metrics.__all__)


# -- percentiles -------------------------------------------------------------------------------------------------------


def test_percentiles_of_nothing_are_none():
    assert calculate_percentiles([]) == {"p50": None, "p95": None, "p99": None}


def test_one_sample_is_every_percentile_and_duplicates_are_themselves():
    assert calculate_percentiles([7]) == {"p50": 7, "p95": 7, "p99": 7}
    assert set(calculate_percentiles([3, 3, 3, 3]).values()) == {3}


def test_percentiles_are_nearest_ranks():
    assert calculate_percentiles(range(1, 101)) == {"p50": 50, "p95": 95, "p99": 99}
    assert calculate_percentiles([4, 1, 3, 2], [0, 25, 26, 75, 100]) == {
        "p0": 1,
        "p25": 1,
        "p26": 2,
        "p75": 3,
        "p100": 4,
    }
    assert calculate_percentiles(range(1, 1001), [99, 99.9]) == {"p99": 990, "p99.9": 999}


@given(st.lists(st.floats(0, 1e9), min_size=1), st.floats(0, 100))
def test_a_percentile_is_one_of_the_values_with_that_share_at_or_below_it(values, level):
    (found,) = calculate_percentiles(values, [level]).values()
    assert found in values
    assert sum(each <= found for each in values) >= level / 100 * len(values) - 1e-6


@pytest.mark.parametrize(("latencies", "levels"), [([math.nan], [50]), ([math.inf], [50]), ([1], [101]), ([1], [-1])])
def test_percentiles_of_what_is_no_number_are_refused(latencies, levels):
    with pytest.raises(ValueError, match="must"):
        calculate_percentiles(latencies, levels)


# -- intervals ---------------------------------------------------------------------------------------------------------


def test_an_interval_of_no_samples_is_everything():
    assert calculate_confidence_interval(0, 0.0) == calculate_confidence_interval(0, 1.0) == (0.0, 1.0)


def test_none_and_all_are_not_certain():
    lo, hi = calculate_confidence_interval(20, 0.0)
    assert (lo, round(hi, 4)) == (0.0, 0.1611)
    lo, hi = calculate_confidence_interval(20, 1.0)
    assert (round(lo, 4), hi) == (0.8389, 1.0)


def test_one_sample_says_little():
    lo, hi = calculate_confidence_interval(1, 1.0)
    assert (round(lo, 3), hi) == (0.207, 1.0)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_it_is_wilsons(case):
    successes, n = case
    assert calculate_confidence_interval(n, successes / n) == pytest.approx(wilson(successes, n), abs=1e-12)


def test_more_confidence_is_a_wider_interval():
    narrow, wide = calculate_confidence_interval(50, 0.8, 0.8), calculate_confidence_interval(50, 0.8, 0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


@pytest.mark.parametrize("wrong", [(-1, 0.5), (10, 1.1), (10, -0.1), (10, math.nan), (97, 100), (10, 0.5, 1.0)])
def test_an_interval_of_what_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        calculate_confidence_interval(*wrong)


# -- records -----------------------------------------------------------------------------------------------------------


def test_an_execution_is_a_record_and_comes_back_from_json(samples):
    start, end = samples.run(samples.decision(), Status.FAILED)
    running, record = ExecutionRecord.of(start), ExecutionRecord.of(end)
    assert (running.end_timestamp, running.status, running.success) == (None, Status.RUNNING, False)
    assert (record.error_type, record.error_message, record.latency_ms) == ("transient", "the disk was full", 1.5)
    assert record.cost_usd == Decimal("0.002")
    assert record.metadata["target"] == "a"
    assert ExecutionRecord.model_validate_json(record.model_dump_json()) == record


def test_a_decision_is_a_record(samples):
    decision = samples.odd_decision()
    record = RoutingDecision.of(decision)
    assert (record.selected_adapter, record.adapter_scores, record.alternative_adapters) == ("a", {"a": 1e-17}, ())
    assert record.constraints["max_latency_ms"] == 10
    nobody = RoutingDecision.of(samples.decision(selected=None))
    assert (nobody.selected_adapter, nobody.probability) == (None, 0.0)


def test_statistics_of_an_adapter_are_its_targets_added_up():
    cards = [
        card("a", samples=60, squares=60, successes=50, errors={"transient": 10}, spent_micros=7, latency={268: 50}),
        card("b", "rag", samples=40, squares=40, successes=40, spent_micros=5, latency={268: 40}),
    ]
    stats = AdapterStats.of("local", cards)
    assert (stats.total_executions, stats.successes, stats.success_rate) == (100, 90, 0.9)
    assert stats.confidence_interval == wilson(90, 100)
    assert stats.cost_total_usd == Decimal("0.000012")
    assert stats.error_counts == {"transient": 10}
    assert stats.p50_latency_ms == stats.p99_latency_ms
    assert TaskTypeStats.of("rag", "local", cards).success_rate == 1.0


@pytest.mark.parametrize("cards", [[], [card()], [card(samples=-1, successes=-1)]])
def test_statistics_of_nothing_say_nothing(cards):
    stats = AdapterStats.of("local", cards)
    assert (stats.total_executions, stats.p50_latency_ms, stats.confidence_interval) == (0, None, (0.0, 1.0))


def test_costs_of_a_day_add_up_to_the_micro_dollar():
    day = date(2026, 11, 20)
    cards = [card(cost_samples=1), card("b", cost_samples=3), card("b", "free", cost_samples=2)]
    spent = {"etl": Decimal("0.000003"), "rag": Decimal("0.000004")}
    costs = CostTracking.of(day, "local", cards, spent)
    assert (costs.total_cost_usd, costs.executions) == (Decimal("0.000007"), 6)
    assert costs.by_task_type == {"etl": Decimal("0.000003"), "free": 0, "rag": Decimal("0.000004")}
    assert CostTracking.of(day, "local", [], {}).total_cost_usd == 0


ULID = "01ARYZ6S410000000000000000"
EXECUTION = {"execution_id": ULID, "adapter": "a", "task_type": "t", "start_timestamp": 5.0, "status": "failed"}
TEST = {"experiment_id": ULID, "name": "n", "start_date": date(2026, 1, 2)}


@pytest.mark.parametrize(
    ("record", "fields", "wrong"),
    [
        (ExecutionRecord, EXECUTION, {"execution_id": "81ARYZ6S410000000000000000"}),
        (ExecutionRecord, EXECUTION, {"end_timestamp": 4.0}),
        (ExecutionRecord, EXECUTION, {"latency_ms": -1}),
        (ExecutionRecord, EXECUTION, {"latency_ms": math.nan}),
        (ExecutionRecord, EXECUTION, {"cost_usd": "-1"}),
        (ExecutionRecord, EXECUTION, {"status": "great"}),
        (ExecutionRecord, EXECUTION, {"colour": "red"}),
        (ABTest, TEST, {"traffic_split": {"a": 0.9, "b": 0.2}}),
        (ABTest, TEST, {"traffic_split": {"a": 0.9, "b": 0.1}, "winner": "c"}),
        (ABTest, TEST, {"end_date": date(2026, 1, 1)}),
        (ABTest, TEST, {"significance_threshold": 0}),
        (CostTracking, {"date": date(2026, 1, 1), "adapter": "a"}, {"total_cost_usd": 2, "by_task_type": {"t": 1}}),
    ],
)
def test_a_record_that_cannot_be_is_refused(record, fields, wrong):
    assert record.model_validate(fields)
    with pytest.raises(ValidationError):
        record.model_validate({**fields, **wrong})
