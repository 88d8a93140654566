"""Tasks, targets and prices: what they may be."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.errors import InvalidCostModel, InvalidTarget, InvalidTask
from mahavishnu.model import CostModel, Target, Task, Usage
from mahavishnu.model.money import dollars, to_micros, to_usd


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "two words"},
        {"type": ""},
        {"type": None},
        {"text": ""},
        {"text": "   \n"},
        {"text": b"bytes"},
        {"deadline_ms": 0},
        {"deadline_ms": 1.5},
        {"deadline_ms": True},
        {"max_latency_ms": -1},
        {"idempotency_key": ""},
        {"idempotency_key": "x" * 201},
        {"capabilities": "vision"},
        {"payload": {"a": float("nan")}},
        {"payload": {"a": object()}},
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_fields_name(wrong):
    with pytest.raises(InvalidTask) as caught:
        Task(**{"type": "t", "text": "x", **wrong})
    assert caught.value.field == next(iter(wrong))


def test_a_payload_may_stand_for_the_text():
    assert Task(type="t", payload={"a": 1}).text == ""


def test_the_fingerprint_is_of_what_is_asked_and_not_of_how_patient_one_is():
    task = Task(type="t", text="x", payload={"a": 1, "b": 2})
    assert task.fingerprint() == Task(type="t", text="x", payload={"b": 2, "a": 1}, deadline_ms=9).fingerprint()
    assert task.fingerprint() != Task(type="t", text="y", payload={"a": 1, "b": 2}).fingerprint()
    assert Task(type="t", text="\ud800 é").fingerprint()


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "a b"},
        {"run": " "},
        {"task_types": set()},
        {"task_types": {"two words"}},
        {"timeout_ms": 0},
        {"max_concurrent": 0},
        {"cost_model": Decimal("0.1")},
    ],
)
def test_a_target_that_cannot_be_meant_is_refused(wrong):
    with pytest.raises(InvalidTarget) as caught:
        Target(**{"name": "a", "adapter": "local", "run": "m:f", "task_types": {"t"}, **wrong})
    assert caught.value.field == next(iter(wrong))


@pytest.mark.parametrize(
    "wrong", [{"per_run_usd": Decimal(-1)}, {"per_query_usd": Decimal("NaN")}, {"monthly_runs": 0}, {"monthly_usd": []}]
)
def test_a_cost_model_that_cannot_be_meant_is_refused(wrong):
    with pytest.raises(InvalidCostModel) as caught:
        CostModel(**wrong)
    assert caught.value.field == next(iter(wrong))


def test_a_generalist_takes_every_type():
    assert Target(name="a", adapter="local", run="m:f", task_types={"*"}).takes("anything")


@given(st.integers(0, 2**62))
def test_money_goes_out_and_comes_back_exactly(micros):
    assert to_micros(to_usd(micros)) == micros


@pytest.mark.parametrize("wrong", ["-0.01", "NaN", "Infinity", "ten", "", None, "1e30"])
def test_what_is_no_amount_is_refused(wrong):
    with pytest.raises(ValueError, match="is "):
        dollars(wrong)


def test_every_rate_counts_and_the_sum_is_rounded_once():
    rates = CostModel(
        per_run_usd=Decimal("0.001"),
        per_second_usd=Decimal("0.0001"),
        per_agent_second_usd=Decimal("0.0002"),
        per_query_usd=Decimal("0.00005"),
        per_input_token_usd=Decimal("0.0000001"),
        per_cached_token_usd=Decimal("0.00000001"),
        per_output_token_usd=Decimal("0.0000004"),
        monthly_usd=Decimal(10),
        monthly_runs=1000,
    )
    used = Usage(
        seconds=2.0, agent_seconds=3.0, queries=4, input_tokens=5, cached_tokens=60, output_tokens=7, estimated=False
    )
    exact = Decimal("0.001") + Decimal("0.0002") + Decimal("0.0006") + Decimal("0.0002") + Decimal("0.0000005")
    exact += Decimal("0.0000006") + Decimal("0.0000028") + Decimal("0.01")
    assert rates.cost(used) == round(exact * 1_000_000)


def test_the_price_version_follows_the_rates():
    assert CostModel().version == CostModel().version != CostModel(per_run_usd=Decimal("0.1")).version
