"""The seeds' keys of costs: every week and every month of any year is the days that the calendar says."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.compat.costs import read_span

DAYS = st.dates(dt.date(1970, 1, 1), dt.date(2200, 12, 31))


@given(DAYS)
def test_a_day_lies_in_its_day_its_week_and_its_month(day):
    year, week, _ = day.isocalendar()
    keys = {
        f"adapter:a:b:cost:daily:{day}": {1},
        f"adapter:a:b:cost:weekly:{year}-W{week:02}": {7},
        f"cost:total:monthly:{day.year}:{day.month}": {28, 29, 30, 31},
    }
    for key, lengths in keys.items():
        span = read_span(key)
        assert span.since <= day < span.until
        assert (span.until - span.since).days in lengths
        assert span.adapter == ("" if key.startswith("cost") else "a:b")


@pytest.mark.parametrize(
    "key",
    ["adapter:a:cost:weekly:2021-W53", "adapter:a:cost:weekly:47", "adapter:a:cost:daily:2026-02-29",
     "cost:total:monthly:2026:0", "cost:total:monthly:9999:12", "adapter::cost:daily:2026-01-01"],
)  # fmt: skip
def test_what_the_calendar_does_not_have_is_no_key(key):
    assert read_span(key) is None
