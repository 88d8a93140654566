"""Budgets: whom they cover, where their periods begin and end, and what makes no sense."""

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mahavishnu.errors import InvalidBudget
from mahavishnu.model import Balance, Budget, Micros, OnExhausted, Period, Spender

HARD = Micros(1000)
HOUR_US = 3_600_000_000
ZONES = ("UTC", "Europe/Vienna", "America/New_York", "Asia/Kolkata", "Asia/Tokyo", "Pacific/Apia", "America/Havana",
         "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Beirut", "Pacific/Kiritimati")  # fmt: skip


def budget(**asked):
    return Budget(**{"name": "b", "hard_micros": HARD, **asked})


def at_us(text, zone="UTC"):
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1_000_000)


@given(
    st.sampled_from([each for each in Period if each is not Period.TOTAL]),
    st.sampled_from(ZONES),
    st.integers(at_us("1990-01-01"), at_us("2037-12-31")),
)
@example(Period.DAY, "Pacific/Apia", at_us("2011-12-29T12:00", "Pacific/Apia"))
@example(Period.DAY, "America/Sao_Paulo", at_us("2017-10-15T12:00", "America/Sao_Paulo"))
@example(Period.DAY, "America/Havana", at_us("2020-11-01T12:00", "America/Havana"))
def test_a_label_holds_from_the_beginning_of_its_period_to_the_next_and_no_longer(period, zone, now_us):
    each = budget(period=period, zone=zone)
    start_us, end_us = each.bounds_us(now_us)
    assert start_us <= now_us < end_us
    assert each.label(start_us) == each.label(now_us) == each.label(end_us - 1)
    assert each.label(start_us - 1) < each.label(now_us) < each.label(end_us)
    assert each.bounds_us(start_us) == (start_us, end_us) == each.bounds_us(end_us - 1)
    assert each.bounds_us(end_us)[0] == end_us


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Vienna", "2026-03-29", 23),
        ("Europe/Vienna", "2026-10-25", 25),
        ("Europe/Vienna", "2026-06-01", 24),
        ("America/Sao_Paulo", "2017-10-15", 23),
        ("America/Havana", "2020-11-01", 25),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
    ],
)
def test_a_day_on_which_the_clocks_change_is_as_long_as_it_is(zone, day, hours):
    each = budget(period=Period.DAY, zone=zone)
    start_us, end_us = each.bounds_us(at_us(f"{day}T12:00", zone))
    assert end_us - start_us == hours * HOUR_US
    assert each.label(start_us) == day


def test_an_hour_that_comes_twice_is_two_hours():
    each = budget(period=Period.HOUR, zone="Europe/Vienna")
    first_us = round(datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()) * 1_000_000
    assert [each.label(first_us + n * HOUR_US) for n in range(2)] == ["2026-10-25T00Z", "2026-10-25T01Z"]


@pytest.mark.parametrize(
    ("day", "label"),
    [
        ("2020-12-31", "2020-W53"),
        ("2021-01-03", "2020-W53"),
        ("2021-01-04", "2021-W01"),
        ("2024-12-29", "2024-W52"),
        ("2024-12-30", "2025-W01"),
        ("2026-12-31", "2026-W53"),
        ("2027-01-03", "2026-W53"),
    ],
)
def test_weeks_at_the_end_of_a_year_belong_to_the_year_of_their_thursday(day, label):
    assert budget(period=Period.WEEK).label(at_us(f"{day}T23:59:59")) == label


def test_the_whole_of_time_is_one_period():
    assert budget().label(1) == budget().label(at_us("2037-01-01")) == "total"
    assert budget().bounds_us(5) == (0, None)


def test_a_budget_covers_what_it_does_not_leave_out():
    spender = Spender(adapter="a", target="t", task_type="etl", tags={"team": "x", "user": "y"})
    covering = [{}, {"adapter": "a"}, {"target": "t", "task_type": "etl"}, {"tags": {"team": "x"}}]
    others = [{"adapter": "b"}, {"target": "t", "task_type": "rag"}, {"tags": {"team": "x", "project": ""}}]
    assert all(budget(**each).covers(spender) for each in covering)
    assert not any(budget(**each).covers(spender) for each in others)
    assert [each for each in covering if budget(**each).of_targets] == covering[1:3]


def test_only_scope_and_period_decide_what_is_counted():
    first = budget(tags={"team": "x"}, period=Period.DAY)
    same = {"hard_micros": None, "soft_micros": Micros(1), "on_exhausted": OnExhausted.QUEUE, "max_age_s": 7}
    assert first.counts_as(replace(first, **same))
    for other in ({"period": Period.WEEK}, {"zone": "Asia/Tokyo"}, {"adapter": "a"}, {"tags": {}}, {"task_type": "t"}):
        assert not first.counts_as(replace(first, **other))


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"name": "two words"}, "must be one word"),
        ({"hard_micros": None}, "has no limit"),
        ({"soft_micros": Micros(1001)}, "nobody would ever be told"),
        ({"hard_micros": Micros(-1)}, "must be a whole number from 0"),
        ({"max_age_s": 0}, "must be a whole number from 1"),
        ({"zone": "Atlantis"}, 'no time zone "Atlantis"'),
        ({"zone": "../etc/passwd"}, "no time zone"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_mend(asked, problem):
    with pytest.raises(InvalidBudget, match=problem):
        budget(**asked)


def test_there_is_no_less_room_than_none():
    over = Balance(budget=budget(), label="total", spent_micros=900, reserved_micros=300)
    assert over.room_micros == 0
    assert replace(over, spent_micros=600).room_micros == 100
    assert Balance(budget=budget(hard_micros=None, soft_micros=HARD), label="total").room_micros is None


@pytest.mark.parametrize("wrong", [{"unreadable": object()}, {"tags": ["a"]}, {"target": 5}, {"name": 5}])
def test_a_budget_that_cannot_be_read_holds_texts_all_the_same(wrong):
    with pytest.raises(InvalidBudget):
        Budget(**{"name": "b", "unreadable": "it has the unknown field", **wrong})
