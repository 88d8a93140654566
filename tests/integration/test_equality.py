"""Whatever the order in which facts come, and wherever they are kept, they add up to the same."""

from pathlib import Path

import pytest

from mahavishnu.stats.evidence import weighed
from tests.bench.equality import ORDERS, days_of


@pytest.mark.parametrize("runs", [4_000, pytest.param(20_000, marks=pytest.mark.soak)])
async def test_incremental_equals_full_in_three_orders_of_arrival(tmp_path: Path, runs: int):
    found = []
    for order in ORDERS:
        (tmp_path / order).mkdir()
        found.append(await days_of(runs, order, tmp_path / order))
    assert list(found[0]) == list(found[1]) == list(found[2])
    assert len(found[0]) == 12 * 5 * 4
    # What is made of the days is the same as well, to the last bit.
    cards = [weighed(each, found[0][-1].day, 0.95, "", "") for each in found]
    assert cards[0] == cards[1] == cards[2]
    assert cards[0].samples == pytest.approx(sum(0.95 ** (found[0][-1].day - d.day) * d.card.samples for d in found[0]))
