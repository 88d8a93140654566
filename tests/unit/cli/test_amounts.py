"""Amounts as people type them come back as they were, to the micro-dollar and to the second."""

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.cli.common import amounts
from mahavishnu.cli.money.costs import since

DAY_US = 86_400_000_000


@given(st.integers(0, 10**15))
def test_what_is_printed_is_read_as_the_same_amount(micros):
    text = amounts.usd_text(micros)
    assert amounts.micros(text, "--limit") == micros
    assert "E" not in text


@given(st.integers(1, 10**7))
def test_a_length_is_printed_as_it_would_be_typed(length_s):
    assert amounts.seconds(amounts.age(length_s), "--max-age") == length_s


@pytest.mark.parametrize("given_", ["", "0d", "-1d", "1.5h", "3651d", "week", "1w"])
def test_a_length_that_is_none_is_refused(given_):
    with pytest.raises(typer.BadParameter, match="such as 24h or 30d"):
        amounts.seconds(given_, "--window")


@given(st.integers(0, 10**16), st.integers(1, 3650))
def test_a_window_of_days_begins_at_midnight_and_holds_today(now_us, days):
    began_us = since(f"{days}d", now_us)
    assert began_us % DAY_US == 0
    assert (days - 1) * DAY_US <= now_us - began_us < days * DAY_US
