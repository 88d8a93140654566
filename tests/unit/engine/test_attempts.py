"""What follows an attempt: how long it may take, what it costs, what is tried next."""

from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.engine.running.attempts import Again, Done, Ending, Onwards, Stop, cost_of, limit_s, next_step
from mahavishnu.errors import Crashed, Misconfigured, Refused, Throttled, TimedOut, Transient, Unsuitable
from mahavishnu.model import NO_EVIDENCE, CostModel, Result, Status, Target, Task, Usage
from mahavishnu.settings import AttemptSettings

RULES = AttemptSettings(retries=2, backoff_ms=100, backoff_max_ms=1000)
TASK = Task(type="t", text="x")
ONCE = Task(type="t", text="x", repeatable=False)
TARGET = Target(
    name="a", adapter="local", run="m:f", task_types={"t"}, cost_model=CostModel(per_run_usd=Decimal("0.002"))
)


def step(error, *, tries=1, task=TASK, remaining_s=60.0, seed=0):
    return next_step(error, tries=tries, task=task, remaining_s=remaining_s, rules=RULES, rng=Random(seed))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, Done),
        (Transient("busy"), Again),
        (Throttled("slow down", retry_after_s=0.2), Again),
        (TimedOut("late"), Onwards),
        (Crashed("boom"), Onwards),
        (Misconfigured("no key"), Onwards),
        (Refused("too long"), Stop),
    ],
)
def test_each_shape_of_error_has_its_answer(error, expected):
    assert isinstance(step(error), expected)


def test_retries_end():
    assert isinstance(step(Transient("busy"), tries=2), Again)
    assert isinstance(step(Transient("busy"), tries=3), Onwards)


def test_nothing_is_tried_after_the_deadline():
    assert isinstance(step(Crashed("boom"), remaining_s=0.0), Stop)


@given(st.floats(0, 100), st.integers(1, 2), st.integers(0, 1000))
def test_a_wait_is_never_shorter_than_was_asked_and_never_longer_than_is_worth_it(retry_after_s, tries, seed):
    match step(Transient("busy", retry_after_s=retry_after_s), tries=tries, seed=seed):
        case Again(wait_s):
            assert retry_after_s <= wait_s <= 1.0
        case other:
            assert isinstance(other, Onwards)
            assert retry_after_s > 1.0 - 0.2


@pytest.mark.parametrize("error", [TimedOut("late"), Crashed("boom"), Transient("reset in mid-run")])
def test_what_may_have_taken_effect_is_not_repeated_where_that_is_not_safe(error):
    assert isinstance(step(error, task=ONCE), Stop)


@pytest.mark.parametrize(
    "error", [Throttled("slow down"), Misconfigured("no key"), Transient("refused", False), Unsuitable("too long")]
)
def test_what_cannot_have_taken_effect_goes_to_the_next_target_and_is_not_retried(error):
    assert isinstance(step(error, task=ONCE), Onwards)


def test_the_last_target_gets_all_the_time_and_the_others_half_or_what_they_are_known_to_need():
    rules = AttemptSettings(timeout_ms=60_000)
    assert limit_s(TARGET, NO_EVIDENCE, 10.0, last=True, rules=rules) == 10.0
    assert limit_s(TARGET, NO_EVIDENCE, 10.0, last=False, rules=rules) == 5.0
    slow = replace(NO_EVIDENCE, p99_ms=6000.0)
    assert limit_s(TARGET, slow, 10.0, last=False, rules=rules) == 9.0
    assert limit_s(replace(TARGET, timeout_ms=1000), slow, 10.0, last=False, rules=rules) == 1.0


def test_a_run_costs_what_the_target_says_else_what_its_cost_model_says():
    said = Ending(Status.SUCCEEDED, 1, result=Result(cost_usd=Decimal("0.5")))
    silent = Ending(Status.SUCCEEDED, 1, result=Result())
    crashed = Ending(Status.FAILED, 1, error=Crashed("boom"))
    refused = Ending(Status.REFUSED, 1, error=Refused("no"))
    assert [cost_of(each, Usage(), TARGET) for each in (said, silent, crashed, refused)] == [500_000, 2000, 2000, 0]
